package datasets

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
	"github.com/pkg/errors"
	"golang.org/x/text/unicode/norm"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/words"
)

// choices are what a user says of a set of their own, after its path: "PATH#label=coarse,test=0.1,seed=1".
type choices struct {
	// Label names the labels to take where there are several, as CIFAR-100 has fine and coarse ones; "": the only ones.
	Label string `json:"label,omitempty"`
	// Test is the share of each class that becomes test images where the set has no split, 0 for a fifth; Seed chooses which.
	Test float64 `json:"test,omitempty"`
	Seed uint64  `json:"seed,omitempty"`
}

// defaultTest is the share of each class that becomes test images where neither the set nor the user says it.
const defaultTest = 0.2

// parseChoices reads what follows the #.
func parseChoices(text string) (c choices, err error) {
	for setting := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(setting, "=")
		switch key {
		case "label":
			c.Label = value
		case "test":
			c.Test, err = strconv.ParseFloat(value, 64)
			if err != nil || !(c.Test > 0 && c.Test < 1) {
				return c, errors.Errorf("test=%s; need a share above 0 and below 1", value)
			}
		case "seed":
			if c.Seed, err = strconv.ParseUint(value, 10, 64); err != nil {
				return c, errors.Errorf("seed=%s; need a whole number from 0", value)
			}
		default:
			return c, errors.Errorf("%q after the #; need label=NAME, test=SHARE or seed=NUMBER, joined by commas", setting)
		}
	}
	return c, nil
}

// String is c as it is written after a path, "" if it says nothing.
func (c choices) String() string {
	var parts []string
	if c.Label != "" {
		parts = append(parts, "label="+c.Label)
	}
	if c.Test != 0 {
		parts = append(parts, "test="+strconv.FormatFloat(c.Test, 'g', -1, 64))
	}
	if c.Seed != 0 {
		parts = append(parts, fmt.Sprint("seed=", c.Seed))
	}
	if len(parts) == 0 {
		return ""
	}
	return "#" + strings.Join(parts, ",")
}

// place is where a set of a user's own is.
type place struct {
	Name string  `json:"-"`    // registered, else of the folder or file
	Path string  `json:"path"` // absolute
	How  choices `json:"how"`
}

// registry is the file that lists the registered sets.
func registry() (string, error) {
	dir, err := Dir()
	return filepath.Join(dir, "own.json"), err
}

// registered are the sets that Add has registered, by name.
func registered() (map[string]place, error) {
	file, err := registry()
	if err != nil {
		return nil, err
	}
	b, err := atomicfile.Read(file, 1<<24)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]place{}, nil
	}
	if err != nil {
		return nil, cacheError(err)
	}
	return parseRegistry(file, b)
}

// parseRegistry reads the content of the file that lists the registered sets.
func parseRegistry(file string, b []byte) (map[string]place, error) {
	var all map[string]place
	err := json.Unmarshal(b, &all)
	if err == nil && all == nil {
		err = errors.New("it is null")
	}
	if err != nil {
		return nil, errors.Errorf("%s, the list of registered sets, is damaged (%v); remove it and register them again with: go run . data add NAME PATH", file, err)
	}
	for name, p := range all {
		p.Name = name
		all[name] = p
	}
	return all, nil
}

// goodName is what a registered set may be called: names become parts of file names, and + joins them.
var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Add registers a user's own set under a name, which can then be used like a name of the catalogue. It reads the set's files once and
// returns what they hold. It returns an error if the name is taken.
func Add(name, ref string) (Info, error) {
	if !goodName.MatchString(name) {
		return Info{}, errors.Errorf("the name %.100q; need a letter or digit, then letters, digits, dots, dashes and underscores, 64 at most", name)
	}
	if _, err := find(name); err == nil {
		return Info{}, errors.Errorf("%s is a set of the catalogue; choose another name", name)
	}
	p, err := locate(ref)
	if err != nil {
		return Info{}, err
	}
	free := func(all map[string]place) error {
		if old, taken := all[name]; taken && (old.Path != p.Path || old.How != p.How) {
			return errors.Errorf("%s is registered already, for %s%s; choose another name, or forget that one first: go run . data remove %s", name, old.Path, old.How, name)
		}
		return nil
	}
	all, err := registered()
	if err != nil {
		return Info{}, err
	}
	if err := free(all); err != nil { // before the set is read, which may take long
		return Info{}, err
	}
	p.Name = name
	set, err := openOwn(p)
	if err != nil {
		return Info{}, err
	}
	return set.info(), changeRegistry(func(all map[string]place) error {
		if err := free(all); err != nil {
			return err
		}
		all[name] = p
		return nil
	})
}

// Remove forgets the set that was registered by a name. The user's files stay; what was prepared of them is removed.
func Remove(name string) error {
	var p place
	err := changeRegistry(func(all map[string]place) error {
		var ok bool
		if p, ok = all[name]; !ok {
			if _, err := find(name); err == nil {
				return errors.Errorf("%s is a set of the catalogue, which cannot be forgotten", name)
			}
			names := slices.Sorted(maps.Keys(all))
			if len(names) == 0 {
				return errors.Errorf("no set is registered as %.100q; there is none", name)
			}
			return errors.Errorf("no set is registered as %.100q%s; there are %s", name, words.DidYouMean(name, names), someOf(names))
		}
		delete(all, name)
		return nil
	})
	if err != nil {
		return err
	}
	return forgetPrepared(p)
}

// changeRegistry reads the registered sets, changes them and writes them, unless change returns an error. Processes take turns:
// otherwise two could read the same list, and the second to write would remove what the first had registered.
func changeRegistry(change func(all map[string]place) error) error {
	file, err := registry()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return cacheError(err)
	}
	lock := flock.New(filepath.Join(filepath.Dir(file), ".own.lock"))
	if err := lock.Lock(); err != nil {
		return cacheError(err)
	}
	defer func() { _ = lock.Unlock() }()
	all, err := registered()
	if err != nil {
		return err
	}
	if err := change(all); err != nil {
		return err
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return cacheError(atomicfile.Write(file, append(b, '\n')))
}

// locate finds the folder or file of a path, which may begin with ~ and be followed by choices.
func locate(ref string) (p place, err error) {
	path := ref
	if before, _, _ := strings.Cut(ref, "#"); strings.TrimSpace(before) == "" {
		return p, errors.Errorf("%.100q names an empty path; need a folder or file of images (. is the folder at hand), or the name of a set", ref)
	}
	if _, err := os.Stat(expand(path)); err != nil {
		if before, after, ok := strings.Cut(ref, "#"); ok {
			if p.How, err = parseChoices(after); err != nil {
				return p, errors.Errorf("%.200s: %v", ref, err)
			}
			path = before
		}
	}
	if p.Path, err = filepath.Abs(expand(path)); err != nil {
		return p, err
	}
	if _, err := os.Stat(p.Path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return p, notThere{errors.Errorf("there is no %s; name a folder or file that is there", p.Path)}
		}
		return p, errors.Errorf("%s cannot be read (%s); name a folder or file that can", p.Path, reasonOf(err))
	}
	p.Name = nameOf(p.Path)
	return p, nil
}

// notThere is the error of a path where nothing is: fs.ErrNotExist in other words.
type notThere struct{ error }

func (notThere) Is(target error) bool { return target == fs.ErrNotExist }

// nameOf is what a set that is not registered is called: as its folder or file, in letters of any language, digits, dots, dashes and
// underscores; of the two ways in which Unicode writes é it has the shorter.
func nameOf(path string) string {
	name := regexp.MustCompile(`[^\p{L}\p{M}\p{N}._-]+`).ReplaceAllString(norm.NFC.String(filepath.Base(path)), "-")
	for _, ext := range []string{".gz", ".npz", ".parquet", ".tar", ".tgz", ".bin", ".tar"} {
		name = strings.TrimSuffix(name, ext)
	}
	name = strings.TrimLeft(name, "-._")
	if name == "" {
		return "own"
	}
	return strings.ToValidUTF8(name[:min(len(name), 64)], "") // not within a letter
}

// expand replaces a ~ at the beginning by the user's home folder, as a shell does outside of quotes.
func expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// resolve finds what a reference means: a set of the catalogue, or one of the user's own, by its registered name or its path.
func resolve(ref string) (*spec, place, error) {
	if s, err := find(ref); err == nil {
		return s, place{}, nil
	}
	all, err := registered()
	if err != nil {
		return nil, place{}, err
	}
	if p, ok := all[ref]; ok {
		return nil, p, p.missing(ref)
	}
	p, err := locate(ref)
	if err != nil && strings.TrimSpace(ref) != "" && !strings.ContainsAny(ref, `/\#`) && !strings.HasPrefix(ref, ".") {
		known := append(Names(), slices.Sorted(maps.Keys(all))...)
		return nil, p, errors.Errorf("no set is named %.100q%s; known are %s, and any folder or file of pictures by its path", ref, words.DidYouMean(ref, known), someOf(known))
	}
	return nil, p, err
}

// missing says that the folder or file of the registered set name is not there, and what to do.
func (p place) missing(name string) error {
	if _, err := os.Stat(p.Path); err != nil {
		return errors.Errorf("%s is registered for %s, which cannot be read (%s); bring it back, or forget it: go run . data remove %s", name, p.Path, reasonOf(err), name)
	}
	return nil
}

// Known returns an error unless ref is a set of the catalogue, a registered name, or the path of a folder or file that is
// there. It opens nothing.
func Known(ref string) error {
	_, _, err := resolve(ref)
	return err
}

// Holds says whether a file belongs to a user's own set or lies in one of its folders; links are followed, and the file need not
// exist. It is false for sets of the catalogue.
func Holds(ref, file string) (bool, error) {
	s, p, err := resolve(ref)
	if err != nil || s != nil {
		return false, err
	}
	_, files, err := recognise(p.Path)
	if err != nil {
		return false, oneline.Error(err)
	}
	own := []string{p.Path} // and the folders that links lead to
	for _, f := range files {
		if dir := filepath.Dir(f); f != p.Path && dir != own[len(own)-1] {
			own = append(own, dir)
		}
	}
	if _, err := os.Stat(file); err == nil {
		own = append(own, files...)
	}
	var above []fs.FileInfo // the file, if it is there, and the folders it is in
	if file, err = filepath.Abs(file); err != nil {
		return false, err
	}
	if actual, err := filepath.EvalSymlinks(file); err == nil {
		file = actual
	} else if dir, err := filepath.EvalSymlinks(filepath.Dir(file)); err == nil {
		file = filepath.Join(dir, filepath.Base(file))
	}
	for at := file; ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil {
			above = append(above, info)
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	for _, path := range own {
		info, err := os.Stat(path)
		if err == nil && slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
			return true, nil
		}
	}
	return false, nil
}

// Canonical is a reference that means the same in every folder: a path becomes absolute, a name stays.
func Canonical(ref string) (string, error) {
	s, p, err := resolve(ref)
	if err != nil || s != nil {
		return ref, err
	}
	if p.Name == ref {
		if all, err := registered(); err != nil || all[ref].Path == p.Path {
			return ref, err
		}
	}
	return p.Path + p.How.String(), nil
}
