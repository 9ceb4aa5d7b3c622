package diffusion

import (
	"math"
	"testing"
)

// The same weight on the error of x_0 whatever the network predicts: at x_t fixed, an error d of x_0 is an error of
// d·sqrt(SNR) in the noise and of d·sqrt(SNR+1) in the velocity, up to sign.
func TestMinSNRIsOneWeightOnTheImage(t *testing.T) {
	for _, prediction := range []string{PredictNoise, PredictImage, PredictVelocity} {
		p, err := New(Config{T: 100, Schedule: "cosine", Prediction: prediction, Variance: FixedSmall})
		if err != nil {
			t.Fatal(err)
		}
		weights, err := p.LossWeights("min-snr:5")
		if err != nil {
			t.Fatal(err)
		}
		for step, w := range weights {
			const xt, x0, d = 0.3, 0.2, 1e-3
			predict := func(x0 float64) float64 { return p.Target(x0, p.Noise(xt, x0, step), step) }
			e := predict(x0+d) - predict(x0)
			snr := p.AlphaBar[step] / (1 - p.AlphaBar[step])
			if got, want := w*e*e, min(snr, 5)*d*d; math.Abs(got-want) > 1e-6*want {
				t.Errorf("%s, t=%d: weighted error %g, want %g", prediction, step, got, want)
			}
		}
	}
}

func TestLossWeightNames(t *testing.T) {
	p, err := New(Config{T: 10, Schedule: "linear", Prediction: PredictNoise, Variance: FixedSmall})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "uniform"} {
		weights, err := p.LossWeights(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range weights {
			if w != 1 {
				t.Errorf("%q weighs %g, want 1", name, w)
			}
		}
	}
	for _, name := range []string{"min-snr", "min-snr:", "min-snr:-1", "min-snr:NaN", "p2"} {
		if _, err := p.LossWeights(name); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
