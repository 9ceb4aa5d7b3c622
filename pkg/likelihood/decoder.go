package likelihood

import (
	"math"

	"github.com/pkg/errors"
)

// Normal distribution functions the decoder can use.
const (
	ExactCDF = "exact" // by the complementary error function
	TanhCDF  = "tanh"  // the approximation of [iddpm]'s code, for figures that must agree with it
)

// tanhFloor is the least probability that [iddpm]'s code takes the logarithm of: 39.9 bits a value at most.
const tanhFloor = 1e-12

// halfBin is half the distance of two levels on the scale of [-1, 1].
const halfBin = 1.0 / 255

// levels is what each of the 256 levels stands for.
var levels = func() (x [256]float64) {
	for k := range x {
		x[k] = float64(k)/127.5 - 1
	}
	return x
}()

// noCDF is the error of a distribution function that there is none of.
func noCDF(name string) error {
	return errors.Errorf("likelihood: cdf is %q; choose \"exact\" or \"tanh\"", name)
}

// LogBinNats is the logarithm, in nats of one value, of the probability that a normal with the given mean and log
// standard deviation gives to the bin of a level; the bins of levels 0 and 255 are open ([ddpm] eq. 13). cdf is
// [ExactCDF] or [TanhCDF]. The exact one is not clamped: far in the tails it goes on as the logarithm of the true
// probability, by the asymptotic series where that would underflow. The approximation is clamped to probabilities of
// 1e-12 as in [iddpm]'s code, which understates the bits of values further off. It panics for another cdf.
func LogBinNats(level uint8, mean, logScale float64, cdf string) float64 {
	inverse := math.Exp(-logScale)
	low, high := (levels[level]-halfBin-mean)*inverse, (levels[level]+halfBin-mean)*inverse
	switch cdf {
	case ExactCDF:
		return exactBinNats(level, low, high)
	case TanhCDF:
		return tanhBinNats(level, low, high)
	}
	panic(noCDF(cdf))
}

// tanhBinNats is [LogBinNats] by [TanhCDF], of the bin from low to high in standard deviations from the mean.
func tanhBinNats(level uint8, low, high float64) float64 {
	probability := tanhNormal(high) - tanhNormal(low)
	switch level {
	case 0:
		probability = tanhNormal(high)
	case 255:
		probability = 1 - tanhNormal(low)
	}
	return math.Log(max(probability, tanhFloor))
}

// exactBinNats is [LogBinNats] by [ExactCDF], likewise.
func exactBinNats(level uint8, low, high float64) float64 {
	switch level {
	case 0:
		return logNormalCDF(high)
	case 255:
		return logNormalCDF(-low)
	}
	return logNormalBetween(low, high)
}

// tanhNormal approximates the normal distribution function as [iddpm]'s code does.
func tanhNormal(x float64) float64 {
	return 0.5 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

// tailStart is where the asymptotic series takes over: there its first term left out is below 1e-10 relative, and
// erfc is still far from underflow.
const tailStart = -20

// logNormalCDF is ln Φ(x), without cancellation on either side.
func logNormalCDF(x float64) float64 {
	switch {
	case x > 0:
		return math.Log1p(-0.5 * math.Erfc(x/math.Sqrt2))
	case x > tailStart:
		return math.Log(0.5 * math.Erfc(-x/math.Sqrt2))
	}
	// Φ(x) = φ(x)/|x| · (1 - 1/x² + 3/x⁴ - 15/x⁶ + 105/x⁸ - ...)
	u := 1 / (x * x)
	return -0.5*x*x - math.Log(-x) - 0.5*math.Log(2*math.Pi) + math.Log1p(u*(-1+u*(3+u*(-15+u*105))))
}

// logNormalBetween is ln(Φ(high) - Φ(low)) for low < high. An interval right of zero is mirrored to the left, where Φ is
// small and the difference keeps its digits.
func logNormalBetween(low, high float64) float64 {
	if low+high > 0 {
		low, high = -high, -low
	}
	if high > tailStart {
		return math.Log(0.5 * (math.Erfc(-high/math.Sqrt2) - math.Erfc(-low/math.Sqrt2)))
	}
	upper := logNormalCDF(high)
	return upper + math.Log(-math.Expm1(logNormalCDF(low)-upper))
}
