package diffusion

import (
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"palimpsest/pkg/backend/backendtest"
)

// A term is one value: this one, which nothing but this file knows, keeps a vector, takes a number a row, adds to the loss
// and tells of it. On [mixer], whose prediction is w·x_t, all of that is known by hand.
func TestAnotherTerm(t *testing.T) {
	var shrink []float32 // in place of a field of Batch
	var told float64     // and of StepResult
	toy := &term{
		name:    "Toy",
		vectors: func(Extra) []vector { return []vector{beside("trail", 0, startWeight)} },
		columns: []field[float32]{{"Shrink", func(Batch) []float32 { return shrink }}},
		loss: func(x *termGraph, pred, _, _ *Node) *Node {
			part := ReduceAllSum(Mul(x.column("Shrink"), ReduceMean(Square(pred), 1, 2, 3)))
			x.report("Toy", part)
			return part
		},
		finish: func(x *termGraph) {
			trail := x.n.vector("trail")
			trail.SetNodeValue(MulScalar(Add(trail.NodeValue(x.g), x.vector(scopeModel)), 0.5))
		},
		scalars: []scalar{{"Toy", func(_ *StepResult, v float64) { told = v }}},
	}
	p := newProcess(t, Config{T: 20, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	made := func() *Network {
		n, err := NewNetwork(backendtest.Open(t), p, mixer{4}, TrainConfig{LearningRate: 0.05}, 1)
		check(t, err)
		t.Cleanup(n.Close)
		n.terms = []*term{toy}
		return n
	}
	n := made()
	if n.ExtraParameters() != 1 {
		t.Errorf("the term keeps %d values; want 1 for the one weight", n.ExtraParameters())
	}
	trail := float64(flatWeights(t, n)[0])
	b := Batch{X: make([]float32, 2*16), Y: make([]int32, 2), T: []int32{3, 15}, W: []float32{0.5, 0.25}}
	for i := range b.X {
		b.X[i] = float32(math.Cos(float64(i)))
	}
	for i, weights := range [][]float32{{0.5, 2}, nil, {0, 1}} {
		shrink = weights
		noise, xt := noiseOf(t, n, b, uint64(i))
		w := float64(flatWeights(t, n)[0])
		denoise, part, gradient := 0.0, 0.0, 0.0
		for k, x := range xt {
			x, off := float64(x), w*float64(x)-float64(noise[k])
			weight := float64(b.W[k/16]) / 16
			denoise += weight * off * off
			gradient += weight * 2 * x * off
			if shrink != nil {
				weight := float64(shrink[k/16]) / 16
				part += weight * w * x * w * x
				gradient += weight * 2 * w * x * x
			}
		}
		r := step(t, n, b, i, uint64(i))
		near := func(got, want float64) bool { return math.Abs(got-want) <= 1e-5*(math.Abs(want)+math.Abs(gradient)) } // of float32
		if !near(r.Loss, denoise+part) || !near(r.Denoise, denoise) || !near(told, part) || !near(r.GradNorm, math.Abs(gradient)) {
			t.Errorf("step %d: %+v and %g; by hand loss %g + %g, gradient %g", i, r, told, denoise, part, gradient)
		}
		trail = (trail + float64(flatWeights(t, n)[0])) / 2
	}
	got, err := n.flat("trail")
	check(t, err)
	if math.Abs(float64(got[0])-trail) > 1e-6 {
		t.Errorf("the trail is at %g, by hand %g", got[0], trail)
	}

	dir, other := t.TempDir(), made()
	check(t, n.Save(dir))
	check(t, other.Load(dir))
	if again, err := other.flat("trail"); err != nil || again[0] != got[0] {
		t.Errorf("loaded, the trail is %v (%v), saved it was %v", again, err, got)
	}
	shrink = []float32{1}
	if _, err := n.Step(b, 3, 3); err == nil || !strings.Contains(err.Error(), "1 values in Shrink; need 2") {
		t.Errorf("one number for two rows: %v", err)
	}
}

// Methods that need what a network has only once clash over it, and over nothing else.
func TestClash(t *testing.T) {
	all := everything
	for _, c := range []struct {
		a, b Extra
		want string
	}{
		{Extra{Penalty: true}, Extra{Penalty: true, Path: true}, "one quadratic penalty"},
		{Extra{Mask: true}, Extra{Mask: true, LoRA: 2}, "which weights train"},
		{Extra{Penalty: true, Directions: 1}, Extra{Mask: true, Directions: 2}, ""},
		{all, Extra{Teacher: true, Given: true, Directions: 2, Projection: true, Path: true}, ""},
		{all, Extra{}, ""},
	} {
		for _, pair := range [][2]Extra{{c.a, c.b}, {c.b, c.a}} {
			got := pair[0].Clash(pair[1])
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%+v and %+v clash over %q; want %q", pair[0], pair[1], got, c.want)
			}
		}
	}
}
