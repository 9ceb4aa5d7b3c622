package datasets

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/oneline"
	"palimpsest/pkg/words"
)

// Open opens a set: of the catalogue, by its name; of the user's own, by the name it was registered by ([Add]) or by the path of
// its folder or file. A path may be followed by # and choices, joined by commas: label=NAME where images have labels of several
// kinds, and, for a set that is not split, test=SHARE of each class that becomes test images (a fifth) and seed=NUMBER (0).
//
// A set of the catalogue is loaded. A set of the user's own is read once, but its images may have several sizes, so Train and Test are
// nil until [Dataset.Prepared] or a benchmark prepares them.
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

// Prepared returns the set with its images prepared by p; a set that is prepared by p already is returned as it is. A set of the user's
// own is prepared once, into a file in the cache. That file is mapped into memory, so its images may be larger than the memory, and the
// next start only opens it. Prepared returns the errors of [Prep.Apply], and for a user's own set one line that says what is wrong with
// which file.
func (d *Dataset) Prepared(p Prep) (*Dataset, error) {
	if d == nil {
		return nil, d.named()
	}
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
			return nil, errors.Errorf("%s is prepared by %+v already; open it again to prepare it by %+v", d.Name, *d.prep, how)
		}
		for _, part := range []struct {
			name string
			im   **Images
		}{{"Train", &out.Train}, {"Val", &out.Val}, {"Test", &out.Test}} {
			if *part.im == nil && part.name == "Val" {
				continue
			}
			var err error
			if *part.im, err = p.Apply(*part.im); err != nil {
				return nil, errors.WithMessagef(err, "%s of %s", part.name, d.where())
			}
		}
		return &out, nil
	}
	m, err := d.own.prepared(p)
	if err != nil {
		return nil, err
	}
	splits := m.splits
	if d.own.scan.count(noSplit) > 0 {
		if splits, err = stratified(m.labels, d.own.How); err != nil {
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
	case out.Test.N == 0: // see measuredOn
		out.Test, out.Val = out.Val, nil
	case out.Val.N == 0:
		out.Val = nil
	}
	if out.Train.N == 0 {
		return nil, errors.Errorf("%s has no training images; add some", d.Source)
	}
	if out.Test.N == 0 {
		return nil, errors.Errorf("%s has no test images; add some", d.Source)
	}
	return &out, nil
}

// stratified makes test images of a share of each class, at least one image, for a set that has no split. The seed chooses which. A
// class of one image keeps it for training: nothing can be measured on such a class, but it can on the others.
func stratified(labels []int32, how choices) ([]split, error) {
	_, test, err := HoldOut(labels, how.share(), how.Seed)
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
func (c choices) share() float64 { return cmp.Or(c.Test, defaultTest) }

// leaveOut is how a study of some classes of a set goes on without others.
const leaveOut = "leave the class out: give the others, by name as the tasks (benchmark.tasks) or by number as the order (benchmark.class_order=given)"

// lacking returns an error if a class has no training image or no test image; trainOf and testOf count them by class. The error names
// the first such class, how many others there are, and what the user can do.
func (d *Dataset) lacking(classes, trainOf, testOf []int, otherwise string) error {
	unsplit := d.own != nil && d.own.scan.count(noSplit) > 0
	lack := func(c int) string {
		switch train, test := trainOf[c], testOf[c]; {
		case train > 0 && test > 0:
			return ""
		case unsplit && train+test == 1:
			return "one picture"
		case unsplit:
			return "no picture that can be read"
		case train == 0:
			return "no training image"
		}
		return "no test image"
	}
	first, like := slices.IndexFunc(classes, func(c int) bool { return lack(c) != "" }), -1
	if first < 0 {
		return nil
	}
	what, need := lack(classes[first]), "add some"
	for _, c := range classes {
		if lack(c) == what {
			like++
		}
	}
	if unsplit {
		need = "need 2 or more, one to learn from and one to measure on: add some"
	}
	switch {
	case like == 1:
		what += ", as has one other class"
	case like > 1:
		what += fmt.Sprintf(", as have %d other classes", like)
	}
	return oneline.Error(errors.Errorf("class %s of %s has %s; %s, or %s", d.Classes[classes[first]], d.where(), what, need, otherwise))
}

// where the set is, for errors.
func (d *Dataset) where() string {
	if d.own != nil {
		return d.own.Path
	}
	return cmp.Or(d.Name, "a set without a name")
}

// info describes the set.
func (s *ownSet) info() Info {
	k := s.scan
	i := Info{Name: s.Name, Title: s.Name, Licence: "the user's own", Source: s.Path + s.How.String(), Classes: slices.Clone(k.Classes),
		H: k.Largest.H, W: k.Largest.W, C: k.Largest.C, Hash: k.Hash, Where: s.Path, Own: true, SizesDiffer: k.SizesDiffer, Broken: slices.Clone(k.Broken)}
	i.MinH, i.MinW = k.Smallest.H, k.Smallest.W
	i.TrainOf, i.TestOf = slices.Clone(k.Counts[inTrain]), slices.Clone(k.Counts[k.measuredOn()])
	for class, n := range k.Counts[noSplit] { // as stratified has it
		if n > 0 {
			i.TestOf[class] = heldOf(n, s.How.share())
			i.TrainOf[class] = n - i.TestOf[class]
		}
	}
	for class := range i.TrainOf {
		i.Train, i.Test = i.Train+i.TrainOf[class], i.Test+i.TestOf[class]
	}
	i.Notes = s.notes(i.Test)
	for _, err := range s.refusals(Prep{}) {
		i.Refusals = append(i.Refusals, err.Error())
	}
	if err := s.dataset().lacking(upTo(len(k.Classes)), i.TrainOf, i.TestOf, leaveOut); err != nil {
		i.Refusals = append(i.Refusals, err.Error())
	}
	return i
}

// notes say what became of pictures in a way that their owner may not expect, a line each; the set has so many test images.
func (s *ownSet) notes(test int) (notes []string) {
	if r, ok := s.reader.(interface{ note() string }); ok && r.note() != "" {
		notes = append(notes, r.note())
	}
	k := s.scan
	switch val := k.count(inVal); {
	case val > 0 && k.measuredOn() == inVal:
		notes = append(notes, fmt.Sprintf("val: %s, which are the test images, for none is in test", words.Count(val, "image")))
	case val > 0:
		notes = append(notes, fmt.Sprintf("val: %s for validation; of the training images none are held out for it (benchmark.val_fraction)", words.Count(val, "image")))
	}
	if k.Deeper > 0 {
		notes = append(notes, oneline.Text(fmt.Sprintf("%s in folders within a class folder, the first %s: the class is the upper folder", words.Count(k.Deeper, "picture"), k.FirstDeeper)))
	}
	if k.Shared > 0 {
		notes = append(notes, k.shared(test))
	}
	return notes
}

// shared warns of test images that are learned.
func (s *scan) shared(test int) string {
	return oneline.Text(fmt.Sprintf("warning: %d of %s are, pixel by pixel, training images as well, as %s is %s, so that what is measured on them rewards learning by heart; remove them from one of the two",
		s.Shared, words.Count(test, "test image"), s.SharedOne, s.SharedWith))
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
