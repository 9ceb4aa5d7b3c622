package cl

import (
	"encoding/binary"
	"slices"

	"github.com/pkg/errors"
)

// Generated counts, by class, the images that a method has drawn from the network before a task to replay them while the task is
// learned: what was asked for, and what the run's classifier sees in them.
type Generated struct {
	Method string // filled in by [Loop.Generated]
	Task   int    // in which they are replayed
	Images int    // drawn for it
	Asked  []int  // of these, by the class asked for; nil: the network takes no class

	// Judged counts by the class that the classifier sees, and Right, by the class asked for, those in which it sees that one:
	// of a pool all images, of images made at each step those of the task's first. nil: the run has no classifier.
	Judged, Right []int
}

// Generated is what the strategy has generated so far; nil: nothing.
func (l *Loop) Generated() []Generated {
	all := l.Strategy.Generated()
	for i := range all {
		if all[i].Method == "" {
			all[i].Method = l.Strategy.Info().Name
		}
	}
	return all
}

// add counts more images, which are asked for by labels and, where judged is not nil, judged to be of these classes.
func (g *Generated) add(labels []int32, conditional bool, judged []int, classes int) {
	g.Images += len(labels)
	for i, label := range labels {
		if conditional {
			count(&g.Asked, int(label), classes)
		}
		if judged == nil {
			continue
		}
		count(&g.Judged, judged[i], classes)
		if conditional && judged[i] == int(label) {
			count(&g.Right, judged[i], classes)
		}
	}
	if conditional && judged != nil && g.Right == nil {
		g.Right = make([]int, classes)
	}
}

// count adds one to a histogram of at least the given number of classes.
func count(histogram *[]int, class, classes int) {
	if missing := max(classes, class+1) - len(*histogram); missing > 0 {
		*histogram = append(*histogram, make([]int, missing)...)
	}
	(*histogram)[class]++
}

// appendGenerated writes what readGenerated reads: of each entry task, images and the three histograms, numbers of 32 bits, each
// histogram after its length.
func appendGenerated(state []byte, all []Generated) []byte {
	number := func(n int) { state = binary.LittleEndian.AppendUint32(state, uint32(n)) }
	for _, g := range all {
		number(g.Task)
		number(g.Images)
		for _, histogram := range [][]int{g.Asked, g.Judged, g.Right} {
			number(len(histogram))
			for _, n := range histogram {
				number(n)
			}
		}
	}
	return state
}

// readGenerated reads entries to the end of a state.
func readGenerated(state []byte) (all []Generated, err error) {
	numbers := make([]int, len(state)/4)
	for i := range numbers {
		numbers[i] = int(binary.LittleEndian.Uint32(state[4*i:]))
	}
	cut := errors.Errorf("cl: %d bytes of counts of generated images in the stored state; they are cut off, or belong to another strategy", len(state))
	if len(state)%4 != 0 {
		return nil, cut
	}
	for len(numbers) > 0 {
		if len(numbers) < 5 {
			return nil, cut
		}
		g := Generated{Task: numbers[0], Images: numbers[1]}
		numbers = numbers[2:]
		for _, histogram := range []*[]int{&g.Asked, &g.Judged, &g.Right} {
			if len(numbers) < 1 || uint(len(numbers)-1) < uint(numbers[0]) {
				return nil, cut
			}
			if n := numbers[0]; n > 0 {
				*histogram = slices.Clone(numbers[1 : 1+n])
			}
			numbers = numbers[1+numbers[0]:]
		}
		all = append(all, g)
	}
	return all, nil
}
