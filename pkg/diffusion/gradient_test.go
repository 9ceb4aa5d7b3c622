package diffusion

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/network"
)

// weightsOf flattens the weights of a scope in the order that LossGradient.Mean documents, and a function that replaces them.
func weightsOf(t *testing.T, n *Network, name string) (values []float32, set func([]float32)) {
	t.Helper()
	all, _ := state(t, n)
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(p, "/"+name+"/") {
			values = append(values, all[p]...)
		}
	}
	return values, func(w []float32) { check(t, n.SetWeights(w, name == scopeEMA)) }
}

func normals(random *rand.Rand, size int, scale float64) []float32 {
	x := make([]float32, size)
	for i := range x {
		x[i] = float32(scale * random.NormFloat64())
	}
	return x
}

func leastDropping(out int) network.Network {
	u := plain()
	u.OutChannels, u.Classes, u.Dropout = out, 3, 0.5
	return u
}

// Along any direction the gradient is what central differences of the loss say, the loss being computed here from the
// denoiser's output in float64. A step of 1e-2 along a unit direction changes a float32 loss by enough for three digits.
// Only the weights asked for, trained or averaged, are moved: the others keep the first draw.
func TestLossGradientAgainstDifferences(t *testing.T) {
	for _, tc := range []struct {
		prediction, variance string
		ema                  bool
		made                 func(out int) network.Network // with dropout, which the gradient is without
	}{
		{PredictNoise, FixedLarge, false, func(out int) network.Network {
			u := plainUNet()
			u.OutChannels, u.Classes, u.Dropout = out, 3, 0.5
			return u
		}},
		{PredictImage, FixedLarge, true, leastDropping},
		{PredictVelocity, LearnedRange, false, leastDropping},
	} {
		t.Run(tc.prediction, func(t *testing.T) {
			p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: tc.prediction, Variance: tc.variance})
			// Neither loss weights nor the variance's loss belong to the plain loss.
			n := newNetwork(t, p, tc.made(p.OutChannels(1)), TrainConfig{LearningRate: 1e-3, LossWeight: "min-snr:5", VLBWeight: 0.1}, 1)
			defer n.Close()
			const count, rows, dim = 5, 3, 16
			g, err := n.LossGradient(tc.ema, rows)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			name := scopeModel
			if tc.ema {
				name = scopeEMA
			}
			random := rand.New(rand.NewPCG(1, 1))
			// An untrained network's last convolution is zero and lets no gradient through: draw all weights anew.
			start, set := weightsOf(t, n, name)
			start = normals(random, len(start), 0.3)
			set(start)
			x0, noise := normals(random, count*dim, 0.5), normals(random, count*dim, 1)
			steps, y := []int32{3, 40, 0, 49, 20}, []int32{0, 3, 1, 2, 0}
			gradient, err := g.Mean(x0, noise, steps, y)
			if err != nil {
				t.Fatal(err)
			}
			if len(gradient) != n.Parameters() || len(gradient) != len(start) {
				t.Fatalf("%d values for %d weights", len(gradient), len(start))
			}
			if again, err := g.Mean(x0, noise, steps, y); err != nil || !slices.Equal(again, gradient) {
				t.Errorf("a second call differs (error %v)", err)
			}
			if _, err := g.Mean(x0[:dim], noise[:dim], []int32{7}, []int32{4}); err == nil {
				t.Error("label 4 of 3 classes passes")
			}
			if n.PredictionCalls() != 0 {
				t.Errorf("%d predictions counted; want none", n.PredictionCalls())
			}

			denoiser := n.Denoiser(tc.ema)
			loss := func() float64 {
				xt := make([]float32, count*dim)
				for i := range xt {
					s := steps[i/dim]
					xt[i] = float32(p.Signal[s]*float64(x0[i]) + p.Sigma[s]*float64(noise[i]))
				}
				out, err := denoiser.Output(xt, steps, y)
				if err != nil {
					t.Fatal(err)
				}
				sum := 0.0
				for i := range xt {
					pred, _ := p.split(out[i/dim*dim*p.OutChannels(1):], 1, i%dim)
					e := float64(pred) - p.Target(float64(x0[i]), float64(noise[i]), int(steps[i/dim]))
					sum += e * e / (count * dim)
				}
				return sum
			}
			for k := range 5 {
				direction := slices.Clone(gradient) // the steepest first, then random ones
				if k > 0 {
					direction = normals(random, len(start), 1)
				}
				norm := 0.0
				for _, d := range direction {
					norm += float64(d) * float64(d)
				}
				norm = math.Sqrt(norm)
				const h = 1e-2
				up, down, got, size := slices.Clone(start), slices.Clone(start), 0.0, 0.0
				for i, d := range direction {
					unit := float64(d) / norm
					up[i] += float32(h * unit)
					down[i] -= float32(h * unit)
					got += unit * float64(gradient[i])
					size += float64(gradient[i]) * float64(gradient[i])
				}
				set(up)
				high := loss()
				set(down)
				want := (high - loss()) / (2 * h)
				size = math.Sqrt(size)
				t.Logf("direction %d: %g, by differences %g; norm of the gradient %g", k, got, want, size)
				if math.Abs(got-want) > 1e-3*math.Abs(want)+2e-5*size || size < 0.1 {
					t.Errorf("direction %d: %g, by differences %g; norm of the gradient %g", k, got, want, size)
				}
			}
		})
	}
}

// The gradient of all rows is the mean of the halves', whatever the batches they fall into; and it ends at the last row
// asked for.
func TestLossGradientIsLinearInRows(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	n := newNetwork(t, p, plain(), TrainConfig{LearningRate: 1e-3}, 1)
	defer n.Close()
	const count, dim = 8, 16
	g, err := n.LossGradient(false, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	random := rand.New(rand.NewPCG(2, 1))
	start, set := weightsOf(t, n, scopeModel)
	set(normals(random, len(start), 0.3))
	x0, noise := normals(random, count*dim, 0.5), normals(random, count*dim, 1)
	steps, y := []int32{3, 40, 0, 49, 20, 7, 8, 9}, make([]int32, count)
	mean := func(from, to int) []float32 {
		m, err := g.Mean(x0[from*dim:to*dim], noise[from*dim:to*dim], steps[from:to], y[from:to])
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	whole, first, second, two := mean(0, 8), mean(0, 4), mean(4, 8), mean(0, 2)
	var difference, other, size float64
	for i := range whole {
		d := float64(whole[i]) - (float64(first[i])+float64(second[i]))/2
		difference += d * d
		o := float64(two[i]) - float64(first[i])
		other += o * o
		size += float64(whole[i]) * float64(whole[i])
	}
	if difference > 1e-10*size || size < 0.01 {
		t.Errorf("the whole differs from the mean of its halves by %g of a norm of %g", math.Sqrt(difference), math.Sqrt(size))
	}
	if other < 1e-3*size {
		t.Error("two rows have the gradient of four")
	}
	for name, call := range map[string]func() ([]float32, error){
		"no row":        func() ([]float32, error) { return g.Mean(nil, nil, nil, nil) },
		"a pixel short": func() ([]float32, error) { return g.Mean(x0[1:], noise, steps, y) },
		"noise short":   func() ([]float32, error) { return g.Mean(x0, noise[1:], steps, y) },
		"a label short": func() ([]float32, error) { return g.Mean(x0, noise, steps, y[1:]) },
		"timestep 50":   func() ([]float32, error) { return g.Mean(x0[:dim], noise[:dim], []int32{50}, y[:1]) },
	} {
		if _, err := call(); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	if _, err := n.LossGradient(false, 0); err == nil {
		t.Error("batches of no row pass")
	}
}
