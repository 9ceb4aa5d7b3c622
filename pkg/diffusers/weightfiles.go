package diffusers

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/dtypes/gotype"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/safetensors"
	"palimpsest/pkg/words"
)

// Names of files of weights: all in one, or parted with an index that says which file has which weight. A variant, such as
// weights in float16, is named between the dots: diffusion_pytorch_model.fp16.safetensors.
const (
	weightsStem   = "diffusion_pytorch_model"
	weightsEnding = ".safetensors"
	indexEnding   = ".safetensors.index"
	weightsFile   = weightsStem + weightsEnding
)

// part is in the name of a file that an index names.
var part = regexp.MustCompile(`-\d{5}-of-\d{5}`)

// weightFiles are what a folder has of one variant's weights.
type weightFiles struct {
	variant string // "": the plain ones
	index   string // path of the index; "": there is none
	single  string // path of the file; "": there is none
}

// findWeights finds the weights of a variant in a folder, where "" is the plain ones, or of those that have a name the only one.
// Where there are an index and a single file, diffusers takes the index.
func findWeights(folder, variant string) (weightFiles, error) {
	found := map[string]weightFiles{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return weightFiles{}, errors.WithStack(err)
	}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), weightsStem)
		if !ok || part.MatchString(name) {
			continue
		}
		path := filepath.Join(folder, e.Name())
		if v, ok := strings.CutSuffix(name, weightsEnding); ok && (v == "" || v[0] == '.') {
			f := found[strings.TrimPrefix(v, ".")]
			f.single = path
			found[strings.TrimPrefix(v, ".")] = f
		} else if v, ok := strings.CutPrefix(strings.TrimSuffix(name, ".json"), indexEnding); ok && strings.HasSuffix(name, ".json") && (v == "" || v[0] == '.') {
			f := found[strings.TrimPrefix(v, ".")]
			f.index = path
			found[strings.TrimPrefix(v, ".")] = f
		}
	}
	names := slices.Sorted(maps.Keys(found))
	if variant == "" && len(names) == 1 {
		variant = names[0]
	}
	f, ok := found[variant]
	f.variant = variant
	switch {
	case ok:
		return f, nil
	case len(names) == 0:
		return f, noWeights(folder)
	case variant == "":
		return f, errors.Errorf("%s has weights of the variants %s; say which with --variant", folder, words.Some(names, 8))
	}
	had := "variants " + words.Some(slices.DeleteFunc(names, func(n string) bool { return n == "" }), 8)
	if names[0] == "" {
		had = "the plain ones"
		if len(names) > 1 {
			had += " and those of variants " + words.Some(names[1:], 8)
		}
	}
	return f, errors.Errorf("%s has no weights of the variant %q, but %s; give another --variant, or none for the plain ones", folder, oneline.Text(variant), had)
}

// noWeights is the error of a folder without any that are read.
func noWeights(folder string) error {
	for _, ending := range []string{"bin", "bin.index.json", "pt", "pth", "ckpt", "safetensors", "safetensors.index.json"} {
		if found, err := atomicfile.Glob(folder, "*."+ending); err == nil && len(found) > 0 {
			name, variant := filepath.Base(found[0]), ""
			if v, ok := strings.CutPrefix(strings.TrimSuffix(name, ".bin"), weightsStem+"."); ok && strings.HasSuffix(name, ".bin") {
				variant = v
			}
			return errors.Errorf("%s has no %s, but %s, which is not read; write it in Python with %s", folder, weightsFile, name, rewrite(folder, variant))
		}
	}
	return errors.Errorf("%s has no %s, and no weights of another form; name the folder of a whole model, as diffusers' save_pretrained writes it", folder, weightsFile)
}

// rewrite is the line of Python that writes the model in a folder as it is read here.
func rewrite(folder, variant string) string {
	if variant != "" {
		variant = fmt.Sprintf(", variant=%q", variant)
	}
	return fmt.Sprintf("UNet2DModel.from_pretrained(%q%s).float().save_pretrained(\"FOLDER\", safe_serialization=True)", folder, variant)
}

// read reads the weights, and says which types they have.
func (f weightFiles) read(folder string) (all map[string]*tensors.Tensor, types []string, err error) {
	if f.index == "" {
		return readFloats(f.single, folder)
	}
	text, err := readPython(f.index)
	if err != nil {
		return nil, nil, err
	}
	var index struct {
		Files map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, nil, errors.WithMessage(plainJSON(err), f.index)
	}
	if len(index.Files) == 0 {
		return nil, nil, errors.Errorf("%s has no weight_map, which says which file has which weight; fetch it again", f.index)
	}
	all = map[string]*tensors.Tensor{}
	for _, name := range slices.Compact(slices.Sorted(maps.Values(index.Files))) {
		if filepath.Base(name) != name || !filepath.IsLocal(name) || !strings.HasSuffix(name, weightsEnding) {
			return nil, nil, errors.Errorf("%s names a file %q; need one beside it that ends in %s", f.index, oneline.Text(name), weightsEnding)
		}
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); err != nil {
			return nil, nil, errors.Errorf("%s is not there, of which %s tells; fetch it too", path, filepath.Base(f.index))
		}
		some, has, err := readFloats(path, folder)
		if err != nil {
			return nil, nil, err
		}
		types = append(types, has...)
		for weight, value := range some {
			if index.Files[weight] != name {
				return nil, nil, errors.Errorf("%s has %s, which %s does not tell of; fetch all files of the model again", path, oneline.Text(weight), filepath.Base(f.index))
			}
			all[weight] = value
		}
	}
	for _, weight := range slices.Sorted(maps.Keys(index.Files)) {
		if _, ok := all[weight]; !ok {
			return nil, nil, errors.Errorf("%s has no %s, of which %s tells; fetch all files of the model again",
				filepath.Join(folder, index.Files[weight]), oneline.Text(weight), filepath.Base(f.index))
		}
	}
	slices.Sort(types)
	return all, slices.Compact(types), nil
}

// lfsPointer begins the file that stands for a large one in a repository whose large files were not fetched.
const lfsPointer = "version https://git-lfs"

// readFloats reads the tensors of a file, which are to be numbers with a point, and says which types they have.
func readFloats(path, folder string) (all map[string]*tensors.Tensor, types []string, err error) {
	named, _, err := safetensors.ReadHeader(path)
	if err != nil {
		if text, short := atomicfile.Read(path, 4096); short == nil && strings.HasPrefix(string(text), lfsPointer) {
			return nil, nil, errors.Errorf("%s is a pointer of Git LFS, which stands for weights that were not fetched; fetch them with `git lfs pull` in its repository", path)
		}
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if !slices.Contains([]string{"F64", "F32", "F16", "BF16"}, named[name]) {
			return nil, nil, errors.Errorf("%s: %s is of type %s; weights need to be F32, F16, BF16 or F64: write them in Python with %s", path, oneline.Text(name), oneline.Text(named[name]), rewrite(folder, ""))
		}
	}
	all, err = safetensors.ReadFileAll(path)
	return all, slices.Compact(slices.Sorted(maps.Values(named))), err
}

// float32s are a tensor's values as float32: exactly those of the shorter types, the nearest to those of float64.
func float32s(t *tensors.Tensor) ([]float32, error) {
	switch t.DType() {
	case dtypes.Float16:
		return converted(t, float16.Float16.Float32)
	case dtypes.BFloat16:
		return converted(t, bfloat16.BFloat16.Float32)
	case dtypes.Float64:
		return converted(t, func(v float64) float32 { return float32(v) })
	}
	return tensors.CopyFlatData[float32](t)
}

// converted applies a function to each value of a tensor.
func converted[T gotype.Supported](t *tensors.Tensor, to func(T) float32) ([]float32, error) {
	from, err := tensors.CopyFlatData[T](t)
	if err != nil {
		return nil, err
	}
	values := make([]float32, len(from))
	for i, v := range from {
		values[i] = to(v)
	}
	return values, nil
}
