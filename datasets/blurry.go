package datasets

import (
	"math"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/words"
)

// MostBlurred is the largest share of [Benchmark.Blurred]: with more, a task's images would mostly come with its neighbours.
const MostBlurred = 0.5

// Blurred returns the benchmark with blurred borders between tasks. Of the n training images of each class of a task, round(share·n)
// move to its neighbours, but never all. Half of them move to the task before and half to the task after, which also gets the odd one;
// the first and the last task have one neighbour, which gets them all. Which images move is drawn from seed. In each task its own images
// come first, then those from the task before, then those from the task after. Validation and test images, and the classes on which a
// task is measured, stay as they are.
//
// The share is what [rainbow] calls M. There, the foreign images of a task are drawn from all other tasks. Here they come from its
// neighbours only. That is our choice: classes then come and go with time.
//
// It returns an error unless 0 <= share <= [MostBlurred] and, for a share above 0, the benchmark is valid ([Benchmark.Validate]) and has two
// tasks or more.
func (b *Benchmark) Blurred(share float64, seed uint64) (*Benchmark, error) {
	if !(share >= 0 && share <= MostBlurred) {
		return nil, errors.Errorf("a share of %g of each task's images arrives with its neighbours; need 0 to %g", share, MostBlurred)
	}
	if share == 0 {
		return b, nil
	}
	if err := b.Validate(); err != nil {
		return nil, err
	}
	last := len(b.Tasks) - 1
	if last < 1 {
		return nil, errors.Errorf("the borders of %s cannot be blurred; need two or more", words.Count(last+1, "task"))
	}
	arriving := make([][3]*Images, len(b.Tasks)) // of each task: its own, from the task before, from the task after
	for i, t := range b.Tasks {
		own, before, after := parted(t.Train.Labels, i, share, seed, i > 0, i < last)
		arriving[i][0] = t.Train.Select(own)
		if i > 0 {
			arriving[i-1][2] = t.Train.Select(before)
		}
		if i < last {
			arriving[i+1][1] = t.Train.Select(after)
		}
	}
	out := *b
	out.Tasks = slices.Clone(b.Tasks)
	for i, parts := range arriving {
		var err error
		if out.Tasks[i].Train, err = Concat(parts[:]...); err != nil {
			return nil, errors.WithMessagef(err, "blurring the borders of %s", words.Task(i))
		}
	}
	return &out, nil
}

// parted splits the images of a task into those that stay, those that move to the task before and those that move to the task
// after, each list ascending. first says whether there is a task before, second whether there is one after.
func parted(labels []int32, task int, share float64, seed uint64, first, second bool) (own, before, after []int) {
	to := make([]int8, len(labels))
	for c, of := range byLabel(labels) {
		moved := min(int(math.Round(share*float64(len(of)))), len(of)-1)
		early := moved / 2
		switch {
		case !first:
			early = 0
		case !second:
			early = moved
		}
		if moved <= 0 {
			continue
		}
		// Domains may share labels: the task tells them apart.
		for k, j := range permutation(len(of), seed+uint64(task)<<32, streamBlur, uint64(c))[:moved] {
			to[of[j]] = 1
			if k < early {
				to[of[j]] = -1
			}
		}
	}
	for i, where := range to {
		switch where {
		case 0:
			own = append(own, i)
		case -1:
			before = append(before, i)
		case 1:
			after = append(after, i)
		}
	}
	return own, before, after
}
