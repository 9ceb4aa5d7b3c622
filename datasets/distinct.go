package datasets

import (
	"fmt"
	"sync"

	"github.com/pkg/errors"

	"palimpsest/pkg/oneline"
	"palimpsest/pkg/words"
)

// CheckDistinct returns an error where two of the sets hold the same pictures: each would have labels of its own for them, which no
// network and no classifier can tell apart. One set is found under two names, beside a part of it, and in two folders with the same
// content; also where all pictures of one, pixel by pixel, are among those of the other in files of another kind. [Warnings] tells of sets
// that have some pictures in common.
func CheckDistinct(refs ...string) error {
	var before []*distinct
	for _, ref := range refs {
		now, err := newDistinct(ref)
		if err != nil {
			return err
		}
		for _, b := range before {
			switch {
			case now.ref == b.ref:
				return errors.Errorf("%.100q is named twice, and the same pictures would have two labels; name each set once", ref)
			case now.of == b.of:
				return errors.Errorf("%.100q and %.100q are the same pictures, which would have two labels; leave one of them out", b.ref, ref)
			case now.whole == b.of:
				return among(ref, b.ref)
			case b.whole == now.of:
				return among(b.ref, ref)
			}
			switch common, err := commonOf(b, now); {
			case err != nil:
				return err
			case common.n == 0:
			case common.n == common.of:
				return among(ref, b.ref)
			case common.others == common.othersOf:
				return among(b.ref, ref)
			}
		}
		before = append(before, now)
	}
	return nil
}

// among is the error of a set whose pictures are all in another one.
func among(part, whole string) error {
	return errors.Errorf("the pictures of %.100q are among those of %.100q, and would have two labels; leave one of the sets out", part, whole)
}

// Warnings are lines, one for each two of the sets, about pictures that they have in common and about names that are the same, so that no
// table tells them apart. Pictures are compared pixel by pixel, as they are before any preparation. Sets of the catalogue that are not on
// this machine are passed over, and so are two of the catalogue, which have no picture in common.
func Warnings(refs ...string) (all []string, err error) {
	var before []*distinct
	for _, ref := range refs {
		now, err := newDistinct(ref)
		if err != nil {
			return nil, err
		}
		for _, b := range before {
			common, err := commonOf(b, now)
			if err != nil {
				return nil, err
			}
			if common.n > 0 {
				all = append(all, common.warning(b.ref, ref))
			}
			if name := now.called(); name == b.called() {
				all = append(all, oneline.Text(fmt.Sprintf("%.200s and %.200s are both called %s, so that tasks, classes and tables do not tell them apart; give one of them a name of its own with `go run . data add NAME PATH`",
					b.ref, ref, name)))
			}
		}
		before = append(before, now)
	}
	return all, nil
}

// distinct is a set that is compared with others.
type distinct struct {
	ref, of, whole string // of tells the content
	spec           *spec
	own            *ownSet
	seen           []glimpse // once commonOf has looked at them
}

// newDistinct opens a set.
func newDistinct(ref string) (*distinct, error) {
	s, p, err := resolve(ref)
	if err != nil {
		return nil, err
	}
	if s != nil {
		return &distinct{ref: ref, of: s.name, whole: s.whole, spec: s}, nil
	}
	own, err := openOwn(p)
	if err != nil {
		return nil, err
	}
	return &distinct{ref: ref, of: "content " + own.scan.Hash, own: own}, nil
}

// called is the set's name in a benchmark.
func (d *distinct) called() string {
	if d.own != nil {
		return d.own.Name
	}
	return d.spec.name
}

// look reads the set's glimpses, of which there are none where the set is not on this machine.
func (d *distinct) look() (err error) {
	if d.own != nil {
		d.seen, err = d.own.seen()
	} else {
		d.seen, err = d.spec.seen()
	}
	return oneline.Error(err)
}

// name is what the picture at a place among the set's glimpses is called.
func (d *distinct) name(at int) (string, error) {
	if d.own == nil {
		return d.spec.nameAt(at), nil
	}
	names, err := namesAt(d.own.reader, d.own.scan.Broken, at)
	return inSet(d.own.Path, names[at]), err
}

// common is what two sets have in common.
type common struct {
	n, others    int    // pictures of the second set that the first has, and of the first that the second has
	of, othersOf int    // how many there are in the second set, and in the first
	measured     int    // test images of the second that are training images of the first, or the other way around
	one, same    string // a picture of the first set, and the same in the second; one that is measured where there is any
}

// commons are those that were looked for, by the two sets: settings are checked several times.
var commons sync.Map

// commonOf compares two sets.
func commonOf(a, b *distinct) (c common, err error) {
	if a.own == nil && b.own == nil {
		return c, nil
	}
	key := [2]string{}
	for i, d := range []*distinct{a, b} {
		key[i] = d.of
		if d.own != nil {
			key[i] = d.of + d.own.How.String() + d.own.Path
		}
	}
	if known, ok := commons.Load(key); ok {
		return known.(common), nil
	}
	for _, d := range []*distinct{a, b} {
		if err := d.look(); err != nil {
			return c, err
		}
	}
	c.of, c.othersOf = len(b.seen), len(a.seen)
	type places struct{ first, learned, tested int } // among the glimpses of a, from 1; 0: nowhere
	where := map[uint64]places{}
	for i, g := range a.seen {
		p := where[g.pixels]
		if p.first == 0 {
			p.first = i + 1
		}
		switch {
		case g.split == inTrain && p.learned == 0:
			p.learned = i + 1
		case g.split != inTrain && p.tested == 0:
			p.tested = i + 1
		}
		where[g.pixels] = p
	}
	var one, same int
	have := map[uint64]bool{}
	for i, g := range b.seen {
		p := where[g.pixels]
		if p.first == 0 {
			continue
		}
		c.n++
		have[g.pixels] = true
		at, crosses := p.first, false
		switch {
		case g.split == inTrain && p.tested > 0:
			at, crosses = p.tested, true
		case g.split != inTrain && p.learned > 0:
			at, crosses = p.learned, true
		}
		if c.n == 1 || crosses && c.measured == 0 {
			one, same = at-1, i
		}
		if crosses {
			c.measured++
		}
	}
	for _, g := range a.seen {
		if have[g.pixels] {
			c.others++
		}
	}
	if c.n > 0 {
		if c.one, err = a.name(one); err != nil {
			return c, err
		}
		if c.same, err = b.name(same); err != nil {
			return c, err
		}
	}
	commons.Store(key, c)
	return c, nil
}

// warning says in one line what the sets of these names have in common.
func (c common) warning(a, b string) string {
	what := "each has two labels"
	if c.measured > 0 {
		what = fmt.Sprintf("%d of them learned in one set and measured on in the other, which rewards learning by heart", c.measured)
	}
	return oneline.Text(fmt.Sprintf("%.100s and %.100s have %s in common, pixel by pixel, such as %s and %s; %s; remove them from one of the two sets",
		a, b, words.Count(c.n, "picture"), c.one, c.same, what))
}
