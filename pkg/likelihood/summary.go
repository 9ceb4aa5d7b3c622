package likelihood

import (
	"math"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"
)

// Parts are a bound's mean over images, split as the bound is.
type Parts struct {
	PriorBPD   float64 // L_T
	DiffuseBPD float64 // Σ_{t=1}^{T-1} L_t
	DecoderBPD float64 // L_0
	TotalBPD   float64
	SE         float64 // standard error of TotalBPD over images, in the same unit; NaN for one image
}

// Parts averages a whole bound over images. It fails where timesteps are missing.
func (b *Terms) Parts() (Parts, error) {
	total, err := b.TotalBPD()
	if err != nil {
		return Parts{}, err
	}
	var p Parts
	n := float64(b.N)
	for i := range b.N {
		p.PriorBPD += float64(b.PriorBPD[i]) / n
		for k, l := range b.row(i) {
			if k == 0 {
				p.DecoderBPD += float64(l) / n
			} else {
				p.DiffuseBPD += float64(l) / n
			}
		}
	}
	p.TotalBPD = stat.Mean(total, nil)
	p.SE = stat.StdErr(stat.StdDev(total, nil), n)
	return p, nil
}

// Step is what one timestep contributes, averaged over images.
type Step struct {
	T        int
	LogSNR   float64 // nats
	BPD      float64 // L_t
	SE       float64 // its standard error over images, bits per dimension
	MSEImage float64 // mean squared error of the estimate of x_0
	MSENoise float64 // mean squared error of the noise that agrees with that estimate, the loss L_simple
}

// ByTimestep averages over images, one entry a timestep.
func (b *Terms) ByTimestep() []Step {
	steps := make([]Step, len(b.Timesteps))
	column, squares := make([]float64, b.N), make([]float64, b.N)
	for k, t := range b.Timesteps {
		for i := range b.N {
			column[i] = float64(b.TermBPD[i*len(b.Timesteps)+k])
			squares[i] = float64(b.MSEImage[i*len(b.Timesteps)+k])
		}
		mean, deviation := stat.MeanStdDev(column, nil)
		mse := stat.Mean(squares, nil)
		steps[k] = Step{T: int(t), LogSNR: float64(b.LogSNR[k]), BPD: mean, SE: stat.StdErr(deviation, float64(b.N)),
			MSEImage: mse, MSENoise: mse * math.Exp(float64(b.LogSNR[k]))}
	}
	return steps
}

// MSENoise is the squared error of the noise that agrees with each estimate of x_0, [N, K]: the image's, times the
// signal-to-noise ratio, because x_t is given.
func (b *Terms) MSENoise() []float32 {
	mse := make([]float32, len(b.MSEImage))
	for i := range mse {
		mse[i] = float32(float64(b.MSEImage[i]) * math.Exp(float64(b.LogSNR[i%len(b.LogSNR)])))
	}
	return mse
}

// Bin sums up the timesteps whose log-SNR lies in [Low, High).
type Bin struct {
	Low, High float64 // nats
	Timesteps int
	BPD       float64 // Σ L_t over the bin, mean over images
	Share     float64 // of the sum of all terms, prior left out
	MSEImage  float64 // mean over the bin; NaN where it is empty
	MSENoise  float64
}

// ByLogSNR sums terms over len(edges)+1 bins of log-SNR, ascending; the first and last are open, so that no term is
// lost and the bins' BPD add up to the sum of all terms. edges must ascend.
func (b *Terms) ByLogSNR(edges []float64) ([]Bin, error) {
	for i, e := range edges {
		if math.IsNaN(e) || (i > 0 && e <= edges[i-1]) {
			return nil, errors.Errorf("likelihood: edge %g at place %d; need ascending numbers", e, i)
		}
	}
	bins := make([]Bin, len(edges)+1)
	for i := range bins {
		bins[i].Low, bins[i].High = math.Inf(-1), math.Inf(1)
		if i > 0 {
			bins[i].Low = edges[i-1]
		}
		if i < len(edges) {
			bins[i].High = edges[i]
		}
	}
	sum := 0.0
	for _, s := range b.ByTimestep() {
		i, found := slices.BinarySearch(edges, s.LogSNR)
		if found {
			i++
		}
		bin := &bins[i]
		bin.Timesteps++
		bin.BPD += s.BPD
		bin.MSEImage += s.MSEImage
		bin.MSENoise += s.MSENoise
		sum += s.BPD
	}
	for i := range bins {
		bins[i].Share = bins[i].BPD / sum
		bins[i].MSEImage /= float64(bins[i].Timesteps)
		bins[i].MSENoise /= float64(bins[i].Timesteps)
	}
	return bins, nil
}
