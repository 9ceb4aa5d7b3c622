package metrics

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/safetensors"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

//go:embed weights/*.safetensors weights/*.json
var shipped embed.FS

// Shipped lists the classifiers whose weights come with the program, such as
// "fashion-mnist-pad32": dataset, preparation, size.
func Shipped() []string {
	files, err := fs.Glob(shipped, "weights/*.safetensors")
	if err != nil {
		panic(err) // only for a malformed pattern
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "weights/"), ".safetensors")
	}
	return files
}

// LoadClassifier returns the shipped classifier for images of the dataset, prepared by prep. A
// part of a dataset is judged by the classifier of the whole: "fashion-mnist-sample" by that of
// "fashion-mnist", and "mnist" and "mnist-10k" by one. Sets joined as by [JoinDatasets],
// "fashion-mnist+mnist", have a classifier of their own. The error for a pair that is not shipped
// names those that are and the command that trains others.
//
// The classifiers of "mnist" were trained on mnist-10k, whose split is not the official one: the
// official test images may be among the 8,000 they learned from, so train another by the same
// command to judge the official MNIST. That of "cifar-10" is a weak judge, right for seven images
// in ten: for colour images prefer [LoadInception].
func LoadClassifier(backend compute.Backend, dataset string, prep datasets.Prep) (*Classifier, error) {
	if err := HasClassifier(dataset, prep); err != nil {
		return nil, err
	}
	weights, err := fs.Sub(shipped, "weights")
	if err != nil {
		return nil, err
	}
	return ReadClassifier(backend, weights, weightsName(dataset, canonicalPrep(dataset, prep)))
}

// HasClassifier returns the error that [LoadClassifier] would for a pair that is not shipped, and nil for one that is.
func HasClassifier(dataset string, prep datasets.Prep) error {
	prep = canonicalPrep(dataset, prep)
	if err := checkSide(prep.Size); err != nil {
		return err
	}
	name := weightsName(dataset, prep)
	if slices.Contains(Shipped(), name) {
		return nil
	}
	channels := ""
	if prep.Channels != 0 {
		channels = fmt.Sprintf(" --channels %d", prep.Channels)
	}
	return errors.Errorf("metrics: no classifier for %s; there are %s; train it with: "+
		"go run . data train-classifier %s --size %d --method %s%s", name, strings.Join(Shipped(), ", "),
		wholeSets(dataset), prep.Size, prep.Method, channels)
}

// sideUnit is what the side of a classifier's images is a multiple of, in pixels: it halves them four times.
const sideUnit = 16

// checkSide returns an error for images that no classifier takes.
func checkSide(side int) error {
	if side >= sideUnit && side%sideUnit == 0 {
		return nil
	}
	below := max(sideUnit, side/sideUnit*sideUnit)
	return errors.Errorf("metrics: images of %d×%d, of which there is no classifier: their side must be a multiple of %d; prepare them at size %d or %d "+
		"(benchmark.prep.size, method \"pad\" or \"area\"), or name the file of an Inception network as evaluate.extractor",
		side, side, sideUnit, below, below+sideUnit)
}

// ReadClassifier reads NAME.safetensors and NAME.json, as [Classifier.Save] wrote them, from a
// folder. It returns an error if the weights are not those whose SHA-256 the JSON states.
func ReadClassifier(backend compute.Backend, folder fs.FS, name string) (*Classifier, error) {
	if name == "" {
		return nil, errors.New("metrics.ReadClassifier: no name of a classifier; give that of its files without .safetensors")
	}
	if folder == nil {
		return nil, errors.Errorf("metrics.ReadClassifier: no folder to read %q from (nil); take os.DirFS of one", name)
	}
	text, err := fs.ReadFile(folder, name+".json")
	if err != nil {
		return nil, errors.Wrapf(err, "metrics.ReadClassifier: %s", name)
	}
	info, err := parseInfo(text)
	if err != nil {
		return nil, errors.WithMessagef(err, "metrics.ReadClassifier: %s.json", name)
	}
	weights := name + ".safetensors"
	content, err := fs.ReadFile(folder, weights)
	if err != nil {
		return nil, errors.Wrapf(err, "metrics.ReadClassifier: %s", name)
	}
	if sum := sha256Hex(content); sum != info.SHA256 {
		return nil, errors.Errorf("metrics.ReadClassifier: %s has SHA-256 %s but %s.json states %s; "+
			"restore both from one training", weights, sum, name, info.SHA256)
	}
	values, err := decodeWeights(content, classifierShapes(info.Channels, len(info.Classes)))
	if err != nil {
		return nil, errors.WithMessagef(err, "metrics.ReadClassifier: %s", weights)
	}
	return newClassifier(backend, info, values)
}

// parseInfo reads the description of a classifier that can be.
func parseInfo(text []byte) (info ClassifierInfo, err error) {
	if err := json.Unmarshal(text, &info); err != nil {
		return info, oneline.Error(errors.WithStack(err))
	}
	if info.FeatureDim != FeatureDim || info.Channels != 1 && info.Channels != 3 || len(info.Classes) < 1 || len(info.Classes) > datasets.MaxClasses ||
		info.Size < 16 || info.Size > 1<<12 || info.Size%16 != 0 {
		return info, errors.Errorf("it states %d features, %d channels, %d classes, size %d; "+
			"need %d features, 1 or 3 channels, 1 to %d classes, and a size that is a multiple of 16 up to %d",
			info.FeatureDim, info.Channels, len(info.Classes), info.Size, FeatureDim, datasets.MaxClasses, 1<<12)
	}
	return info, nil
}

// FileName is the name, without ending, of the files that [Classifier.Save] writes, such as
// "fashion-mnist-pad32".
func (c *Classifier) FileName() string { return weightsName(c.Info.Dataset, c.Info.Prep) }

// Save writes the weights and the description, [Classifier.FileName] with .safetensors and .json,
// to a folder that it makes if need be, and returns that name.
func (c *Classifier) Save(dir string) (string, error) {
	content, err := encodeWeights(c.values)
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(c.Info, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	name := c.FileName()
	if err := atomicfile.Write(filepath.Join(dir, name+".safetensors"), content); err != nil {
		return "", err
	}
	return name, atomicfile.Write(filepath.Join(dir, name+".json"), append(text, '\n'))
}

// encodeWeights makes a safetensors file of tensors in the order of their names, so that equal weights are equal bytes
// and have one SHA-256.
func encodeWeights(values map[string]*tensors.Tensor) ([]byte, error) {
	var all []safetensors.Tensor
	for _, name := range slices.Sorted(maps.Keys(values)) {
		all = append(all, safetensors.Tensor{Name: name, Value: values[name]})
	}
	var content bytes.Buffer
	err := safetensors.Write(&content, nil, all)
	return content.Bytes(), err
}

// decodeWeights reads float32 tensors of exactly the given names and shapes, all of whose values must be finite.
func decodeWeights(content []byte, dims map[string][]int) (map[string]*tensors.Tensor, error) {
	want := make(map[string]shapes.Shape, len(dims))
	for name, d := range dims {
		want[name] = shapes.Make(dtypes.Float32, d...)
	}
	values, err := safetensors.Read(bytes.NewReader(content), int64(len(content)), want)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		flat, err := floatsOf(values[name])
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(flat, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }); i >= 0 {
			return nil, errors.Errorf("value %d of tensor %s is %g; need finite weights", i, name, flat[i])
		}
	}
	return values, nil
}

// canonicalPrep fills in the defaults, so that one preparation of a dataset has one name. Flips are no matter of evaluation,
// and so is a number of channels that the dataset has anyway.
func canonicalPrep(dataset string, p datasets.Prep) datasets.Prep {
	if p.Size == 0 {
		p.Size = 32
	}
	if p.Method == "" {
		p.Method = "pad"
	}
	p.Flip = false
	if _, _, c, err := datasets.PreparedShape(datasets.Prep{Method: "none"}, wholeParts(dataset)...); err == nil && c == p.Channels {
		p.Channels = 0
	}
	return p
}

// weightsName names a classifier by its data: "fashion-mnist-pad32", "cifar-10-area16-grey".
func weightsName(dataset string, p datasets.Prep) string {
	name := fmt.Sprintf("%s-%s%d", wholeSets(dataset), p.Method, p.Size)
	switch p.Channels {
	case 0:
		return name
	case 1:
		return name + "-grey"
	}
	return name + "-colour"
}

// wholeSets names the sets of which the given ones, joined by +, are parts.
func wholeSets(dataset string) string { return strings.Join(wholeParts(dataset), "+") }

// wholeParts are the sets that wholeSets joins.
func wholeParts(dataset string) []string {
	parts := strings.Split(dataset, "+")
	for i, p := range parts {
		parts[i] = strings.TrimSuffix(strings.TrimSuffix(p, "-sample"), "-10k")
	}
	return parts
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
