package metrics

import (
	"strings"

	"palimpsest/datasets"

	"github.com/pkg/errors"
)

// JoinDatasets makes one dataset of several, to train the classifier of a domain-incremental
// benchmark on: names and hashes are joined by +, and the labels of each set follow those of the
// one before. It returns an error if there are no sets, one is not valid ([datasets.Dataset.Validate]; one of the user's own has to be
// prepared), the images differ in size, or there are too many classes.
func JoinDatasets(sets ...*datasets.Dataset) (*datasets.Dataset, error) {
	var names, hashes []string
	var train, test []*datasets.Images
	out := new(datasets.Dataset)
	if len(sets) == 0 {
		return nil, errors.New("metrics.JoinDatasets: no sets; need at least one")
	}
	for i, d := range sets {
		if err := d.Validate(); err != nil {
			return nil, errors.WithMessagef(err, "metrics.JoinDatasets: set %d", i)
		}
		offset := len(out.Classes)
		if offset+len(d.Classes) > datasets.MaxClasses {
			return nil, errors.Errorf("metrics.JoinDatasets: %d classes with %s; a set has %d at most", offset+len(d.Classes), d.Name, datasets.MaxClasses)
		}
		for _, c := range d.Classes {
			out.Classes = append(out.Classes, d.Name+": "+c)
		}
		relabelled := func(im *datasets.Images) *datasets.Images {
			moved := *im
			moved.Labels = make([]int32, im.N)
			for i, l := range im.Labels {
				moved.Labels[i] = l + int32(offset)
			}
			return &moved
		}
		train, test = append(train, relabelled(d.Train)), append(test, relabelled(d.Test))
		names, hashes = append(names, d.Name), append(hashes, d.Hash)
	}
	out.Name, out.Hash = strings.Join(names, "+"), strings.Join(hashes, "+")
	var err error
	if out.Train, err = datasets.Concat(train...); err != nil {
		return nil, err
	}
	out.Test, err = datasets.Concat(test...)
	return out, err
}

// LoadJoined loads the sets whose names are joined by + in name, each as datasets.Open does, prepares their images by prep,
// since sets differ in size and colour, and joins them; a single name is that set alone: as it is, or prepared if it is the user's own.
func LoadJoined(name string, prep datasets.Prep) (*datasets.Dataset, error) {
	return loadAll(strings.Split(name, "+"), prep)
}

// loadAll is [LoadJoined] of sets that are listed: a path may have a + in it.
func loadAll(parts []string, prep datasets.Prep) (*datasets.Dataset, error) {
	var sets []*datasets.Dataset
	if _, _, _, err := datasets.PreparedShape(prep, parts...); err != nil {
		return nil, err
	}
	for _, part := range parts {
		d, err := datasets.Open(part)
		if err != nil {
			return nil, err
		}
		sets = append(sets, d)
	}
	if len(sets) == 1 && sets[0].Train != nil {
		return sets[0], nil
	}
	for i, d := range sets {
		var err error
		if sets[i], err = d.Prepared(prep); err != nil {
			return nil, err
		}
	}
	if len(sets) == 1 {
		return sets[0], nil
	}
	return JoinDatasets(sets...)
}
