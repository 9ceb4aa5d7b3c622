package diffusion

import (
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// The decoder and its slope against float64, from the middle of a bin to 20 standard deviations off.
func TestLogBinAgainstFloat64(t *testing.T) {
	var x, centred, logScale []float32
	for _, level := range []float32{-1, -0.2, 1} {
		for _, scale := range []float64{0.003, 0.03, 0.4} {
			for _, off := range []float64{-20, -6, -3, -1, -0.3, 0.01, 0.5, 2, 5, 12, 20} {
				x, centred, logScale = append(x, level), append(centred, float32(off*scale)), append(logScale, float32(math.Log(scale)))
			}
		}
	}
	out := run(t, func(x, centred, logScale *Node) []*Node {
		y := logBin(x, centred, logScale)
		return []*Node{y, Gradient(ReduceAllSum(y), centred)[0]}
	}, x, centred, logScale)
	values, slopes := tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
	for i := range x {
		scale := math.Exp(float64(logScale[i]))
		byHand := func(centred float64) float64 {
			above := func(z float64) float64 { return 0.5 * math.Erfc(z/scale/math.Sqrt2) }
			low, high := centred-1./255, centred+1./255
			switch {
			case x[i] == -1:
				return math.Log(above(-high))
			case x[i] == 1:
				return math.Log(above(low))
			case centred < 0:
				low, high = -high, -low
			}
			return math.Log(above(low) - above(high))
		}
		c := float64(centred[i])
		step := 1e-5 * scale
		slope := (byHand(c+step) - byHand(c-step)) / (2 * step)
		// A logarithm's error is the relative one of a probability; narrow bins divide float32's 1e-7 by their width.
		if want := byHand(c); math.Abs(float64(values[i])-want) > 2e-5*math.Abs(want)+2e-5 {
			t.Errorf("x=%g, off by %g of σ=%g: %g nats, by hand %g", x[i], c/scale, scale, values[i], want)
		}
		// Near the middle the slope is a difference of two densities near 1, over the bin's width.
		if math.Abs(float64(slopes[i])-slope)*scale > 2e-3*math.Abs(slope)*scale+4e-4 {
			t.Errorf("x=%g, off by %g of σ=%g: slope %g, by hand %g", x[i], c/scale, scale, slopes[i], slope)
		}
	}
}

// Trained on the bound, a row's loss is T times its term of the bound, and a few steps lower it.
func TestTrainingOnTheBound(t *testing.T) {
	for _, variance := range []string{FixedLarge, FixedSmall, LearnedRange} {
		p := newProcess(t, Config{T: 100, Schedule: "cosine", Prediction: PredictNoise, Variance: variance})
		u := plain()
		u.OutChannels = p.OutChannels(1)
		n := newNetwork(t, p, u, TrainConfig{LearningRate: 3e-3, ClipNorm: 1, Objective: ObjectiveVLB}, 4)
		defer n.Close()
		b := exampleBatch(n, 6)
		b.T = []int32{0, 0, 1, 5, 40, 99}
		for i, x := range b.X {
			b.X[i] = float32(math.Round((float64(x)+1)*127.5)/127.5 - 1)
		}
		copy(b.X, []float32{-1, 1})
		var first, last float64
		for i := range 30 {
			r := step(t, n, b, i, 7)
			if i == 0 {
				first = r.Loss
			}
			last = r.Loss
		}
		if !(last < 0.9*first) {
			t.Errorf("%s: loss %g after 30 steps, %g at first", variance, last, first)
		}

		_, xt := noiseOf(t, n, b, 8)
		out, err := n.Denoiser(false).Output(xt, b.T, b.Y)
		if err != nil {
			t.Fatal(err)
		}
		r := step(t, n, b, 30, 8)
		const dim = 16
		for row, ts := range b.T {
			part := func(x []float32) []float32 { return x[row*dim : (row+1)*dim] }
			var pred, v []float32
			for i := range dim {
				a, b := p.split(out[row*dim*u.OutChannels:], 1, i)
				pred, v = append(pred, a), append(v, b)
			}
			want := float64(p.T) * boundByHand(p, part(b.X), part(xt), pred, v, int(ts))
			if math.Abs(float64(r.Rows[row])-want) > 1e-4*want {
				t.Errorf("%s, t=%d: row loss %g, T times the bound's term is %g", variance, ts, r.Rows[row], want)
			}
		}
	}
}

// noiseOf returns the noise and x_t, both [R, D], that a training step on b with the seed uses.
func noiseOf(t testing.TB, n *Network, b Batch, seed uint64) (noise, xt []float32) {
	t.Helper()
	rows, u := len(b.T), n.Shape
	coef, err := n.Process.coefficients(b.T, b.W, n.weights)
	if err != nil {
		t.Fatal(err)
	}
	out, err := CallOnceN(n.backend, func(x0, coef, rng *Node) (noise, xt *Node) {
		perRow := func(i int) *Node { return Reshape(Slice(coef, AxisRange(), AxisElem(i)), rows, 1, 1, 1) }
		_, noise = drawNoise(rng, x0, 0)
		return noise, addNoise(x0, noise, perRow(colSignal), perRow(colSigma))
	}, tensors.FromFlatDataAndDimensions(b.X, rows, u.H, u.W, u.Channels),
		tensors.FromFlatDataAndDimensions(coef, rows, numCols), tensors.FromFlatDataAndDimensions(rngState(seed), RNGStateShape.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
}

func TestObjectiveRefuses(t *testing.T) {
	for want, c := range map[string]TrainConfig{
		`objective is "elbo"`:    {Objective: "elbo"},
		"vlb_weight 0.001":       {Objective: ObjectiveVLB, VLBWeight: 0.001},
		`loss_weight "min-snr:5`: {Objective: ObjectiveVLB, LossWeight: "min-snr:5"},
	} {
		c.LearningRate = 1e-3
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, have %v", want, err)
		}
	}
	for _, c := range []TrainConfig{{Objective: ObjectiveVLB, LossWeight: "uniform"}, {Objective: ObjectiveSimple, VLBWeight: 0.001}} {
		c.LearningRate = 1e-3
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
}
