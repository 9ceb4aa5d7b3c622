package likelihood

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"palimpsest/pkg/diffusion"
)

func newProcess(t testing.TB, steps int, prediction, variance string) *diffusion.Process {
	t.Helper()
	schedule := "linear"
	if prediction == diffusion.PredictFlow {
		schedule = diffusion.FlowSchedule
	}
	p, err := diffusion.New(diffusion.Config{T: steps, Schedule: schedule, Prediction: prediction, Variance: variance})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// gaussian is the exact denoiser of values that are independent N(0, deviation²), with the variance output v where the
// process wants one.
type gaussian struct {
	p         *diffusion.Process
	deviation float64
	v         func(t int) float64
	rows      atomic.Int64
}

// shrinks is the factor of x_t in E[x_0|x_t].
func (g *gaussian) shrinks(t int) float64 {
	s, ab := g.deviation*g.deviation, g.p.AlphaBar[t]
	return math.Sqrt(ab) * s / (ab*s + 1 - ab)
}

func (g *gaussian) Output(x []float32, t, y []int32) ([]float32, error) {
	g.rows.Add(int64(len(t)))
	dim := len(x) / len(t)
	var out []float32
	for k, x := range x {
		step := int(t[k/dim])
		x0 := g.shrinks(step) * float64(x)
		out = append(out, float32(g.p.Target(x0, g.p.Noise(float64(x), x0, step), step)))
		if g.p.Variance == diffusion.LearnedRange { // one channel: predictions and variances alternate
			out = append(out, float32(g.v(step)))
		}
	}
	return out, nil
}

// exactV is the variance output at which p(x_{t-1}|x_t) has the true variance. For a Gaussian it is between β̃_t
// (deviation 0) and β_t (deviation 1).
func (g *gaussian) exactV(t int) float64 {
	s, before := g.deviation*g.deviation, g.p.AlphaBarPrev[t]
	variance := g.p.Beta[t] * (before*s + 1 - before) / (g.p.AlphaBar[t]*s + 1 - g.p.AlphaBar[t])
	return 2*(math.Log(variance)-g.p.PosteriorLogVar[t])/(math.Log(g.p.Beta[t])-g.p.PosteriorLogVar[t]) - 1
}

// meanTermBPD is the expectation of L_t over noise, x_0 having the given mean square, and its variance for one value.
func (g *gaussian) meanTermBPD(t int, logVar, square float64) (mean, variance float64) {
	c := 1 - g.shrinks(t)*g.p.Signal[t]
	d := g.shrinks(t) * g.p.Sigma[t]
	w := g.p.PosteriorMeanX0[t]
	scale := w * w * math.Exp(-logVar)
	logRatio := logVar - g.p.PosteriorLogVar[t]
	mean = 0.5 * (logRatio - 1 + math.Exp(-logRatio) + scale*(c*c*square+d*d))
	return mean / math.Ln2, 0.25 * scale * scale * (4*c*c*d*d*square + 2*d*d*d*d) / math.Ln2 / math.Ln2
}

// gaussianData are n images of dim levels rounded from N(0, deviation²), which must be well inside [-1, 1].
func gaussianData(n, dim int, deviation float64) *Data {
	random := rand.New(rand.NewPCG(1, 2))
	d := &Data{N: n, Dim: dim, Channels: 1, Labels: make([]int32, n)}
	for range n * dim {
		x := deviation * random.NormFloat64()
		d.Pixels = append(d.Pixels, uint8(math.Round(min(max(x, -1), 1)*127.5+127.5)))
	}
	return d
}

// entropyBPD is the bits per dimension of data under N(0, deviation²), bin by bin.
func entropyBPD(d *Data, deviation float64) float64 {
	nats := 0.0
	for _, level := range d.Pixels {
		nats -= LogBinNats(level, 0, math.Log(deviation), ExactCDF)
	}
	return nats / float64(len(d.Pixels)) / math.Ln2
}
