package diffusers

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
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

// Read reads the model in a folder, that of a pipeline or of a UNet2DModel alone. Notes are lines about what the folder does
// not say, or says without effect. Where we have no form for something the error lists all of it.
func Read(dir string, o Options) (m *Model, notes []string, err error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, nil, errors.Errorf("there is no folder %s; name the one of a model of diffusers", dir)
	}
	folder := filepath.Join(dir, unetFolder)
	if _, err := os.Stat(filepath.Join(folder, configFile)); err != nil {
		folder = dir
	}
	path := filepath.Join(folder, configFile)
	text, err := atomicfile.Read(path, mostConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, errors.Errorf("%s is no model of diffusers: it has neither %s nor %s", dir, filepath.Join(unetFolder, configFile), configFile)
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
	return m, notes, m.readWeights(folder, o)
}

// readScheduler finds scheduler_config.json; text is nil where there is none.
func readScheduler(dir string) (path string, text []byte, err error) {
	for _, path := range []string{filepath.Join(dir, schedFolder, schedulerFile), filepath.Join(dir, schedulerFile)} {
		text, err := atomicfile.Read(path, mostConfig)
		if !errors.Is(err, fs.ErrNotExist) {
			return path, text, err
		}
	}
	return "", nil, nil
}

// readWeights reads the weights next to a config.json, under the names of today or the old ones of attention.
func (m *Model) readWeights(folder string, o Options) error {
	path := filepath.Join(folder, weightsFile)
	if _, err := os.Stat(path); err != nil {
		beside := ""
		for _, ending := range []string{"bin", "pt", "pth", "ckpt", "safetensors", "safetensors.index.json"} {
			if found, err := atomicfile.Glob(folder, "*."+ending); err == nil && len(found) > 0 {
				beside = ", but " + filepath.Base(found[0])
				break
			}
		}
		return errors.Errorf("%s has no %s, the one form of weights that is read%s; write it in Python with %s", folder, weightsFile, beside, rewrite(folder))
	}
	all, err := readFloats(path, folder)
	if err != nil {
		return err
	}
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
		case t.DType() != dtypes.Float32 || !sameDims(t.Shape().Dimensions, want):
			lacks = append(lacks, fmt.Sprintf("%s is %v (need %v)", w.theirs, t.Shape().Dimensions, want))
			continue
		}
		values, err := tensors.CopyFlatData[float32](t)
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

// rewrite is the line of Python that writes the model in a folder as it is read here.
func rewrite(folder string) string {
	return fmt.Sprintf("UNet2DModel.from_pretrained(%q).float().save_pretrained(\"FOLDER\", safe_serialization=True, max_shard_size=\"100GB\")", folder)
}

// lfsPointer begins the file that stands for a large one in a repository whose large files were not fetched.
const lfsPointer = "version https://git-lfs"

// readFloats reads the tensors of a file, which are to be float32.
func readFloats(path, folder string) (map[string]*tensors.Tensor, error) {
	types, _, err := safetensors.ReadHeader(path)
	if err != nil {
		if text, short := atomicfile.Read(path, 4096); short == nil && strings.HasPrefix(string(text), lfsPointer) {
			return nil, errors.Errorf("%s is a pointer of Git LFS, which stands for weights that were not fetched; fetch them with `git lfs pull` in its repository", path)
		}
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if types[name] != "F32" {
			return nil, errors.Errorf("%s: %s is of type %s; weights need to be float32 (F32): write them in Python with %s", path, oneline.Text(name), types[name], rewrite(folder))
		}
	}
	return safetensors.ReadFileAll(path)
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
