package dynamics

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/diffusion"
)

func sweep(t *testing.T, p *diffusion.Process, high, low diffusion.Denoiser, thresholds ...int) map[int][]float32 {
	t.Helper()
	all := make(map[int][]float32)
	for _, threshold := range thresholds {
		samples, err := diffusion.Sample(t.Context(), p, Stitch{high, low, threshold}, 1, 3, make([]int32, 4),
			diffusion.SamplerConfig{Name: diffusion.Ancestral, Steps: 20}, 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		all[threshold] = samples
	}
	return all
}

// Thresholds 0 and T are the pure networks, bit by bit; thresholds between are neither.
func TestStitchEnds(t *testing.T) {
	p := newProcess(t, 20, diffusion.PredictNoise, diffusion.FixedLarge)
	high, low := gaussian{p, 0.2}, gaussian{p, 0.9}
	pure := func(d diffusion.Denoiser) []float32 {
		x, err := diffusion.Sample(context.Background(), p, d, 1, 3, make([]int32, 4), diffusion.SamplerConfig{Name: diffusion.Ancestral, Steps: 20}, 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	all := sweep(t, p, high, low, 20, 0, 10, 5, 1)
	if len(all) != 5 || !slices.Equal(all[0], pure(high)) || !slices.Equal(all[20], pure(low)) {
		t.Errorf("thresholds 0 and 20 give %g and %g", all[0], all[20])
	}
	for _, threshold := range []int{1, 5, 10} {
		if slices.Equal(all[threshold], all[0]) || slices.Equal(all[threshold], all[20]) {
			t.Errorf("threshold %d is one of the pure networks", threshold)
		}
	}
}

// imageAnswer is the same estimate of x_0 everywhere.
type imageAnswer float32

func (a imageAnswer) Output(x []float32, _, _ []int32) ([]float32, error) {
	return slices.Repeat([]float32{float32(a)}, len(x)), nil
}

func TestLowAnswersBelowTheThreshold(t *testing.T) {
	s := Stitch{imageAnswer(1), imageAnswer(-1), 7}
	for step, want := range map[int32]float32{0: -1, 6: -1, 7: 1, 8: 1} {
		if out, err := s.Output([]float32{0, 0}, []int32{step, step}, []int32{0, 0}); err != nil || !slices.Equal(out, []float32{want, want}) {
			t.Errorf("timestep %d: %g, %v; want %g", step, out, err, want)
		}
	}
	if _, err := s.Output([]float32{0, 0}, []int32{6, 8}, []int32{0, 0}); err == nil || !strings.Contains(err.Error(), "timesteps 6 and 8") {
		t.Errorf("two timesteps: error %v", err)
	}
	if _, err := s.Output(nil, nil, nil); err == nil {
		t.Error("no rows pass")
	}
	p := newProcess(t, 20, diffusion.PredictImage, diffusion.FixedLarge)
	all := sweep(t, p, imageAnswer(0.5), imageAnswer(-0.5), 0, 1)
	if math.Abs(float64(all[0][0]-all[1][0])) < 0.5 {
		t.Errorf("the network at timestep 0 does not matter: %g and %g", all[0], all[1])
	}
}
