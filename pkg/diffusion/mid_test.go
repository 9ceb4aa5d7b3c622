package diffusion

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/backend/backendtest"
)

// With all weights zero but the first convolution's centre, w_c for channel c, residual blocks add nothing and the
// middle block holds w_c·x. The moving average keeps the first draw of the weights.
func TestMidBlockByHand(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	u := plainUNet()
	u.Classes = 3
	n := newNetwork(t, p, u, TrainConfig{LearningRate: 1e-3}, 1)
	defer n.Close()
	if err := n.build(); err != nil {
		t.Fatal(err)
	}
	values := make([]float32, n.Parameters())
	for _, w := range n.tensors {
		if strings.HasSuffix(w.variable.Path(), "/in/weights") {
			for c := range u.Base {
				values[w.first+4*u.Base+c] = float32(c + 1) // [3, 3, 1, Base]
			}
		}
	}
	check(t, n.SetWeights(values, false))
	b := exampleBatch(n, 3)
	outputs := make(map[bool][]float32)
	for _, ema := range []bool{false, true} {
		m, err := n.MidBlock(ema)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if outputs[ema], err = m.Output(b.X, b.T, b.Y); err != nil {
			t.Fatal(err)
		}
		if len(outputs[ema]) != 3*4*4*u.Base {
			t.Fatalf("%d activations of 3 images of 16 pixels and %d channels", len(outputs[ema]), u.Base)
		}
		if _, err := m.Output(b.X[1:], b.T, b.Y); err == nil {
			t.Error("a pixel too few passes")
		}
		if _, err := m.Output(b.X, b.T, []int32{0, 0, 4}); err == nil {
			t.Error("label 4 of 3 classes passes")
		}
	}
	moved := 0.0
	for i, got := range outputs[false] {
		want := float64(b.X[i/u.Base]) * float64(i%u.Base+1)
		if math.Abs(float64(got)-want) > 1e-5 {
			t.Errorf("activation %d is %g, want %g", i, got, want)
		}
		moved += math.Abs(float64(outputs[true][i]) - want)
	}
	if moved < 1 {
		t.Error("the moving average has the trained weights")
	}
	if calls := n.PredictionCalls(); calls != 0 {
		t.Errorf("%d predictions counted; want none", calls)
	}
}

// The pure-Go backend gives the middle block too, the same to rounding. (It fails on graphs with nodes after the output.)
func TestMidBlockInPureGo(t *testing.T) {
	usual := backendtest.Open(t) // before the variable is set, by which all tests here would run on pure Go
	t.Setenv(compute.ConfigEnvVar, "go")
	pureGo, choice, err := backend.Open()
	if err != nil || choice.Config == "" || len(choice.Failed) > 0 {
		t.Fatalf("pure Go does not open: %+v, %v", choice, err)
	}
	defer pureGo.Finalize()
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	u := plainUNet()
	u.Classes = 3
	var outputs [2][]float32
	for i, b := range []compute.Backend{usual, pureGo} {
		n, err := NewNetwork(b, p, u, TrainConfig{LearningRate: 1e-3}, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		m, err := n.MidBlock(false)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		batch := exampleBatch(n, 3)
		if outputs[i], err = m.Output(batch.X, batch.T, batch.Y); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range outputs[0] {
		if got := outputs[1][i]; math.Abs(float64(got-want)) > 1e-4*(1+math.Abs(float64(want))) {
			t.Fatalf("activation %d is %g in pure Go, %g elsewhere", i, got, want)
		}
	}
}
