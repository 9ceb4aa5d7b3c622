package diffusion

import (
	"math"
	"testing"
)

// A sampler that runs as one program draws what the host's arithmetic draws, but for float32: the noisiest timesteps of noise
// prediction magnify the network's rounding, 1e-7, by up to 1/sqrt(ᾱ).
func TestSamplerInOneProgram(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "cosine", Prediction: PredictVelocity, Variance: FixedLarge})
	n := newNetwork(t, p, plain(), TrainConfig{LearningRate: 1e-3}, 1)
	defer n.Close()
	weights, err := n.Weights(true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range weights { // fresh ones have zeros, behind which nothing shows
		weights[i] = float32(math.Sin(float64(5*i))) / 3
	}
	if err := n.SetWeights(weights, true); err != nil {
		t.Fatal(err)
	}
	draw := func(o SamplerConfig, far bool) []float32 {
		t.Helper()
		n.far = far
		defer func() { n.far = false }()
		calls, done := n.PredictionCalls(), 0
		images, err := Sample(t.Context(), p, n.Denoiser(true), 1, 16, []int32{0, 0, 0}, o, 2, func(d, total int) { done = d * 100 / total })
		if err != nil {
			t.Fatal(err)
		}
		if calls = n.PredictionCalls() - calls; calls != int64(4*o.Steps) || done != 100 {
			t.Errorf("%+v, one program %v: %d rows predicted, progress %d %%; want %d and 100", o, far, calls, done, 4*o.Steps)
		}
		return images
	}
	for _, o := range []SamplerConfig{
		{Name: DDIM, Steps: 5, Clip: true, Seed: 3}, {Name: DDIM, Steps: 5, Seed: 3}, {Name: DPMPP2M, Steps: 5, Clip: true, Seed: 4},
	} {
		want, got := draw(o, false), draw(o, true)
		for i := range want {
			if d := math.Abs(float64(got[i] - want[i])); d > 1e-4*max(1, math.Abs(float64(want[i]))) {
				t.Fatalf("%+v: value %d is %g in one program, %g by the host", o, i, got[i], want[i])
			}
		}
	}
	for _, o := range []SamplerConfig{{Name: Ancestral, Steps: 5}, {Name: DDIM, Steps: 5, Eta: 1}, {Name: DDIM, Steps: 5, OnEstimate: func(int, int, []float32) {}}} {
		if o.linear() {
			t.Errorf("%s with eta %g, watched %v, runs as one program", o.Name, o.Eta, o.OnEstimate != nil)
		}
	}
	// A step's results in one array are the same results.
	b := Batch{X: make([]float32, 2*16), Y: []int32{0, 0}, T: []int32{3, 30}, W: []float32{0.5, 0.25}}
	var results [2]StepResult
	for i := range results {
		other := newNetwork(t, p, plain(), TrainConfig{LearningRate: 1e-3}, 1)
		other.far = i > 0
		if results[i], err = other.Step(b, 0, 7); err != nil {
			t.Fatal(err)
		}
		other.Close()
	}
	a, c := results[0], results[1]
	if len(c.Rows) != 2 || a.Rows[0] != c.Rows[0] || a.Rows[1] != c.Rows[1] || math.Abs(a.Loss-c.Loss) > 1e-6 || math.Abs(a.GradNorm-c.GradNorm) > 1e-6*a.GradNorm {
		t.Errorf("in one array %+v, in two %+v", c, a)
	}
}
