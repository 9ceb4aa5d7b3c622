package diffusers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/safetensors"
	"palimpsest/pkg/words"
)

// Check reports all that diffusers has no form for.
func (m *Model) Check() error {
	if _, err := toTheirs(m.Net); err != nil {
		return err
	}
	_, _, err := schedulerOf(m.Process)
	return err
}

// settingsFile is a file of JSON by its path in a model's folder.
type settingsFile struct {
	path    string
	content any
}

// Write writes a model into a folder that is there.
func (m *Model) Write(dir string) error {
	config, err := toTheirs(m.Net)
	if err != nil {
		return err
	}
	process, class, err := schedulerOf(m.Process)
	if err != nil {
		return err
	}
	files := []settingsFile{{filepath.Join(unetFolder, configFile), config}, {filepath.Join(schedFolder, schedulerFile), process}, {LabelsFile, m.Labels}}
	if !isFlow(m.Process) { // a pipeline would ask a flow's network for the timestep after the one that is meant
		files = append(files, settingsFile{indexFile, map[string]any{"_class_name": "DDPMPipeline", "_diffusers_version": version,
			"scheduler": []string{"diffusers", class}, "unet": []string{"diffusers", config.Class}}})
	}
	for _, sub := range []string{unetFolder, schedFolder} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return errors.WithStack(err)
		}
	}
	for _, f := range files {
		text, err := marshal(f.content)
		if err != nil {
			return err
		}
		if err := atomicfile.Write(filepath.Join(dir, f.path), text); err != nil {
			return err
		}
	}
	var all []safetensors.Tensor
	for _, w := range weights(m.Net) {
		values, err := m.values(w)
		if err != nil {
			return err
		}
		all = append(all, safetensors.Tensor{Name: w.theirs, Value: tensors.FromFlatDataAndDimensions(w.toTheirs(values), w.theirDims()...)})
	}
	slices.SortFunc(all, func(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) })
	return safetensors.WriteFile(filepath.Join(dir, unetFolder, weightsFile), map[string]string{"format": "pt"}, all)
}

// marshal writes a file of settings as Python does.
func marshal(content any) ([]byte, error) {
	text, err := json.MarshalIndent(content, "", "  ")
	return append(text, '\n'), errors.WithStack(err)
}

// values are those of a weight, which the model must have.
func (m *Model) values(w weight) ([]float32, error) {
	values, ok := m.Weights[w.ours]
	if size := product(w.ourDims); !ok || len(values) != size {
		return nil, errors.Errorf("diffusers: weight %s has %d values; need %d %v", w.ours, len(values), size, w.ourDims)
	}
	return values, nil
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// Dims lists the shapes of the weights of the model's network by our names.
func (m *Model) Dims() map[string][]int {
	dims := map[string][]int{}
	for _, w := range weights(m.Net) {
		dims[w.ours] = w.ourDims
	}
	return dims
}

// mostConfig is how many bytes a file of settings may have; one with trained_betas is a hundredth of it.
const mostConfig = 4 << 20

// bare finds the numbers that Python's json writes and JSON lacks, and the strings in which these are words.
var bare = regexp.MustCompile(`"(?:[^"\\]|\\(?s:.))*"|Infinity|NaN`)

// readPython reads a file of settings that Python wrote. Where it says Infinity, -Infinity or NaN the text has a number that is too large
// for a float64: a setting that is read is refused for it, one that is not is passed over.
func readPython(path string) ([]byte, error) {
	text, err := atomicfile.Read(path, mostConfig)
	if err != nil || len(text) == 0 {
		return text, err
	}
	return bare.ReplaceAllFunc(text, func(token []byte) []byte {
		if token[0] == '"' {
			return token
		}
		return fmt.Appendf(nil, "%-*s", len(token), notFinite)
	}), nil
}

// notFinite stands for Infinity and NaN.
const notFinite = "1e999"

// Read reads the model in a folder, that of a pipeline or of a UNet2DModel alone. Notes are lines about what the folder does
// not say, or says without effect. Where we have no form for something the error lists all of it.
func Read(dir string, o Options) (m *Model, notes []string, err error) {
	if err := checkFolder(dir); err != nil {
		return nil, nil, err
	}
	folder := filepath.Join(dir, unetFolder)
	if _, err := os.Stat(filepath.Join(folder, configFile)); err != nil {
		folder = dir
	}
	if err := pixels(dir); err != nil {
		return nil, nil, err
	}
	path := filepath.Join(folder, configFile)
	text, err := readPython(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, NoModel{errors.Errorf("%s is no model of diffusers: it has neither %s nor %s", dir, filepath.Join(unetFolder, configFile), configFile)}
	}
	if err != nil {
		return nil, nil, err
	}
	m = new(Model)
	own := false
	if text, err := atomicfile.Read(filepath.Join(dir, LabelsFile), mostConfig); err == nil {
		own = true
		if err := json.Unmarshal(text, &m.Labels); err != nil {
			return nil, nil, errors.WithMessage(plainJSON(err), filepath.Join(dir, LabelsFile))
		}
		o.NoLabel = o.NoLabel || m.Labels.NoLabel > 0
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	if m.Net, err = toOurs(text, o); err != nil {
		return nil, nil, errors.WithMessage(err, path)
	}
	switch known := m.Net.Classes; {
	case m.Labels.NoLabel > 0 && m.Labels.NoLabel != known:
		return nil, nil, errors.Errorf("%s says that label %d means no label; %s has %d class embeddings: remove the former, or use --no-label", LabelsFile, m.Labels.NoLabel, path, known+1)
	case known > 0 && !o.NoLabel:
		notes = append(notes, "all its labels are taken for classes, and the mean of their embeddings for no label; where its last label means none, say --no-label")
	}
	m.Labels.NoLabel = m.Net.Classes
	if len(m.Labels.Names) > m.Net.Classes {
		m.Labels.Names = m.Labels.Names[:m.Net.Classes]
	}
	learned := m.Net.OutChannels != m.Net.Channels
	sched, text, err := readScheduler(dir)
	switch {
	case err != nil:
		return nil, nil, err
	case text == nil:
		notes = append(notes, "it has no "+schedulerFile+", so it is taken for a network that predicts noise on DDPM's linear schedule of 1000 timesteps")
		text = []byte(`{"_class_name": "DDIMScheduler"}`)
		sched = schedulerFile
	}
	if m.Process, err = processOf(text, learned, own); err != nil {
		return nil, nil, errors.WithMessage(err, sched)
	}
	if note := clipping(text); note != "" && !own {
		notes = append(notes, note)
	}
	more, err := m.readWeights(folder, o)
	return m, append(notes, more...), err
}

// NoModel is the error of a folder that holds none.
type NoModel struct{ error }

// checkFolder refuses what is no folder.
func checkFolder(dir string) error {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return errors.Errorf("there is no folder %s; name the one of a model of diffusers", dir)
	case err != nil:
		return errors.Wrap(err, "looking for a model of diffusers")
	case !info.IsDir():
		return errors.Errorf("%s is a file; name the folder of a model of diffusers, such as %s", dir, filepath.Dir(dir))
	}
	return nil
}

// FilesSHA256 is the SHA-256 of the names and sums of all files in a model's folder that [Read] may read, whichever of them it takes.
func FilesSHA256(dir string) (string, error) {
	if err := checkFolder(dir); err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, sub := range []string{".", unetFolder, schedFolder} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil && (sub == "." || !errors.Is(err, fs.ErrNotExist)) {
			return "", errors.WithStack(err)
		}
		for _, e := range entries {
			if !slices.Contains([]string{".json", ".safetensors", ".bin"}, filepath.Ext(e.Name())) {
				continue
			}
			one, err := atomicfile.SHA256(filepath.Join(dir, sub, e.Name()))
			if err != nil {
				return "", err
			}
			fmt.Fprintf(sum, "%s  %s/%s\n", one, sub, e.Name())
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// pixels refuses a pipeline whose network draws latents, which another network turns into images.
func pixels(dir string) error {
	path := filepath.Join(dir, indexFile)
	text, err := readPython(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return errors.WithMessage(plainJSON(err), path)
	}
	for _, name := range []string{"vae", "vqvae"} {
		if part, ok := parts[name]; ok && string(part) != "null" {
			return errors.Errorf("%s tells of a %s, which turns what the network draws into images; only networks that draw pixels can be imported", path, name)
		}
	}
	return nil
}

// readScheduler finds scheduler_config.json; text is nil where there is none.
func readScheduler(dir string) (path string, text []byte, err error) {
	for _, path := range []string{filepath.Join(dir, schedFolder, schedulerFile), filepath.Join(dir, schedulerFile)} {
		text, err := readPython(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return path, text, err
		}
	}
	return "", nil, nil
}

// readWeights reads the weights next to a config.json, under the names of today or the old ones of attention. Its notes say what
// was chosen or changed.
func (m *Model) readWeights(folder string, o Options) (notes []string, err error) {
	files, err := findWeights(folder, o.Variant)
	if err != nil {
		return nil, err
	}
	path := files.single
	if files.index != "" {
		path = files.index
	}
	all, types, err := files.read(folder)
	if err != nil {
		return nil, err
	}
	if files.variant != "" && o.Variant == "" {
		notes = append(notes, fmt.Sprintf("its weights are those of the variant %s, the only ones there", files.variant))
	}
	if !slices.Equal(types, []string{"F32"}) {
		notes = append(notes, fmt.Sprintf("its weights of type %s are kept as float32", strings.Join(types, ", ")))
	}
	return notes, m.take(all, path, o)
}

// take takes the weights that a file holds, or several with an index.
func (m *Model) take(all map[string]*tensors.Tensor, path string, o Options) error {
	m.Weights = map[string][]float32{}
	var lacks, infinite []string
	for _, w := range weights(m.Net) {
		name := w.theirs
		if _, ok := all[name]; !ok {
			for now, before := range old {
				name = strings.Replace(name, now, before, 1)
			}
		}
		t, ok := all[name]
		delete(all, name)
		want := w.theirDims()
		grown := w.kind == rows && !o.NoLabel // the row that means no label comes
		if grown {
			want = []int{want[0] - 1, want[1]}
		}
		switch {
		case !ok:
			lacks = append(lacks, "no "+w.theirs)
			continue
		case !sameDims(t.Shape().Dimensions, want):
			lacks = append(lacks, fmt.Sprintf("%s is %v (need %v)", w.theirs, t.Shape().Dimensions, want))
			continue
		}
		values, err := float32s(t)
		if err != nil {
			return err
		}
		if err := t.FinalizeAll(); err != nil {
			return err
		}
		if slices.ContainsFunc(values, func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }) {
			infinite = append(infinite, w.theirs)
		}
		if grown {
			values = append(values, meanRow(values, want[1])...)
		}
		m.Weights[w.ours] = w.toOurs(values)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		lacks = append(lacks, "unknown "+name)
	}
	if n := len(lacks); n > 8 {
		lacks = append(lacks[:8], "and so on")
	}
	if len(lacks) == 0 && len(infinite) > 0 {
		return errors.Errorf("%s: NaN or infinity is among the values of %s; a network with such weights draws nothing: save it from a checkpoint before its training diverged", path, words.Some(infinite, 8))
	}
	return lacking(path+" does not hold the weights that "+configFile+" tells of", lacks)
}

// sameDims says whether a tensor has the wanted shape, except for ones at its end: old models have attention as convolutions of 1×1.
func sameDims(have, want []int) bool {
	trim := func(d []int) []int {
		for len(d) > 1 && d[len(d)-1] == 1 {
			d = d[:len(d)-1]
		}
		return d
	}
	return slices.Equal(trim(have), trim(want))
}

// meanRow is the mean of the rows of a matrix of so many columns.
func meanRow(values []float32, cols int) []float32 {
	mean := make([]float32, cols)
	n := len(values) / cols
	for c := range mean {
		sum := 0.0
		for r := range n {
			sum += float64(values[r*cols+c])
		}
		mean[c] = float32(sum / float64(n))
	}
	return mean
}
