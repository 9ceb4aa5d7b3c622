package datasets

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pkg/errors"
)

// Open opens a set: of the catalogue, by its name; of the user's own, by the name it was registered by ([Add]) or by the path of
// its folder or file. A path may be followed by # and choices, joined by commas: label=NAME where images have labels of several
// kinds, and, for a set that is not split, test=SHARE of each class that becomes test images (a fifth) and seed=NUMBER (0).
//
// Sets of the catalogue are loaded. One of the user's own is read, once, but its images have no common size yet, so that Train and
// Test are nil: [Dataset.Prepared] makes them, as does a benchmark.
func Open(ref string) (*Dataset, error) {
	s, p, err := resolve(ref)
	if err != nil {
		return nil, err
	}
	if s != nil {
		return Load(ref)
	}
	own, err := openOwn(p)
	if err != nil {
		return nil, err
	}
	return own.dataset(), nil
}

// dataset describes the set.
func (s *ownSet) dataset() *Dataset {
	return &Dataset{Name: s.Name, Title: s.Name, Licence: "the user's own", Source: s.Path + s.How.String(), Hash: s.scan.Hash,
		Classes: slices.Clone(s.scan.Classes), own: s}
}

// Prepared returns the set with its images prepared by p. A set of the user's own is prepared once, into a file in the cache that is
// mapped into memory, so that its images may take more than the memory has; another start only opens it. It returns the errors of
// [Prep.Apply], and for one's own sets one line that says what is wrong with which file. What is prepared so already is returned
// as it is.
func (d *Dataset) Prepared(p Prep) (*Dataset, error) {
	p = p.normal()
	how := p
	how.Flip, how.SkipBroken = false, false // which change no image
	out := *d
	out.prep = &how
	switch {
	case d.prep != nil && *d.prep == how:
		return d, nil
	case d.own == nil:
		if d.prep != nil {
			return nil, errors.Errorf("%s is prepared by %+v already; open it anew to prepare it by %+v", d.Name, *d.prep, how)
		}
		for _, part := range []**Images{&out.Train, &out.Val, &out.Test} {
			if *part == nil && part == &out.Val {
				continue
			}
			var err error
			if *part, err = p.Apply(*part); err != nil {
				return nil, err
			}
		}
		return &out, nil
	}
	m, err := d.own.prepared(p)
	if err != nil {
		return nil, err
	}
	splits := m.splits
	if !slices.ContainsFunc(splits, func(s split) bool { return s != noSplit }) {
		if splits, err = d.own.stratified(m.labels); err != nil {
			return nil, err
		}
	}
	part := func(of split) *Images {
		im := &Images{H: m.head.H, W: m.head.W, C: m.head.C, Pixels: m.pixels, Rows: []int32{}, Labels: []int32{}}
		for i, s := range splits {
			if s == of {
				im.Rows, im.Labels = append(im.Rows, int32(i)), append(im.Labels, m.labels[i])
			}
		}
		im.N = len(im.Rows)
		return im
	}
	out.Train, out.Val, out.Test, out.Skipped = part(inTrain), part(inVal), part(inTest), m.head.Skipped
	switch {
	case out.Test.N == 0: // of many sets the test labels are secret, and all measure on val
		out.Test, out.Val = out.Val, nil
	case out.Val.N == 0:
		out.Val = nil
	}
	for what, im := range map[string]*Images{"training": out.Train, "test": out.Test} {
		if im.N == 0 {
			return nil, errors.Errorf("%s has no %s images; add some", d.Source, what)
		}
	}
	return &out, nil
}

// stratified splits the images of a set without a split: of each class a share, but at least one image, becomes test images, chosen
// by the seed.
func (s *ownSet) stratified(labels []int32) ([]split, error) {
	for class, of := range byClass(labels, len(s.scan.Classes)) {
		if len(of) < 2 {
			return nil, errors.Errorf("class %s of %s has %s; need 2 or more, one to learn from and one to measure on: add some, or take the class away",
				s.scan.Classes[class], s.Path, pictures(len(of)))
		}
	}
	_, test, err := HoldOut(labels, s.share(), s.How.Seed)
	if err != nil {
		return nil, err
	}
	splits := slices.Repeat([]split{inTrain}, len(labels))
	for _, i := range test {
		splits[i] = inTest
	}
	return splits, nil
}

// share of each class that becomes test images where the set is not split.
func (s *ownSet) share() float64 { return cmp.Or(s.How.Test, defaultTest) }

// pictures counts them in words.
func pictures(n int) string {
	switch n {
	case 0:
		return "no picture that can be read"
	case 1:
		return "one picture"
	}
	return fmt.Sprintf("%d pictures", n)
}

// info describes the set.
func (s *ownSet) info() Info {
	k := s.scan
	i := Info{Name: s.Name, Title: s.Name, Licence: "the user's own", Source: s.Path + s.How.String(), Classes: slices.Clone(k.Classes),
		H: k.Largest.H, W: k.Largest.W, C: k.Largest.C, Hash: k.Hash, Where: s.Path, Own: true, SizesDiffer: k.SizesDiffer, Broken: slices.Clone(k.Broken)}
	sum := func(of []int) (n int) {
		for _, c := range of {
			n += c
		}
		return n
	}
	i.MinH, i.MinW = k.Smallest.H, k.Smallest.W
	i.TrainOf, i.TestOf = slices.Clone(k.Counts[inTrain]), slices.Clone(k.Counts[inTest])
	if sum(i.TestOf) == 0 {
		i.TestOf = slices.Clone(k.Counts[inVal])
	}
	if sum(k.Counts[noSplit]) > 0 { // as stratified will have it
		for class, n := range k.Counts[noSplit] {
			i.TestOf[class] = heldOf(n, s.share())
			i.TrainOf[class] = n - i.TestOf[class]
		}
	}
	i.Train, i.Test = sum(i.TrainOf), sum(i.TestOf)
	return i
}

// Describe describes one set as [List] does those of the catalogue, by any reference that [Open] takes. A set of the user's own is
// read if it has not been.
func Describe(ref string) (Info, error) {
	s, p, err := resolve(ref)
	if err != nil {
		return Info{}, err
	}
	if s == nil {
		own, err := openOwn(p)
		if err != nil {
			return Info{}, err
		}
		return own.info(), nil
	}
	all, err := List()
	if err != nil {
		return Info{}, err
	}
	return all[slices.IndexFunc(all, func(i Info) bool { return i.Name == s.name })], nil
}
