package datasets

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/pkg/errors"
)

// Info describes a set without loading it.
type Info struct {
	Name, Title, Licence, Source string
	Classes                      []string
	// Train and Test are numbers of images of H×W pixels with C channels.
	Train, Test, H, W, C int
	// Hash is the SHA-256 of the lines "SHA256  FILE\n" of the set's canonical files, each
	// decompressed, in order: what `sha256sum FILES... | sha256sum` prints.
	Hash string
	// Where is the folder the set is in, "embedded", or "" if it is not on this machine.
	Where string
	// Own says that the set is the user's own. SizesDiffer says that its images have several sizes; H and W are then those of the
	// largest. Broken lists the pictures that cannot be read.
	Own, SizesDiffer bool
	MinH, MinW       int // of the smallest image
	Broken           []Broken
	// TrainOf and TestOf are the numbers of images by class, of a set of the user's own.
	TrainOf, TestOf []int
	// Notes say what was done with its images that their owner may not expect. Refusals are the reasons why a study of all its
	// classes would not begin. Both have one line for each.
	Notes, Refusals []string
	// Err is why a registered set cannot be opened.
	Err error
	// Sources are the places Get tries, in order.
	Sources []string
}

// OnDisk says whether Load can read the set: embedded, or all files are there. Their
// content is checked only when they are loaded.
func (i Info) OnDisk() bool { return i.Where != "" }

// List describes all sets of the catalogue, in the order of Names, and then the registered ones by their names.
func List() ([]Info, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	infos := make([]Info, 0, len(catalogue))
	for _, s := range catalogue {
		info := Info{Name: s.name, Title: s.title, Licence: s.licence, Source: s.source, Classes: slices.Clone(s.classes),
			Train: s.train, Test: s.test, H: s.h, W: s.w, C: s.c, Hash: s.hash(), Sources: slices.Clone(s.urls)}
		if s.pkg != nil {
			info.Sources = append(info.Sources, s.pkg.label)
		}
		if s.variant != "" {
			info.Sources = append(info.Sources, s.variant+" in its place, where that is allowed")
		}
		folder := filepath.Join(dir, s.name)
		switch {
		case s.embedded:
			info.Where = "embedded"
		case s.allThere(folder):
			info.Where = folder
		}
		infos = append(infos, info)
	}
	own, err := registered()
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		set, err := openOwn(own[name])
		if err != nil {
			infos = append(infos, Info{Name: name, Title: name, Source: own[name].Path + own[name].How.String(), Own: true, Err: cmp.Or(own[name].missing(name), err)})
			continue
		}
		infos = append(infos, set.info())
	}
	return infos, nil
}

// PreparedShape is the height, width and number of channels that the images of the named sets have after p has prepared them. For sets
// of the catalogue it loads nothing; a set of the user's own is read first if it was never read before. It returns an error if there is
// no such set, if none is named, if p cannot prepare its images, or if the sets differ in the result.
func PreparedShape(p Prep, names ...string) (h, w, c int, err error) {
	if len(names) == 0 {
		return 0, 0, 0, errors.New("no sets are named; need at least one")
	}
	for i, name := range names {
		s, own, err := resolve(name)
		if err != nil {
			return 0, 0, 0, err
		}
		var height, width, channels int
		if s != nil {
			height, width, channels, err = p.Shape(s.h, s.w, s.c)
		} else if set, openErr := openOwn(own); openErr != nil {
			return 0, 0, 0, openErr
		} else if height, width, channels, err = set.shape(p); err != nil {
			return 0, 0, 0, err
		}
		switch {
		case err != nil:
			return 0, 0, 0, errors.WithMessage(err, name)
		case i == 0:
			h, w, c = height, width, channels
		case channels != c:
			return 0, 0, 0, errors.Errorf("images of %s are %s, those of %s %s; set benchmark.prep.channels to 1, which makes all grey, or to 3, which makes all coloured",
				names[0], colour(c), name, colour(channels))
		case height != h || width != w:
			return 0, 0, 0, errors.Errorf("images of %s are %d×%d, those of %s %d×%d; set benchmark.prep.method to \"pad\", \"crop\" or \"stretch\", which gives all one size",
				names[0], h, w, name, height, width)
		}
	}
	return h, w, c, nil
}

// colour says what images of so many channels are.
func colour(channels int) string {
	if channels == 1 {
		return "grey"
	}
	return "in colour"
}

// allThere says whether all files of the set are in a folder.
func (s *spec) allThere(folder string) bool {
	for _, f := range s.files {
		if info, err := os.Stat(filepath.Join(folder, s.diskName(f))); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}
