// Package models keeps networks trained elsewhere by name, in the cache folder, for studies to start from.
//
// A model is a folder models/NAME there: model.json, its network, process and labels ([Info]), and weights.safetensors with a
// value for every weight by our names. It is written whole or not at all. Its identity, [Info].SHA256, is that of all it holds,
// whatever it is called: a study stores it, and goes on with no other.
package models

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/kept"
	"palimpsest/pkg/safetensors"
	"palimpsest/pkg/unet"
)

// Files of a model.
const (
	infoFile    = "model.json"
	weightsFile = "weights.safetensors"
)

// Info is a model without its weights.
type Info struct {
	Name    string           `json:"-"`
	Source  string           `json:"source"` // where it came from, for people
	Net     unet.Config      `json:"network"`
	Process diffusion.Config `json:"process"`
	Labels  diffusers.Labels `json:"labels"`
	Weights string           `json:"weights_sha256"` // of weightsFile
	SHA256  string           `json:"sha256"`         // of network, process and weights

	SourceSHA256 string `json:"source_sha256,omitempty"` // [diffusers.FilesSHA256] of Source when it was read; "": not recorded
}

// identity is the SHA256 of a model by its infoFile, as it is written there: settings that were added since change nothing.
func identity(text []byte) (string, error) {
	var i struct {
		Network json.RawMessage `json:"network"`
		Process json.RawMessage `json:"process"`
		Weights string          `json:"weights_sha256"`
	}
	if err := json.Unmarshal(text, &i); err != nil {
		return "", errors.WithStack(err)
	}
	var net, process bytes.Buffer
	if err := json.Compact(&net, i.Network); err != nil {
		return "", errors.WithStack(err)
	}
	if err := json.Compact(&process, i.Process); err != nil {
		return "", errors.WithStack(err)
	}
	return hex.EncodeToString(kept.Digest(net.Bytes(), process.Bytes(), []byte(i.Weights))), nil
}

// Dir is the folder of all models.
func Dir() (string, error) {
	cache, err := backend.CacheDir()
	return filepath.Join(cache, "models"), err
}

// LongestName is how many bytes a name may have.
const LongestName = 60

// CheckName reports a name that no model can have: it becomes a folder's on any system, and a setting's value.
func CheckName(name string) error {
	bad := func(r rune) bool {
		return r >= 0x80 || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-+", r)
	}
	if name == "" || len(name) > LongestName || name[0] == '.' || name[0] == '-' || strings.ContainsFunc(name, bad) || !filepath.IsLocal(name) {
		return errors.Errorf("the name of a model is %.80q; need up to %d letters from a to z, digits, dots, dashes or underscores, such as \"cifar-ddpm\"", name, LongestName)
	}
	return nil
}

// folder is that of a name.
func folder(name string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	dir, err := Dir()
	final := filepath.Join(dir, name)
	if _, missing := os.Stat(final); missing != nil && os.Getenv(asideEnv) != "" {
		final = filepath.Join(os.Getenv(asideEnv), name)
	}
	return final, err
}

// asideEnv names the folder of [Aside], for this process and those that it starts.
const asideEnv = "PALIMPSEST_MODELS_ASIDE"

// Aside has models that are put from now on kept until the function that it returns is called, and seen only by this process and those
// that it starts.
func Aside() (end func(), err error) {
	dir, err := Dir() // where there is as much room as for those that are kept
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	remove := func() {}
	if err == nil {
		dir, remove, err = atomicfile.Temporary(dir, "dry-run")
	}
	if err != nil {
		return remove, errors.WithStack(err)
	}
	before := os.Getenv(asideEnv)
	return func() {
		_ = os.Setenv(asideEnv, before)
		remove()
	}, errors.WithStack(os.Setenv(asideEnv, dir))
}

// Free reports a name that no model can have, or that one has, unless it is to be replaced.
func Free(name string, replace bool) error {
	final, err := folder(name)
	if err != nil {
		return err
	}
	if _, err := os.Stat(final); err == nil && !replace {
		return errors.Errorf("there is a model %s already; choose another name, `go run . import remove %s`, or import with --overwrite", name, name)
	}
	return nil
}

// Put keeps a model under a name, in place of one that is there only where replace is set.
func Put(name, source string, m *diffusers.Model, replace bool) (Info, error) {
	if err := Free(name, replace); err != nil {
		return Info{}, err
	}
	final, err := folder(name)
	if err != nil {
		return Info{}, err
	}
	dir := filepath.Dir(final)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Info{}, errors.WithStack(err)
	}
	dims := m.Dims()
	var all []safetensors.Tensor
	for _, name := range slices.Sorted(maps.Keys(dims)) {
		all = append(all, safetensors.Tensor{Name: name, Value: tensors.FromFlatDataAndDimensions(m.Weights[name], dims[name]...)})
	}
	i := Info{Name: name, Source: source, Net: m.Net, Process: m.Process, Labels: m.Labels}
	if info, err := os.Stat(source); err == nil && info.IsDir() {
		if i.SourceSHA256, err = diffusers.FilesSHA256(source); err != nil {
			return Info{}, err
		}
	}
	put := atomicfile.WriteFolder
	if replace {
		put = atomicfile.RewriteFolder
	}
	err = put(final, func(temporary string) (err error) {
		path := filepath.Join(temporary, weightsFile)
		if err := safetensors.WriteFile(path, nil, all); err != nil {
			return err
		}
		if i.Weights, err = atomicfile.SHA256(path); err != nil {
			return err
		}
		text, err := json.Marshal(i)
		if err != nil {
			return errors.WithStack(err)
		}
		if i.SHA256, err = identity(text); err != nil {
			return err
		}
		text, err = json.MarshalIndent(i, "", " ")
		if err != nil {
			return errors.WithStack(err)
		}
		return atomicfile.Write(filepath.Join(temporary, infoFile), append(text, '\n'))
	})
	return i, errors.WithMessagef(err, "keeping the model %s", name)
}

// Remove removes a model.
func Remove(name string) error {
	path, err := folder(name)
	if err != nil {
		return err
	}
	if err := atomicfile.RemoveFolder(path); errors.Is(err, fs.ErrNotExist) {
		return errors.Errorf("no model is named %s, so there is none to remove; `go run . import` lists them", name)
	} else if err != nil {
		return err
	}
	return nil
}

// missing is the error of a model that is not there.
func missing(name string) error {
	all, _ := List()
	var names []string
	for _, i := range all {
		names = append(names, i.Name)
	}
	if len(names) == 0 {
		return errors.Errorf("no model is named %s, and none has been imported: `go run . import DIR %s`", name, name)
	}
	return errors.Errorf("no model is named %s; there are %s: `go run . import DIR %s` brings another", name, strings.Join(names, ", "), name)
}

// List lists the models by name. What is no model in the folder is passed over.
func List() ([]Info, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.WithStack(err)
	}
	var all []Info
	for _, e := range entries {
		if i, err := Get(e.Name()); err == nil && e.IsDir() {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// mostInfo is how many bytes the description of a model may have.
const mostInfo = 4 << 20

// Get returns a model without its weights.
func Get(name string) (Info, error) {
	path, err := folder(name)
	if err != nil {
		return Info{}, err
	}
	text, err := atomicfile.Read(filepath.Join(path, infoFile), mostInfo)
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, missing(name)
	}
	if err != nil {
		return Info{}, err
	}
	i := Info{}
	if err := json.Unmarshal(text, &i); err != nil {
		return i, errors.Errorf("the model %s is damaged (%s: %v); import it again with --overwrite", name, infoFile, err)
	}
	i.Name = name
	if sum, err := identity(text); err != nil || sum != i.SHA256 {
		return i, errors.Errorf("the model %s is damaged: its %s is not as it was written; import it again with --overwrite", name, infoFile)
	}
	return i, errors.WithMessagef(i.Net.Validate(), "the model %s", name)
}

// Load returns the weights of a model by our names.
func (i Info) Load() (map[string][]float32, error) {
	path, err := folder(i.Name)
	if err != nil {
		return nil, err
	}
	path = filepath.Join(path, weightsFile)
	damaged := func(err error) error {
		return errors.Errorf("the weights of the model %s are damaged (%v); import it again with --overwrite", i.Name, err)
	}
	sum, err := atomicfile.SHA256(path)
	if err != nil {
		return nil, damaged(err)
	}
	if sum != i.Weights {
		return nil, damaged(errors.Errorf("SHA-256 %.12s…, need %.12s…", sum, i.Weights))
	}
	want := map[string]shapes.Shape{}
	for name, dims := range (&diffusers.Model{Net: i.Net}).Dims() {
		want[name] = shapes.Make(dtypes.Float32, dims...)
	}
	all, err := safetensors.ReadFile(path, want)
	if err != nil {
		return nil, damaged(err)
	}
	weights := map[string][]float32{}
	for name, t := range all {
		if weights[name], err = tensors.CopyFlatData[float32](t); err != nil {
			return nil, err
		}
		if err := t.FinalizeAll(); err != nil {
			return nil, err
		}
	}
	return weights, nil
}
