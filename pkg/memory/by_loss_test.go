package memory

import (
	"math"
	"slices"
	"testing"

	"palimpsest/datasets"
)

// lossesOf gives image number n the n-th loss.
func lossesOf(all ...float64) func(*datasets.Images) ([]float64, error) {
	return func(im *datasets.Images) ([]float64, error) {
		losses := make([]float64, im.N)
		for i := range losses {
			losses[i] = all[number(im, i)]
		}
		return losses, nil
	}
}

// TestByLossByHand: images 0 to 3 are of class 0, 4 to 7 of class 1. Losses 2, 5, 2, 1 sort into 1, 0, 2, 3 downwards and 3, 0, 2, 1
// upwards, the first of equals first; 8, 6, 7, 9 into 7, 4, 6, 5 and 5, 6, 4, 7. Four places are two a class, and the class that
// makes room keeps the first of its order though nobody asks for its losses again.
func TestByLossByHand(t *testing.T) {
	for _, tc := range []struct {
		highest     bool
		alone, both []int
	}{
		{true, []int{1, 0, 2, 3}, []int{1, 0, 7, 4}},
		{false, []int{3, 0, 2, 1}, []int{3, 0, 5, 6}},
	} {
		b := newBuffer(t, 4, ByLoss{tc.highest, lossesOf(2, 5, 2, 1, 8, 6, 7, 9)}, 0)
		add(t, b, 0, stream(0, repeat(4, 0)...))
		if got := offers(b); !slices.Equal(got, tc.alone) {
			t.Errorf("highest %v: of one class %v, want %v", tc.highest, got, tc.alone)
		}
		b.policy = ByLoss{tc.highest, lossesOf(0, 0, 0, 0, 8, 6, 7, 9)}
		add(t, b, 1, stream(4, repeat(4, 1)...))
		if got := offers(b); !slices.Equal(got, tc.both) {
			t.Errorf("highest %v: of two classes %v, want %v", tc.highest, got, tc.both)
		}
	}
}

// TestByLossOfferedAgain: a class offered again is ordered anew by the losses as they are now, kept images and new ones alike.
func TestByLossOfferedAgain(t *testing.T) {
	b := newBuffer(t, 2, ByLoss{true, lossesOf(3, 2, 1)}, 0)
	add(t, b, 0, stream(0, 0, 0, 0))
	b.policy = ByLoss{true, lossesOf(1, 4, 9, 3)}
	add(t, b, 1, stream(3, 0))
	if got, want := offers(b), []int{1, 3}; !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v: image 2 was gone", got, want)
	}
}

func TestByLossRefuses(t *testing.T) {
	for name, losses := range map[string]func(*datasets.Images) ([]float64, error){
		"a loss that is no number": lossesOf(1, math.NaN()),
		"an infinite loss":         lossesOf(1, math.Inf(1)),
		"too few losses":           func(*datasets.Images) ([]float64, error) { return []float64{1}, nil },
	} {
		b := newBuffer(t, 2, ByLoss{true, losses}, 0)
		if b.Add(0, stream(0, 0, 0)) == nil || b.Len() != 0 {
			t.Errorf("%s: accepted", name)
		}
	}
}
