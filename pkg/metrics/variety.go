package metrics

import (
	"math/rand/v2"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"
)

// likenesses are what FLD knows of the real images of some tasks, by the first and the number after the last.
type likenesses map[[2]int]*likeness

// fldSeed draws the images that FLD takes, and its halves of training images: the same ones for all strategies and seeds.
const fldSeed = 2302_04440

// variety measures the Vendi score and FLD of samples of the tasks from (included) to (excluded), which count by weights. FLD is
// null where not all tasks have training images, and where too few of them differ.
func (e *Evaluator) variety(from, to int, features *mat.Dense, weights []float64) (vendi, fld *float64, err error) {
	score, err := weightedVendi(features, weights)
	if err != nil {
		return nil, nil, err
	}
	l, err := e.likeness(from, to)
	if l == nil || err != nil {
		return Measured(score), nil, err
	}
	n, _ := features.Dims()
	rows := someRows(n, FLDImages)
	if weights != nil {
		picked := make([]float64, len(rows))
		for i, r := range rows {
			picked[i] = weights[r]
		}
		weights = picked
	}
	divergence, err := l.fld(takeRows(features, rows), weights)
	if errors.Is(err, errTooFew) {
		return Measured(score), nil, nil
	}
	return Measured(score), Measured(divergence), err
}

// someRows draws most of the numbers 0 .. n-1, all where there are no more.
func someRows(n, most int) []int { return shuffled(n)[:min(n, most)] }

// shuffled are the numbers 0 .. n-1 in an order of their own.
func shuffled(n int) []int { return rand.New(rand.NewPCG(fldSeed, uint64(n))).Perm(n) }

// likeness prepares FLD against the images of the tasks from (included) to (excluded); nil where there are too few of them, or
// none that an earlier task has not.
func (e *Evaluator) likeness(from, to int) (*likeness, error) {
	key := [2]int{from, to}
	if l, known := e.likely[key]; known {
		return l, nil
	}
	e.likely[key] = nil
	for _, t := range e.tasks {
		if t.train == nil || t.train.N == 0 {
			return nil, nil
		}
	}
	train, err := e.trainFeatures(from, to)
	if train == nil || err != nil {
		return nil, err
	}
	test := e.testFeatures(from, to)
	n, _ := test.Dims()
	l, err := newLikeness(train, takeRows(test, someRows(n, FLDImages)), shuffled)
	if errors.Is(err, errTooFew) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l.store, l.key = e.opt.Store, append(e.networksKey(), []byte("baseline of FLD"), encodeMatrices([]*mat.Dense{l.train, l.test}))
	e.likely[key] = l
	return l, nil
}

// testFeatures are those of the test images of the tasks from (included) to (excluded).
func (e *Evaluator) testFeatures(from, to int) *mat.Dense {
	var all []*mat.Dense
	for _, t := range e.tasks[from:to] {
		all = append(all, t.features)
	}
	return stack(all)
}

// trainFeatures are those of at most [FLDImages] training images of the tasks from (included) to (excluded). Where the
// labeller is the extractor, the search for copies knows them, of distinct images, nil where there are none; else the store may.
func (e *Evaluator) trainFeatures(from, to int) (*mat.Dense, error) {
	if l := e.opt.Labeller; l != nil && l.Identity() == e.extractor.Identity() {
		y, err := e.openYardstick()
		if err != nil {
			return nil, err
		}
		start := 0
		if from > 0 {
			start = y.ends[from-1]
		}
		part := y.part(start, y.ends[to-1])
		if part.features == nil { // an earlier task has every image of these
			return nil, nil
		}
		return takeRows(part.features.rows, someRows(part.images.Len(), FLDImages)), nil
	}
	var parts []*mat.Dense
	total := 0
	for _, t := range e.tasks[from:to] {
		total += t.train.N
	}
	for _, t := range e.tasks[from:to] {
		// Of each task in proportion.
		some := t.train.Select(someRows(t.train.N, max(1, min(FLDImages, total)*t.train.N/total)))
		all, err := e.opt.Store.matrices(func() ([]*mat.Dense, error) {
			features, err := e.extractor.Features(some.Scaled(), some.N)
			return []*mat.Dense{features}, err
		}, append(e.networksKey(), []byte("training images"), imagesKey(some))...)
		if err != nil {
			return nil, err
		}
		parts = append(parts, all[0])
	}
	return stack(parts), nil
}
