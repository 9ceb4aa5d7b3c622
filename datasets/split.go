package datasets

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pkg/errors"
)

// Streams keep the uses of one seed apart: the same seed gives independent orders for
// choosing a sample, a validation split and an order of classes.
const (
	streamSample uint64 = 1 + iota
	streamHeldOut
	streamClassOrder
	streamFlip
	streamBlur
)

// permutation is a seeded order of 0 .. n-1. The numbers of PCG are fixed by its definition. That
// Perm uses them in the same way in every version of Go is checked by a test with stored values.
func permutation(n int, seed, stream, sub uint64) []int {
	return rand.New(rand.NewPCG(seed, stream<<32|sub)).Perm(n)
}

// Balanced returns the indices, ascending, of perClass images of each class 0 .. classes-1:
// of class c, the first perClass of a seeded shuffle of all its images. Labels that are none of these
// are left out. It returns an error if a class has fewer, and unless classes is from 0 to [MaxClasses]
// and perClass 0 or more.
func Balanced(labels []int32, classes, perClass int, seed uint64) ([]int, error) {
	if classes < 0 || classes > MaxClasses || perClass < 0 {
		return nil, errors.Errorf("%d images of each of %d classes; need 0 or more of 0 to %d", perClass, classes, MaxClasses)
	}
	var chosen []int
	all := byLabel(labels)
	for c := range classes {
		of := all[int32(c)]
		if len(of) < perClass {
			return nil, errors.Errorf("class %d has %d images; need %d", c, len(of), perClass)
		}
		for _, k := range permutation(len(of), seed, streamSample, uint64(c))[:perClass] {
			chosen = append(chosen, of[k])
		}
	}
	slices.Sort(chosen)
	return chosen, nil
}

// HoldOut splits images into rest and held, class by class. Of a class of n images,
// round(fraction·n) are held out: at least one if there are two or more, and never all. Which
// ones depends only on seed, the class and n, so the order of the tasks does not change them.
// Both lists are ascending. With fraction 0 nothing is held out. It returns an error unless
// 0 <= fraction < 1, and for a label below 0.
func HoldOut(labels []int32, fraction float64, seed uint64) (rest, held []int, err error) {
	if !(fraction >= 0 && fraction < 1) {
		return nil, nil, errors.Errorf("validation fraction %g; need 0 <= fraction < 1", fraction)
	}
	if i := slices.IndexFunc(labels, func(label int32) bool { return label < 0 }); i >= 0 {
		return nil, nil, errors.Errorf("image %d has the label %d; need 0 or more: leave images without a label out", i, labels[i])
	}
	isHeld := make([]bool, len(labels))
	if fraction > 0 {
		for c, of := range byLabel(labels) {
			for _, k := range permutation(len(of), seed, streamHeldOut, uint64(c))[:heldOf(len(of), fraction)] {
				isHeld[of[k]] = true
			}
		}
	}
	for i := range labels {
		if isHeld[i] {
			held = append(held, i)
		} else {
			rest = append(rest, i)
		}
	}
	return rest, held, nil
}

// heldOf is how many of n images of a class [HoldOut] holds out.
func heldOf(n int, fraction float64) int {
	return max(0, min(max(1, int(math.Round(fraction*float64(n)))), n-1))
}

// byLabel lists, for each label that occurs, the indices of its images, ascending.
func byLabel(labels []int32) map[int32][]int {
	of := map[int32][]int{}
	for i, label := range labels {
		of[label] = append(of[label], i)
	}
	return of
}
