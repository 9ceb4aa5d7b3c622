package diffusion

import (
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"palimpsest/pkg/backend/backendtest"
)

// run executes a graph function once.
func run[F ExecGraphFn](t *testing.T, fn F, args ...any) []*tensors.Tensor {
	t.Helper()
	out, err := CallOnceN(backendtest.Open(t), fn, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// In the graph, x_t has the moments of q(x_t|x_0): with n = 16,384 draws standard errors σ/128 and σ/181 (deviation),
// tolerances five of them.
func TestNoiseInTheGraph(t *testing.T) {
	const n, value = 1 << 14, 0.8
	p := newProcess(t, Config{T: 1000, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	draw := func(seed uint64) (noise, xt [][]float32) {
		ts := []int32{0, 250, 999}
		coef, err := p.coefficients(ts, make([]float32, len(ts)), make([]float64, p.T))
		if err != nil {
			t.Fatal(err)
		}
		x0 := tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{value}, len(ts)*n), len(ts), n)
		out := run(t, func(x0, coef, rng *Node) (noise, xt *Node) {
			_, noise = drawNoise(rng, x0, 0)
			return noise, addNoise(x0, noise, Slice(coef, AxisRange(), AxisElem(colSignal)), Slice(coef, AxisRange(), AxisElem(colSigma)))
		}, x0, tensors.FromFlatDataAndDimensions(coef, len(ts), numCols), tensors.FromFlatDataAndDimensions(rngState(seed), RNGStateShape.Size()))
		for i := range ts {
			noise = append(noise, tensors.MustCopyFlatData[float32](out[0])[i*n:(i+1)*n])
			xt = append(xt, tensors.MustCopyFlatData[float32](out[1])[i*n:(i+1)*n])
		}
		return noise, xt
	}
	noise, xt := draw(1)
	for i, step := range []int{0, 250, 999} {
		mean, sd := moments(xt[i])
		sigma := p.Sigma[step]
		if want := p.Signal[step] * value; math.Abs(mean-want) > 5*sigma/128 || math.Abs(sd/sigma-1) > 5./181 {
			t.Errorf("t=%d: mean %g, sd %g; want %g, %g", step, mean, sd, want, sigma)
		}
		for j := range 100 {
			want := p.Signal[step]*value + sigma*float64(noise[i][j])
			if math.Abs(float64(xt[i][j])-want) > 1e-6 {
				t.Fatalf("t=%d: x_t is %g, its noise says %g", step, xt[i][j], want)
			}
		}
	}
	again, _ := draw(1)
	other, _ := draw(2)
	if !slices.Equal(again[0], noise[0]) {
		t.Error("one seed gives two noises")
	}
	if slices.Equal(other[0], noise[0]) || slices.Equal(noise[0], noise[1]) {
		t.Error("two seeds, or two rows, share their noise")
	}
}

// boundByHand is the bound's term of one row in float64, in bits per dimension, from the definitions: the divergence of
// two Gaussians, and the normal distribution function over an 8-bit bin.
func boundByHand(p *Process, x0, xt, pred, v []float32, t int) float64 {
	total := 0.0
	for i := range x0 {
		estimate := p.X0(float64(xt[i]), float64(pred[i]), t)
		logVar := p.ReverseLogVar(t, float64(v[i]))
		mean := p.PosteriorMean(estimate, float64(xt[i]), t)
		if t > 0 {
			q, model := p.PosteriorVar[t], math.Exp(logVar)
			difference := p.PosteriorMean(float64(x0[i]), float64(xt[i]), t) - mean
			total += 0.5 * (math.Log(model/q) + (q+difference*difference)/model - 1)
			continue
		}
		above := func(x float64) float64 { return 0.5 * math.Erfc(x/math.Exp(logVar/2)/math.Sqrt2) }
		low, high := float64(x0[i])-mean-1./255, float64(x0[i])-mean+1./255
		switch {
		case x0[i] == -1:
			total -= math.Log(above(-high))
		case x0[i] == 1:
			total -= math.Log(above(low))
		case low+high < 0: // mirrored, for what is above the bin to be small
			total -= math.Log(above(-high) - above(-low))
		default:
			total -= math.Log(above(low) - above(high))
		}
	}
	return total / float64(len(x0)) / math.Ln2
}

func TestBoundAgainstFloat64(t *testing.T) {
	ts := []int32{0, 0, 1, 7, 49}
	const d = 6
	levels := []float32{0, 37, 128, 200, 254, 255}
	for _, c := range []Config{
		{50, "linear", PredictNoise, LearnedRange}, {50, "linear", PredictImage, LearnedRange}, {50, "linear", PredictVelocity, LearnedRange},
		{1000, "linear", PredictNoise, FixedLarge}, {1000, "cosine", PredictVelocity, FixedSmall},
	} {
		p := newProcess(t, c)
		var x0, xt, pred, target, v []float32
		for r, step := range ts {
			for i, level := range levels {
				x := float64(level/127.5 - 1)
				eps := math.Sin(float64(5*r + 3*i))
				noisy := p.Signal[step]*x + p.Sigma[step]*eps
				wrong := x + 0.05*math.Cos(float64(r+7*i)) // an estimate of x_0 that is a little off
				x0, xt = append(x0, float32(x)), append(xt, float32(noisy))
				pred = append(pred, float32(p.Target(wrong, p.Noise(noisy, wrong, int(step)), int(step))))
				target = append(target, float32(p.Target(x, eps, int(step))))
				v = append(v, float32(math.Sin(float64(r*i))))
			}
		}
		coef, err := p.coefficients(ts, make([]float32, len(ts)), make([]float64, p.T))
		if err != nil {
			t.Fatal(err)
		}
		image := func(x []float32) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(x, len(ts), 1, d, 1) }
		out := run(t, func(x0, pred, target, v, coef *Node) *Node {
			if c.Variance != LearnedRange {
				v = nil
			}
			return p.boundTerm(x0, pred, target, v, func(i int) *Node {
				return Reshape(Slice(coef, AxisRange(), AxisElem(i)), len(ts), 1, 1, 1)
			})
		}, image(x0), image(pred), image(target), image(v), tensors.FromFlatDataAndDimensions(coef, len(ts), numCols))
		for r, got := range tensors.MustCopyFlatData[float32](out[0]) {
			part := func(x []float32) []float32 { return x[r*d : (r+1)*d] }
			want := boundByHand(p, part(x0), part(xt), part(pred), part(v), int(ts[r]))
			// The divergence is a difference of terms near 1: float32 leaves 1e-6 of them, in bits 2e-6.
			if math.Abs(float64(got)-want) > 1e-3*math.Abs(want)+5e-6 {
				t.Errorf("%+v, t=%d: %g bits per dimension, by hand %g", c, ts[r], got, want)
			}
		}
	}
}

// The bound trains the variance and leaves the mean alone; without it the variance stays where it starts. AdamW takes
// rate·decay·w off every weight beside Adam's step. One test, for each setting is one more compilation.
func TestBoundAndDecayInTraining(t *testing.T) {
	const rate, decay = 1e-2, 0.2
	p := newProcess(t, Config{T: 20, Schedule: "cosine", Prediction: PredictNoise, Variance: LearnedRange})
	u := plain()
	u.OutChannels = 2
	oneStep := func(c TrainConfig) (n *Network, before, after map[string][]float32) {
		n = newNetwork(t, p, u, c, 4)
		before, _ = state(t, n)
		step(t, n, exampleBatch(n, 5), 0, 9)
		after, _ = state(t, n)
		return n, before, after
	}
	bounded, _, withBound := oneStep(TrainConfig{LearningRate: rate, VLBWeight: 0.001})
	_, _, without := oneStep(TrainConfig{LearningRate: rate})
	_, before, decayed := oneStep(TrainConfig{LearningRate: rate, WeightDecay: decay})

	// Adam's first moments of the last layer, [Hidden, 2], are a tenth of its gradient.
	const moments = "/AdamOptimizer/model/out/weights_1st_moment"
	if len(without[moments]) != 8*2 {
		t.Fatalf("%d moments, want 16", len(without[moments]))
	}
	for i, plain := range without[moments] {
		with := withBound[moments][i]
		switch {
		case i%2 == 0 && math.Abs(float64(with-plain)) > 1e-6:
			t.Errorf("gradient %d, of the mean, is %g with the bound, %g without", i, with, plain)
		case i%2 == 1 && (with == 0 || plain != 0):
			t.Errorf("gradient %d, of the variance, is %g with the bound, %g without", i, with, plain)
		}
	}
	b := exampleBatch(bounded, 5)
	out, err := bounded.Denoiser(false).Output(b.X, b.T, b.Y)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 2*len(b.X) {
		t.Fatalf("%d outputs for %d values, want twice as many", len(out), len(b.X))
	}
	if _, v := p.split(out, 1, 3); v == 0 {
		t.Error("the variance output has not moved")
	}

	largest := 0.0
	for path, w := range before {
		if !strings.HasPrefix(path, "/"+scopeModel) {
			continue
		}
		for i := range w {
			want := rate * decay * float64(w[i])
			largest = max(largest, want)
			if got := float64(without[path][i]) - float64(decayed[path][i]); math.Abs(got-want) > 3e-7 {
				t.Fatalf("%s[%d] = %g: decay took %g, want %g", path, i, w[i], got, want)
			}
		}
	}
	if largest < 1e-4 {
		t.Fatalf("weights too small to see a decay: %g", largest)
	}
}
