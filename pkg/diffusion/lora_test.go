package diffusion

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// adaptedNetwork has adapters of rank 2 and a mask. Weights are away from zero, so that every layer counts.
func adaptedNetwork(t testing.TB) *Network {
	t.Helper()
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	u := plain()
	u.Classes = 3
	n := newNetwork(t, p, u, TrainConfig{LearningRate: 1e-2, WeightDecay: 0.1, EMA: 0.9}, 1)
	t.Cleanup(n.Close)
	check(t, n.Extend(Extra{Mask: true, LoRA: 2, LoRAAlpha: 4}))
	marks, err := n.LoRAWeights()
	check(t, err)
	w := flatWeights(t, n)
	for i := range w {
		if !marks[i] {
			w[i] += 0.1 * float32(math.Sin(float64(3*i)))
		}
	}
	check(t, n.SetWeights(w, false))
	check(t, n.SetWeights(w, true))
	return n
}

// A task of adapters: what is held stays bit for bit, in the weights and in their average, whatever the optimiser
// remembers; adapters and the labels' rows move; merged, predictions are the same.
func TestAdaptersTrainAlone(t *testing.T) {
	n := adaptedNetwork(t)
	b := exampleBatch(n, 4)
	for i := range b.Y {
		b.Y[i] = 1
	}
	adapters, err := n.LoRAWeights()
	check(t, err)
	rows, err := n.LabelWeights([]int{1})
	check(t, err)
	base, train := make([]bool, len(adapters)), make([]bool, len(adapters))
	for i := range base {
		base[i], train[i] = !adapters[i], adapters[i] || rows[i]
	}
	check(t, n.SetMask(base))
	for i := range 3 {
		step(t, n, b, i, uint64(i))
	}
	predict := func(ema bool) []float32 {
		out, err := n.Denoiser(ema).Output(b.X, b.T, b.Y)
		check(t, err)
		return out
	}
	check(t, n.ResetLoRA(9))
	same := predict(false)
	check(t, n.ResetLoRA(10))
	if !slices.Equal(same, predict(false)) {
		t.Error("new adapters change predictions")
	}
	check(t, n.SetMask(train))
	before := [2][]float32{flatWeights(t, n), average(t, n)}
	for i := range 3 {
		step(t, n, b, i, uint64(i))
	}
	for k, after := range [2][]float32{flatWeights(t, n), average(t, n)} {
		var moved [2]int // rows, adapters
		for i := range after {
			switch changed := math.Float32bits(after[i]) != math.Float32bits(before[k][i]); {
			case changed && !train[i]:
				t.Fatalf("weight %d of %d (average: %v) is held at %g and now %g", i, len(after), k == 1, before[k][i], after[i])
			case changed && adapters[i]:
				moved[1]++
			case changed:
				moved[0]++
			}
		}
		if moved[0] < 8 || moved[1] < 60 {
			t.Errorf("%d values of the label's row and %d of adapters moved (average: %v)", moved[0], moved[1], k == 1)
		}
	}
	trained := [2][]float32{predict(false), predict(true)}
	if distance(trained[0], same) < 1e-3 {
		t.Error("trained adapters change nothing")
	}
	check(t, n.MergeLoRA())
	for k, ema := range []bool{false, true} {
		// Float32 through the network's layers.
		if d := distance(predict(ema), trained[k]); !(d < 1e-5) {
			t.Errorf("merging changes predictions (average: %v) by %g of the largest", ema, d)
		}
	}
}

func average(t testing.TB, n *Network) []float32 {
	t.Helper()
	w, err := n.Weights(true)
	check(t, err)
	return w
}

func TestAdaptersRefuse(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	n := newNetwork(t, p, plain(), TrainConfig{LearningRate: 1e-2}, 1)
	defer n.Close()
	_, unknown := n.LoRAWeights()
	for _, tc := range []struct {
		want string
		err  error
	}{
		{"extended by LoRA", unknown},
		{"extended by LoRA", n.ResetLoRA(1)},
		{"extended by LoRA", n.MergeLoRA()},
		{"alpha 0", n.Extend(Extra{LoRA: 2})},
		{"rank -1", n.Extend(Extra{LoRA: -1, LoRAAlpha: 1})},
	} {
		if tc.err == nil || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("want an error with %q, have %v", tc.want, tc.err)
		}
	}
	if n.Parameters() == 0 {
		t.Fatal("no weights")
	}
	if err := n.Extend(Extra{LoRA: 2, LoRAAlpha: 2}); err == nil || !strings.Contains(err.Error(), "right after NewNetwork") {
		t.Errorf("adapters for a network that is built: %v", err)
	}
	if marks, err := n.LabelWeights([]int{0}); err != nil || slices.Contains(marks, true) || len(marks) != n.Parameters() {
		t.Errorf("%d label weights of an unconditional network (%v)", len(marks), err)
	}
	if e := (Extra{LoRA: 2, LoRAAlpha: 3}).Merge(Extra{LoRA: 4, LoRAAlpha: 5}); e != (Extra{LoRA: 4, LoRAAlpha: 5}) {
		t.Errorf("merged %+v", e)
	}
}
