package dynamics

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/likelihood"
	"palimpsest/pkg/unet"
)

// linear is the network that predicts w·x_t + b, one scale w and a bias b [D] for all images, with its gradient worked
// out: of the mean over rows and values of e² with e = w·x_t + b - target,
//
//	∂/∂b_j = 2/D·mean of e_j over rows,    ∂/∂w = 2·mean of e·x_t over rows and values.
type linear struct {
	p *diffusion.Process
	w float64
	b []float64

	frozen bool           // w is no weight
	called func(rows int) // before every call
}

func (l *linear) Mean(x0, noise []float32, t, y []int32) ([]float32, error) {
	if l.called != nil {
		l.called(len(t))
	}
	dim := len(l.b)
	gradient := make([]float64, dim+1)
	for i := range x0 {
		step, eps, j := int(t[i/dim]), float64(noise[i]), i%dim
		xt := l.p.Signal[step]*float64(x0[i]) + l.p.Sigma[step]*eps
		e := 2 * (l.w*xt + l.b[j] - l.p.Target(float64(x0[i]), eps, step)) / float64(len(x0))
		gradient[j] += e
		gradient[dim] += e * xt
	}
	if l.frozen {
		gradient = gradient[:dim]
	}
	out := make([]float32, len(gradient))
	for k, v := range gradient {
		out[k] = float32(v)
	}
	return out, nil
}

// images are n copies of one image.
func images(n int, levels ...uint8) *likelihood.Data {
	return &likelihood.Data{N: n, Dim: len(levels), Channels: 1, Pixels: slices.Repeat(levels, n), Labels: make([]int32, n)}
}

func interference(t *testing.T, p *diffusion.Process, g Gradienter, old, fresh *likelihood.Data, timesteps []int) (cosine, halvesOld, halvesNew []float64) {
	t.Helper()
	cosine, halvesOld, halvesNew, err := MeasureInterference(context.Background(), p, g, old, fresh, timesteps, 3)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(timesteps); len(cosine) != n || len(halvesOld) != n || len(halvesNew) != n {
		t.Fatalf("%d, %d and %d values for %d timesteps", len(cosine), len(halvesOld), len(halvesNew), n)
	}
	return cosine, halvesOld, halvesNew
}

// A bias that predicts images has the gradient 2/D·(b - mean image), without noise: the cosine is that of the two means'
// distances from b. float32 leaves about 1e-7.
func TestInterferenceInClosedForm(t *testing.T) {
	p := newProcess(t, 50, diffusion.PredictImage, diffusion.FixedLarge)
	network := &linear{p: p, b: make([]float64, 3), frozen: true}
	for _, tc := range []struct {
		name       string
		b          float64
		old, fresh *likelihood.Data
		want       float64
	}{
		{"same", 0, images(4, 255, 40, 7), images(4, 255, 40, 7), 1},
		{"opposite", 0, images(4, 255, 40, 7), images(6, 0, 215, 248), -1},
		{"opposite about a bias of -1/5", -0.2, images(5, 204, 0, 102), images(2, 0, 204, 102), -1}, // values 3/5, -1, -1/5
		{"one of three agrees", 0, images(3, 255, 255, 0), images(3, 0, 255, 0), 1. / 3},
		{"means", -1, mixed(t, images(2, 255, 0, 0), images(2, 0, 255, 0)), images(2, 255, 0, 0), math.Sqrt(0.5)},
		// Two of three images say (2, 0, 0) above b, one (0, 2, 0): the whole is (4, 2, 0)/3, not a mean of its halves.
		{"odd number", -1, mixed(t, images(2, 255, 0, 0), images(1, 0, 255, 0)), images(2, 255, 0, 0), 2 / math.Sqrt(5)},
	} {
		network.b = slices.Repeat([]float64{tc.b}, 3)
		cosine, halvesOld, halvesNew := interference(t, p, network, tc.old, tc.fresh, []int{0, 30, 49})
		for k, c := range cosine {
			if math.Abs(c-tc.want) > 1e-6 {
				t.Errorf("%s: cosine %g, want %g", tc.name, c, tc.want)
			}
			if tc.name != "odd number" && (math.Abs(halvesOld[k]-1) > 1e-6 || math.Abs(halvesNew[k]-1) > 1e-6) {
				t.Errorf("%s: halves %g and %g, want 1", tc.name, halvesOld[k], halvesNew[k])
			}
		}
	}
}

// mixed puts images of label 0 and images of label 1 together.
func mixed(t *testing.T, a, b *likelihood.Data) *likelihood.Data {
	t.Helper()
	d := &likelihood.Data{N: a.N + b.N, Dim: a.Dim, Channels: 1, Pixels: slices.Concat(a.Pixels, b.Pixels),
		Labels: append(make([]int32, a.N), slices.Repeat([]int32{1}, b.N)...)}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	return d
}

// The gradient of a scale and a bias, both 0, that predict noise is in proportion to -mean noise and -mean noise·x_t: here
// from the noise that a probe of the same seed gives every image, with images that have IDs.
func TestInterferenceIsOfTheProbesNoise(t *testing.T) {
	p := newProcess(t, 50, diffusion.PredictNoise, diffusion.FixedLarge)
	old, fresh := images(5, 255, 40), images(3, 7, 90)
	old.IDs, fresh.IDs = []int{9, 2, 3, 4, 5}, []int{11, 12, 13}
	old.Labels = []int32{0, 1, 0, 1, 1}
	probe := &Probe{process: p, seed: 3}
	byHand := func(d *likelihood.Data, chosen []int, t int) []float64 {
		g := make([]float64, d.Dim+1)
		for _, i := range chosen {
			for j, eps := range probe.noise(d, i, t) {
				xt := p.Signal[t]*value(image(d, i)[j]) + p.Sigma[t]*eps
				g[j] -= eps / float64(len(chosen))
				g[d.Dim] -= eps * xt / float64(len(chosen))
			}
		}
		return g
	}
	cos := func(a, b []float64) float64 {
		var ab, aa, bb float64
		for i := range a {
			ab, aa, bb = ab+a[i]*b[i], aa+a[i]*a[i], bb+b[i]*b[i]
		}
		return ab / math.Sqrt(aa*bb)
	}
	timesteps := []int{1, 30}
	cosine, halvesOld, halvesNew := interference(t, p, &linear{p: p, b: make([]float64, 2)}, old, fresh, timesteps)
	for k, step := range timesteps {
		for name, pair := range map[string][2]float64{
			"cosine": {cosine[k], cos(byHand(old, []int{0, 1, 2, 3, 4}, step), byHand(fresh, []int{0, 1, 2}, step))},
			"old":    {halvesOld[k], cosOfHalves(old, byHand, cos, step)},
			"new":    {halvesNew[k], cosOfHalves(fresh, byHand, cos, step)},
		} {
			if math.Abs(pair[0]-pair[1]) > 1e-5 {
				t.Errorf("%s at timestep %d is %g, by hand %g", name, step, pair[0], pair[1])
			}
		}
	}
}

func cosOfHalves(d *likelihood.Data, gradient func(*likelihood.Data, []int, int) []float64, cos func(a, b []float64) float64, t int) float64 {
	h := split(d, 3)
	return cos(gradient(d, h[0], t), gradient(d, h[1], t))
}

// Halves hold every image once and every label as often, to within one, and differ by seed.
func TestSplit(t *testing.T) {
	d := images(41, 1)
	for i := range d.Labels {
		d.Labels[i] = int32(i % 2)
	}
	h := split(d, 1)
	all := slices.Concat(h[0], h[1])
	slices.Sort(all)
	for i, v := range all {
		if i != v {
			t.Fatalf("image %d is in the halves %v", i, h)
		}
	}
	if len(all) != 41 || len(h[0]) != 21 {
		t.Errorf("halves of %d and %d images", len(h[0]), len(h[1]))
	}
	for half := range h {
		ones := 0
		for _, i := range h[half] {
			ones += i % 2
		}
		if ones != 10 {
			t.Errorf("half %d has %d of 20 images with label 1", half, ones)
		}
	}
	if slices.Equal(h[0], split(d, 2)[0]) || !slices.Equal(h[0], split(d, 1)[0]) {
		t.Error("halves are no function of the seed")
	}
}

// noisy has the gradient mean(x_0) + mean(noise): an expectation, the image, with errors of variance 1/N.
type noisy struct{}

func (noisy) Mean(x0, noise []float32, t, _ []int32) ([]float32, error) {
	dim, n := len(x0)/len(t), float32(len(t))
	g := make([]float32, dim)
	for i := range x0 {
		g[i%dim] += (x0[i] + noise[i]) / n
	}
	return g, nil
}

// With images of ±v in D dimensions, a quarter of which change sign from task to task, the expectations' cosine is 1/2,
// cosine(t) = v²/2/(v²+1/N) and that of halves v²/(v²+2/N), each to about 1/sqrt(D); the halves then lead from the first
// back to 1/2.
func TestHalvesTellTheNoise(t *testing.T) {
	const dim, n = 1 << 14, 8
	p := newProcess(t, 50, diffusion.PredictNoise, diffusion.FixedLarge)
	a, b := make([]uint8, dim), make([]uint8, dim)
	for j := range a {
		a[j], b[j] = 153, 153 // v = 1/5
		if j%4 == 0 {
			b[j] = 102
		}
	}
	old, fresh := images(n, a...), images(n, b...)
	fresh.IDs = []int{8, 9, 10, 11, 12, 13, 14, 15}
	cosine, halvesOld, halvesNew := interference(t, p, noisy{}, old, fresh, []int{20})
	const square = 0.04
	for name, pair := range map[string][2]float64{
		"cosine": {cosine[0], square / 2 / (square + 1./n)},
		"old":    {halvesOld[0], square / (square + 2./n)},
		"new":    {halvesNew[0], square / (square + 2./n)},
	} {
		if math.Abs(pair[0]-pair[1]) > 5/math.Sqrt(dim) {
			t.Errorf("%s is %g, want %g", name, pair[0], pair[1])
		}
	}
	r := func(h float64) float64 { return 2 * h / (1 + h) }
	// The error of 1/sqrt(D) grows by 1/r, about 4, and r's own comes on top.
	if c := cosine[0] / math.Sqrt(r(halvesOld[0])*r(halvesNew[0])); math.Abs(c-0.5) > 0.1 {
		t.Errorf("halves lead to a cosine of the expectations of %g, want 0.5", c)
	}
}

// The network's own gradient: a task does not interfere with itself, and the cosine of two is that of gradients taken in
// one call each.
func TestInterferenceOfANetwork(t *testing.T) {
	p := newProcess(t, 50, diffusion.PredictNoise, diffusion.FixedLarge)
	u := unet.Config{ImageSize: 4, Channels: 1, OutChannels: 1, Base: 4, Mults: []int{1}, ResBlocks: 1, Heads: 1, Groups: 2}
	n, err := diffusion.NewNetwork(backendtest.Open(t), p, u, diffusion.TrainConfig{LearningRate: 1e-3}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	g, err := n.LossGradient(false, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	old, fresh := gaussianTask(7, 16, 0.3).Data, images(6, slices.Repeat([]uint8{255}, 16)...)
	fresh.IDs = []int{10, 11, 12, 13, 14, 15}
	whole := func(d *likelihood.Data) []float32 {
		probe := &Probe{process: p, seed: 3}
		var x0, noise []float32
		for i := range d.N {
			for j, eps := range probe.noise(d, i, 30) {
				x0, noise = append(x0, float32(value(image(d, i)[j]))), append(noise, float32(eps))
			}
		}
		mean, err := g.Mean(x0, noise, slices.Repeat([]int32{30}, d.N), d.Labels)
		if err != nil {
			t.Fatal(err)
		}
		return mean
	}
	var ab, aa, bb float64
	b := whole(fresh)
	for i, a := range whole(old) {
		ab, aa, bb = ab+float64(a)*float64(b[i]), aa+float64(a)*float64(a), bb+float64(b[i])*float64(b[i])
	}
	want := ab / math.Sqrt(aa*bb)
	cosine, halvesOld, _ := interference(t, p, g, old, fresh, []int{30})
	if math.Abs(cosine[0]-want) > 1e-5 || math.Abs(want) > 0.999 || math.Abs(halvesOld[0]) > 0.999 {
		t.Errorf("cosine %g, in one call %g; halves %g", cosine[0], want, halvesOld[0])
	}
	if same, _, _ := interference(t, p, g, old, old, []int{30}); math.Abs(same[0]-1) > 1e-12 {
		t.Errorf("cosine %g of a task and itself", same[0])
	}
}

type gradientOf []float32

func (g gradientOf) Mean([]float32, []float32, []int32, []int32) ([]float32, error) {
	if g == nil {
		return nil, errors.New("no gradient today")
	}
	return g, nil
}

func TestInterferenceRefuses(t *testing.T) {
	p := newProcess(t, 50, diffusion.PredictNoise, diffusion.FixedLarge)
	two := images(2, 1, 2)
	for _, tc := range []struct {
		g          Gradienter
		old, fresh *likelihood.Data
		timestep   int
		want       string
	}{
		{gradientOf{1}, images(1, 1, 2), two, 3, "1 and 2 images"},
		{gradientOf{1}, two, images(1, 1, 2), 3, "2 and 1 images"},
		{gradientOf{1}, two, images(2, 1), 3, "2 and 1 values"},
		{gradientOf{1}, two, &likelihood.Data{N: 2, Dim: 2, Channels: 1}, 3, "0 levels"},
		{gradientOf{1}, two, two, 50, "timestep 50"},
		{gradientOf{1}, two, two, -1, "timestep -1"},
		{gradientOf{0, 0}, two, two, 3, "old task at timestep 3"},
		{gradientOf{float32(math.NaN())}, two, two, 3, "diverged"},
		{gradientOf{float32(math.Inf(1)), 1}, two, two, 3, "diverged"},
		{gradientOf(nil), two, two, 3, "no gradient today"},
	} {
		_, _, _, err := MeasureInterference(context.Background(), p, tc.g, tc.old, tc.fresh, []int{3, tc.timestep}, 1)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v; want one of %q", err, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	network := &linear{p: p, b: make([]float64, 2), called: func(int) {
		if calls++; calls == 3 {
			cancel()
		}
	}}
	if _, _, _, err := MeasureInterference(ctx, p, network, two, two, []int{3, 4}, 1); !errors.Is(err, context.Canceled) || calls != 3 {
		t.Errorf("error %v after %d calls; the context ended at the third", err, calls)
	}
}
