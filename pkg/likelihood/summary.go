package likelihood

import (
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
