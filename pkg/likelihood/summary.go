package likelihood

import (
	"math"

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
