package diffusion

import (
	"math"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// LossWeights returns a weight for every timestep of L_simple, by name:
//
//   - "" or "uniform": 1, [ddpm] eq. 14;
//   - "min-snr:γ": min(SNR_t, γ) on the error of x_0, divided by what the squared error of this prediction weighs it
//     with already: SNR_t for noise, SNR_t+1 for velocity, 1 for x_0 itself ([minsnr] section 3.4; γ = 5 there), 1/τ² for
//     a flow, whose uniform weights are the loss of [flow] eq. 23 and [rectified] eq. 1.
//
// It is an error if the name is neither, γ is not positive, or the prediction is none that there is.
func (p *Process) LossWeights(name string) ([]float64, error) {
	weights := make([]float64, p.T)
	gamma := 0.0
	if text, found := strings.CutPrefix(name, "min-snr:"); found {
		var err error
		if gamma, err = strconv.ParseFloat(text, 64); err != nil || !(gamma > 0) || math.IsInf(gamma, 0) {
			return nil, errors.Errorf("diffusion: loss weight %q; need a positive number after \"min-snr:\", for instance \"min-snr:5\"", name)
		}
	} else if name != "" && name != "uniform" {
		return nil, errors.Errorf("diffusion: no loss weight is named %q; choose \"uniform\" or \"min-snr:5\"", name)
	}
	for t := range weights {
		snr := math.Exp(p.LogSNR(t))
		if gamma == 0 {
			weights[t] = 1
			continue
		}
		switch p.Prediction {
		case PredictNoise:
			weights[t] = min(snr, gamma) / snr
		case PredictVelocity:
			weights[t] = min(snr, gamma) / (snr + 1)
		case PredictImage:
			weights[t] = min(snr, gamma)
		case PredictFlow:
			weights[t] = min(snr, gamma) * p.Sigma[t] * p.Sigma[t]
		default:
			return nil, noPrediction(p.Prediction)
		}
	}
	return weights, nil
}
