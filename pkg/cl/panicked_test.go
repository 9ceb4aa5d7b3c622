package cl

import (
	"regexp"
	"strings"
	"testing"

	"github.com/pkg/errors"

	"palimpsest/pkg/diffusion"
)

// A panic of what is asked becomes an error that names its place, not that of the step that it was made by; an error stays as it is.
func TestGuard(t *testing.T) {
	step := &Step{Fresh: 1, Replay: 2, Batch: diffusion.Batch{X: make([]float32, 3), Y: make([]int32, 3), T: make([]int32, 3), W: make([]float32, 3)}}
	var unmade map[int]int
	for want, ask := range map[string]func() error{
		`^row 2; this step has 2 replay rows \(0 … 1\) \(panicked_test.go:\d+\)$`:             func() error { step.SetReplay(2, []uint8{0}, 0, 1); return nil },
		`^row -1; this step has 2 replay rows \(0 … 1\) \(panicked_test.go:\d+\)$`:            func() error { step.Row(-1); return nil },
		`^an image of 2 values; this step's have 1 \(panicked_test.go:\d+\)$`:                 func() error { step.SetReplay(0, []uint8{0, 0}, 0, 1); return nil },
		`^noise of 1 values and a target of 0; this step's images have 1 \(panicked_test.go:`: func() error { step.SetTarget(0, []float32{0}, nil, 1); return nil },
		`^assignment to entry in nil map \(panicked_test.go:\d+\)$`:                           func() error { unmade[1] = 2; return nil },
		`^index out of range \[7\] with length 3 \(panicked_test.go:\d+\)$`:                   func() error { step.Batch.W[len(unmade)+7] = 1; return nil },
		`^row 0: the weight is \+Inf; need a number \(panicked_test.go:\d+\)$`:                func() error { step.SetReplay(0, []uint8{0}, 0, 1e39); return nil },
		`^there is no buffer yet: Replay.Begin makes it, `:                                    func() error { new(Replay).Memory().Len(); return nil },
		`^row 3 of the batch; it has 3 \(0 … 2\)`:                                             func() error { step.SetDistil(3, 1); return nil },
		`^an error$`:                func() error { return errors.New("an error") },
		`^an error of two lines$`:   func() error { return errors.New("an error\nof two lines") },
		`^a panic of two lines \(p`: func() error { panic("a panic\n\tof two lines") },
	} {
		err := Guard(ask)
		if got := strings.TrimPrefix(errorText(err), "runtime error: "); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("got %q, want %s", got, want)
		}
	}
	if err := Guard(func() error { return nil }); err != nil {
		t.Error(err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
