package datasets

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

//go:embed embedded/*.gz
var embedded embed.FS

// Dir is the folder that Get writes the sets to, one folder each. It is
// <cache>/palimpsest/datasets in the user's cache folder; the environment variable
// PALIMPSEST_CACHE replaces <cache>/palimpsest. It need not exist.
func Dir() (string, error) {
	if cache := os.Getenv("PALIMPSEST_CACHE"); cache != "" {
		if !filepath.IsAbs(cache) {
			return "", errors.Errorf("the environment variable PALIMPSEST_CACHE is %.200q; need an absolute path", cache)
		}
		return filepath.Join(cache, "datasets"), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", errors.Wrap(err, "no cache folder; set PALIMPSEST_CACHE to a folder to use")
	}
	return filepath.Join(cache, "palimpsest", "datasets"), nil
}

// cacheError is an error of a file or folder in the cache, if err is one, with what to do about it; other errors, and nil, stay.
func cacheError(err error) error {
	dir, dirErr := Dir()
	if err == nil || dirErr != nil {
		return err
	}
	if at := (*fs.PathError)(nil); !atomicfile.DiskFull(err) && !strings.Contains(err.Error(), filepath.Dir(dir)) && !(errors.As(err, &at) && strings.HasPrefix(at.Path, filepath.Dir(dir))) {
		return err
	}
	return errors.Errorf("the cache in %s: %v; mend that, or name another folder by the environment variable PALIMPSEST_CACHE", filepath.Dir(dir), err)
}

// Load reads a set into memory: "fashion-mnist-sample" always, the others if Get has
// brought them. Every file's SHA-256 is checked. The error for a set not on disk names the command that brings it.
// A set of the user's own, by any reference that [Open] takes, is loaded as it is, for which its images must be of one size.
func Load(name string) (*Dataset, error) {
	s, own, err := resolve(name)
	if err != nil {
		return nil, err
	}
	if s == nil {
		set, err := openOwn(own)
		if err != nil {
			return nil, err
		}
		return set.dataset().Prepared(Prep{Method: "none"})
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
		if v, err := find(s.variant); err == nil && v.allThere(filepath.Join(dir, v.name)) {
			return nil, errors.Errorf("%s is not on this machine (looked in %s, which PALIMPSEST_CACHE moves), only %s, other images with a split of their own; name %s if you mean that, or get %s with: go run . data get %s",
				name, filepath.Join(dir, name), v.name, v.name, name, name)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Errorf("%s is not on this machine (looked in %s, which PALIMPSEST_CACHE moves); get it with: go run . data get %s",
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
		return nil, errors.Errorf("%v; the copy on disk is damaged, repair it with: go run . data get %s", err, s.name)
	}
	return d, nil
}

// load reads and checks the set's files in fsys; folder is its name in errors.
func (s *spec) load(fsys fs.FS, folder string) (*Dataset, error) {
	return s.assemble(folder, func(f file) ([]byte, error) {
		name := s.diskName(f)
		// A pipe of that name would make Open wait for ever.
		if info, err := fs.Stat(fsys, name); err == nil && !info.Mode().IsRegular() {
			return nil, errors.Errorf("%s is no regular file; put the file itself there", filepath.Join(folder, name))
		}
		r, err := fsys.Open(name)
		if err != nil {
			return nil, errors.Errorf("%s: %s", filepath.Join(folder, name), reasonOf(err))
		}
		defer r.Close()
		return readOpen(filepath.Join(folder, name), r, f.size)
	})
}

// diskName is the name under which a file is stored: IDX files are compressed, CIFAR's,
// which hardly shrink, are not.
func (s *spec) diskName(f file) string {
	if s.format == formatIDX {
		return f.name + ".gz"
	}
	return f.name
}

// assemble makes the set of its canonical files' contents, which read returns one by one,
// checking each against its sum. from says in errors where they come from.
func (s *spec) assemble(from string, read func(file) ([]byte, error)) (*Dataset, error) {
	checked := func(f file) (string, []byte, error) {
		path := filepath.Join(from, f.name)
		b, err := read(f)
		if err != nil {
			return "", nil, err
		}
		if int64(len(b)) != f.size {
			return "", nil, &FormatError{path, min(int64(len(b)), f.size), fmt.Sprintf("%d bytes in all", len(b)), fmt.Sprint(f.size)}
		}
		if sum := sha256Hex(b); sum != f.sha256 {
			return "", nil, &FormatError{path, 0, "content with SHA-256 " + sum, f.sha256}
		}
		return path, b, nil
	}
	d := &Dataset{Name: s.name, Title: s.title, Licence: s.licence, Source: s.source, Hash: s.hash(), Classes: slices.Clone(s.classes)}
	var err error
	switch last := len(s.files) - 1; s.format {
	case formatIDX:
		if d.Train, err = s.idxSplit(s.files[0], s.files[1], checked); err != nil {
			return nil, err
		}
		d.Test, err = s.idxSplit(s.files[2], s.files[3], checked)
	case formatCIFAR:
		if d.Train, err = s.cifarSplit(s.files[:last], checked); err != nil {
			return nil, err
		}
		d.Test, err = s.cifarSplit(s.files[last:], checked)
	}
	if err != nil {
		return nil, err
	}
	for _, split := range []struct {
		what string
		im   *Images
		n    int
	}{{"training", d.Train, s.train}, {"test", d.Test, s.test}} {
		if im := split.im; im.N != split.n || im.H != s.h || im.W != s.w || im.C != s.c {
			return nil, errors.Errorf("%s: %d %s images of %dx%dx%d; %s needs %d of %dx%dx%d",
				from, im.N, split.what, im.H, im.W, im.C, s.name, split.n, s.h, s.w, s.c)
		}
	}
	return d, nil
}

// idxSplit reads a split from its two IDX files.
func (s *spec) idxSplit(images, labels file, read func(file) (string, []byte, error)) (*Images, error) {
	imagePath, imageBytes, err := read(images)
	if err != nil {
		return nil, err
	}
	labelPath, labelBytes, err := read(labels)
	if err != nil {
		return nil, err
	}
	return ImagesFromIDX(imagePath, imageBytes, labelPath, labelBytes, len(s.classes))
}

// cifarSplit reads a split from its batches, holding one of them at a time besides the result.
func (s *spec) cifarSplit(batches []file, read func(file) (string, []byte, error)) (*Images, error) {
	out := &Images{}
	for i, f := range batches {
		path, b, err := read(f)
		if err != nil {
			return nil, err
		}
		im, err := ParseCIFAR10(path, b, int(f.size/cifarRecord))
		if err != nil {
			return nil, err
		}
		if i == 0 {
			out = &Images{H: im.H, W: im.W, C: im.C, Pixels: make([]uint8, 0, len(batches)*len(im.Pixels))}
		}
		out.N += im.N
		out.Pixels, out.Labels = append(out.Pixels, im.Pixels...), append(out.Labels, im.Labels...)
	}
	return out, nil
}

// assembleFrom is assemble for contents that are in memory.
func (s *spec) assembleFrom(from string, content map[string][]byte) (*Dataset, error) {
	return s.assemble(from, func(f file) ([]byte, error) {
		b, ok := content[f.name]
		if !ok {
			return nil, errors.Errorf("%s: no %s; %s needs it", from, f.name, s.name)
		}
		return b, nil
	})
}
