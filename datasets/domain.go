package datasets

import (
	"slices"
	"strings"

	"github.com/pkg/errors"
)

// DomainIncrementalOptions say how several sets become the tasks of one benchmark.
type DomainIncrementalOptions struct {
	// SharedLabels keeps each set's labels as they are, so that class k of every domain is
	// one label; all sets then need equally many classes. Otherwise the labels of each
	// domain follow those of the domain before: 0 .. 9, 10 .. 19, ...
	SharedLabels bool
	// Seed of the held-out images.
	Seed uint64
	// ValFraction of each class's training images is held out (see HoldOut); 0 for none.
	ValFraction float64
	// Prep is applied to all images.
	Prep Prep
}

// DomainIncremental makes one task of each set, in the order given, for instance
// Fashion-MNIST and then MNIST. It returns an error if a set, once prepared, is not valid ([Dataset.Validate]), if
// images differ in size or channels, or if there are more than [MaxClasses] classes.
func DomainIncremental(ds []*Dataset, o DomainIncrementalOptions) (*Benchmark, error) {
	if len(ds) == 0 {
		return nil, errors.New("no sets; need at least one, two to have something to forget")
	}
	for i, d := range ds {
		if err := d.named(); err != nil {
			return nil, errors.WithMessagef(err, "set %d of %d", i, len(ds))
		}
	}
	b := &Benchmark{Prep: o.Prep.normal()}
	var setNames, hashes []string
	for _, d := range ds {
		if err := b.follow(d, ds[0].Name, o); err != nil {
			return nil, err
		}
		setNames, hashes = append(setNames, d.Name), append(hashes, d.Hash)
	}
	b.Name, b.DataHash = strings.Join(setNames, " -> "), strings.Join(hashes, "+")
	return b, nil
}

// follow appends a set as the next task; first is the name of the first one.
func (b *Benchmark) follow(d *Dataset, first string, o DomainIncrementalOptions) error {
	d, train, val, test, err := b.fitting(d, first, o.Prep, o.ValFraction, o.Seed)
	if err != nil {
		return err
	}
	n := len(d.Classes) // of a class of one training image none is held out
	if err := d.lacking(upTo(n), train.CountPerClass(n), test.CountPerClass(n), "take the class out of the set"); err != nil {
		return err
	}
	offset := len(b.ClassNames)
	switch {
	case !o.SharedLabels:
		b.nameClasses(d)
	case len(b.Tasks) == 0:
		offset, b.ClassNames = 0, slices.Clone(d.Classes)
	case len(d.Classes) != len(b.ClassNames):
		return errors.Errorf("%s has %d classes, %s has %d; benchmark.shared_labels needs equally many",
			d.Name, len(d.Classes), first, len(b.ClassNames))
	default:
		offset = 0
		for k, c := range d.Classes {
			if c != b.ClassNames[k] {
				b.ClassNames[k] += " / " + c
			}
		}
	}
	if err := b.mostClasses(d); err != nil {
		return err
	}
	t := Task{ID: len(b.Tasks), Name: d.Name, Train: relabel(train, offset), Val: relabel(val, offset), Test: relabel(test, offset)}
	for k := range d.Classes {
		t.Classes = append(t.Classes, offset+k)
	}
	b.Tasks = append(b.Tasks, t)
	return nil
}

// fitting prepares a set that is to follow first, of which there may be none yet, and parts it. It returns an error if its images are not
// like those of the tasks so far.
func (b *Benchmark) fitting(d *Dataset, first string, prep Prep, valFraction float64, seed uint64) (_ *Dataset, train, val, test *Images, err error) {
	if d, err = d.Prepared(prep); err != nil {
		return nil, nil, nil, nil, err
	}
	if train, val, test, err = parts(d, valFraction, seed); err != nil {
		return nil, nil, nil, nil, err
	}
	b.skip(d)
	if len(b.Tasks) == 0 {
		b.H, b.W, b.C = train.H, train.W, train.C
	}
	if train.H != b.H || train.W != b.W || train.C != b.C {
		return nil, nil, nil, nil, errors.Errorf("images of %s are %d×%d×%d after preparation, those of %s %d×%d×%d; "+
			"need one size and number of channels (benchmark.prep sets both)",
			d.Name, train.H, train.W, train.C, first, b.H, b.W, b.C)
	}
	return d, train, val, test, nil
}

// nameClasses gives the classes of a set labels after those before it.
func (b *Benchmark) nameClasses(d *Dataset) {
	for _, c := range d.Classes {
		b.ClassNames = append(b.ClassNames, d.Name+": "+c)
	}
}

// mostClasses reports that there are too many classes with those of d.
func (b *Benchmark) mostClasses(d *Dataset) error {
	if len(b.ClassNames) > MaxClasses {
		return errors.Errorf("%d classes with %s; a benchmark has %d at most", len(b.ClassNames), d.Name, MaxClasses)
	}
	return nil
}

// relabel returns the images with labels moved up by offset; pixels are shared.
func relabel(im *Images, offset int) *Images {
	out := *im
	out.Labels = make([]int32, im.N)
	for i, label := range im.Labels {
		out.Labels[i] = label + int32(offset)
	}
	return &out
}
