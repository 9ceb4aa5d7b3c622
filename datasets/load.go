package datasets

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pkg/errors"
)

//go:embed embedded/*.gz
var embedded embed.FS

// Dir is the folder that Get writes the sets to, one folder each. It is
// <cache>/palimpsest/datasets in the user's cache folder; the environment variable
// PALIMPSEST_CACHE replaces <cache>/palimpsest. It need not exist.
func Dir() (string, error) {
	if cache := os.Getenv("PALIMPSEST_CACHE"); cache != "" {
		return filepath.Join(cache, "datasets"), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", errors.Wrap(err, "datasets: no cache folder; set PALIMPSEST_CACHE to a folder to use")
	}
	return filepath.Join(cache, "palimpsest", "datasets"), nil
}

// Load reads a set into memory: "fashion-mnist-sample" always, the others if Get has
// brought them. Every file's SHA-256 is checked. Where the official MNIST is not on disk but
// "mnist-10k" is, Load("mnist") returns that, and its Name, Title and Source say so.
// The error for a set not on disk names the command that brings it.
func Load(name string) (*Dataset, error) {
	s, err := find(name)
	if err != nil {
		return nil, err
	}
	if s.embedded {
		sub, err := fs.Sub(embedded, "embedded")
		if err != nil {
			return nil, err
		}
		return s.load(sub, "embedded")
	}
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	d, err := s.loadFrom(dir)
	if errors.Is(err, fs.ErrNotExist) && s.variant != "" {
		v, findErr := find(s.variant)
		if findErr != nil {
			return nil, findErr
		}
		if d, vErr := v.loadFrom(dir); !errors.Is(vErr, fs.ErrNotExist) {
			return d, vErr
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Errorf("datasets: %s is not on this machine (looked in %s); get it with: go run . data get %s",
			name, filepath.Join(dir, name), name)
	}
	return d, err
}

// loadFrom reads the set from its folder under dir. A folder that is not there gives an
// error that is fs.ErrNotExist.
func (s *spec) loadFrom(dir string) (*Dataset, error) {
	folder := filepath.Join(dir, s.name)
	if _, err := os.Stat(folder); err != nil {
		return nil, err
	}
	d, err := s.load(os.DirFS(folder), folder)
	if err != nil {
		// %v hides fs.ErrNotExist: the set is there but not whole.
		return nil, errors.Errorf("%v; the copy on disk is damaged, mend it with: go run . data get %s", err, s.name)
	}
	return d, nil
}

// load reads and checks the set's files in fsys; folder is its name in errors.
func (s *spec) load(fsys fs.FS, folder string) (*Dataset, error) {
	content := make(map[string][]byte, len(s.files))
	for _, f := range s.files {
		name := s.diskName(f)
		r, err := fsys.Open(name)
		if err != nil {
			return nil, errors.Wrapf(err, "datasets: %s", folder)
		}
		b, err := readOpen(filepath.Join(folder, name), r, f.size)
		r.Close()
		if err != nil {
			return nil, err
		}
		content[f.name] = b
	}
	return s.assemble(content, folder)
}

// diskName is the name under which a file is stored: IDX files are compressed, CIFAR's,
// which hardly shrink, are not.
func (s *spec) diskName(f file) string {
	if s.format == formatIDX {
		return f.name + ".gz"
	}
	return f.name
}

// assemble checks the canonical files' contents against their sums and makes the set of
// them. from says in errors where they come from.
func (s *spec) assemble(content map[string][]byte, from string) (*Dataset, error) {
	for _, f := range s.files {
		b, ok := content[f.name]
		if !ok {
			return nil, errors.Errorf("datasets: %s: no %s; %s needs it", from, f.name, s.name)
		}
		if int64(len(b)) != f.size {
			return nil, &FormatError{filepath.Join(from, f.name), min(int64(len(b)), f.size),
				fmt.Sprintf("%d bytes in all", len(b)), fmt.Sprintf("%d", f.size)}
		}
		if sum := sha256Hex(b); sum != f.sha256 {
			return nil, &FormatError{filepath.Join(from, f.name), 0, "content with SHA-256 " + sum, f.sha256}
		}
	}
	d := &Dataset{Name: s.name, Title: s.title, Licence: s.licence, Source: s.source, Classes: s.classes, Hash: s.hash()}
	at := func(i int) (string, []byte) {
		return filepath.Join(from, s.files[i].name), content[s.files[i].name]
	}
	var err error
	switch s.format {
	case formatIDX:
		for i, split := range []**Images{&d.Train, &d.Test} {
			imageFile, imageBytes := at(2 * i)
			labelFile, labelBytes := at(2*i + 1)
			if *split, err = ImagesFromIDX(imageFile, imageBytes, labelFile, labelBytes, len(s.classes)); err != nil {
				return nil, err
			}
		}
	case formatCIFAR:
		batches := make([]*Images, len(s.files))
		for i := range s.files {
			name, b := at(i)
			if batches[i], err = ParseCIFAR10(name, b, int(s.files[i].size/cifarRecord)); err != nil {
				return nil, err
			}
		}
		last := len(batches) - 1
		if d.Train, err = Concat(batches[:last]...); err != nil {
			return nil, err
		}
		d.Test = batches[last]
	}
	for _, split := range []struct {
		what string
		im   *Images
		n    int
	}{{"training", d.Train, s.train}, {"test", d.Test, s.test}} {
		if im := split.im; im.N != split.n || im.H != s.h || im.W != s.w || im.C != s.c {
			return nil, errors.Errorf("datasets: %s: %d %s images of %dx%dx%d; %s needs %d of %dx%dx%d",
				from, im.N, split.what, im.H, im.W, im.C, s.name, split.n, s.h, s.w, s.c)
		}
	}
	return d, nil
}
