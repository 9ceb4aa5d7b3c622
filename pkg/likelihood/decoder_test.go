package likelihood

import (
	"math"
	"testing"
)

// Probabilities of all levels add up to one, wherever the mean and however narrow the normal.
func TestBinsAddUp(t *testing.T) {
	for _, cdf := range []string{ExactCDF, TanhCDF} {
		for _, mean := range []float64{-1.3, -1, 0.001, 0.5, 1.1} {
			for _, logScale := range []float64{-6, -4, -1, 1} {
				sum := 0.0
				for level := range 256 {
					sum += math.Exp(LogBinNats(uint8(level), mean, logScale, cdf))
				}
				// The approximation is telescoping too, but for its floor of 1e-12 a level.
				if math.Abs(sum-1) > 1e-9 {
					t.Errorf("%s, mean %g, log-scale %g: probabilities add up to %.12f", cdf, mean, logScale, sum)
				}
			}
		}
	}
}

func TestDecoderTails(t *testing.T) {
	for _, b := range readReference(t).Bins {
		got := LogBinNats(b.Level, b.Mean, b.LogScale, ExactCDF)
		// 1e-9 of the value where that is far off; some ulps of a probability near 1, or of a thin bin of a wide normal.
		if math.Abs(got-b.Nats) > 1e-9*math.Abs(b.Nats)+1e-12 || math.IsInf(got, 0) {
			t.Errorf("level %d, mean %g, log-scale %g: %.12g nats; want %.12g", b.Level, b.Mean, b.LogScale, got, b.Nats)
		}
		reference := LogBinNats(b.Level, b.Mean, b.LogScale, TanhCDF)
		if floor := math.Log(1e-12); b.Nats < 2*floor && reference != floor {
			t.Errorf("level %d, mean %g, log-scale %g: the approximation gives %g; want its floor %g", b.Level, b.Mean, b.LogScale, reference, floor)
		}
		if b.Nats > -5 && math.Abs(reference-b.Nats) > 0.1 {
			t.Errorf("level %d, mean %g, log-scale %g: the approximation gives %g; the truth is %g", b.Level, b.Mean, b.LogScale, reference, b.Nats)
		}
	}
}

// Where the asymptotic series takes over, it agrees with the function it replaces.
func TestSeriesJoins(t *testing.T) {
	x := math.Nextafter(tailStart, 0)
	if a, b := logNormalCDF(tailStart), logNormalCDF(x); math.Abs(a-b) > 1e-9 {
		t.Errorf("ln Φ jumps from %.15g to %.15g", a, b)
	}
	if a, b := logNormalBetween(tailStart-0.1, tailStart), logNormalBetween(tailStart-0.1, x); math.Abs(a-b) > 1e-9 {
		t.Errorf("ln of the difference jumps from %.15g to %.15g", a, b)
	}
}
