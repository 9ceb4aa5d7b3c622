package diffusion

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/pkg/errors"
)

// boundTerm builds the term of the variational bound that belongs to each row's timestep, in bits per dimension, [R]:
// KL(q(x_{t-1}|x_t,x_0) ‖ p(x_{t-1}|x_t)) for t > 0 and the decoder's -ln p(x_0|x_1) at t = 0 ([iddpm] eq. 3 to 6).
// target is what pred should be; variance is the network's second half of channels, in [-1, 1] once trained, or nil
// where the process fixes the variance.
func (p *Process) boundTerm(x0, pred, target, variance *Node, perRow func(int) *Node) *Node {
	// x_0 less its estimate, from the prediction's error: the difference of the two itself would lose the digits of a
	// good estimate.
	missing := Sub(pred, target)
	switch p.Prediction {
	case PredictNoise:
		missing = Mul(Div(perRow(colSigma), perRow(colSignal)), missing)
	case PredictImage:
		missing = Neg(missing)
	case PredictVelocity:
		missing = Mul(perRow(colSigma), missing)
	case PredictFlow: // [TrainConfig.ValidateFor] refuses it
		panic(errors.New("diffusion: a flow has no variational bound"))
	default:
		panic(noPrediction(p.Prediction))
	}
	// The posterior's mean less the model's; at t = 0 that of the posterior is x_0.
	difference := Mul(perRow(colMeanX0), missing)
	logPosterior, logVar := perRow(colLogPosterior), perRow(colLogVar)
	if variance != nil {
		frac := MulScalar(AddScalar(variance, 1), 0.5)
		logVar = Add(Mul(frac, logVar), Mul(OneMinus(frac), logPosterior))
	}
	logVar = BroadcastToShape(logVar, x0.Shape())

	ratio := Sub(logPosterior, logVar)
	kl := MulScalar(Sub(Add(Exp(ratio), Mul(Square(difference), Exp(Neg(logVar)))), AddScalar(ratio, 1)), 0.5)
	nll := Neg(logBin(x0, difference, MulScalar(logVar, 0.5)))
	term := Where(GreaterThan(BroadcastToShape(perRow(colFirst), kl.Shape()), ScalarZero(kl.Graph(), kl.DType())), nll, kl)
	return MulScalar(ReduceMean(term, 1, 2, 3), 1/math.Ln2)
}

// logBin is the log-probability, per value and in nats, that a Gaussian with the given log standard deviation and mean
// x - centred puts on the 2/255-wide bin around each 8-bit value x, the outermost bins being open ([ddpm] eq. 13). It
// keeps its digits, and its gradient, in the tails, where the difference of two distribution functions would be zero.
func logBin(x, centred, logScale *Node) *Node {
	inverse := MulScalar(Exp(Neg(logScale)), 1/math.Sqrt2)
	half := MulScalar(inverse, 1.0/255)
	centred = Mul(centred, inverse)

	// Mirrored to one side, the bin reaches from near to far, far > |near|: P = (erfc(near) - erfc(far))/2.
	distance := Abs(centred)
	near, far := Sub(distance, half), Add(distance, half)
	outside := MaxScalar(near, 0)
	logFar, logNear := logErfc(far), logErfc(outside)
	tail := Add(logNear, Log(MaxScalar(OneMinus(Exp(Sub(logFar, logNear))), 1e-30)))
	// Around the mean the two error functions have opposite signs.
	middle := Log(MaxScalar(Sub(Erf(far), Erf(MinScalar(near, 0))), 1e-30))
	zero := ZerosLike(x)
	closed := Where(LessThan(near, zero), middle, tail)

	// Open bins are all of one side of their inner edge: P = erfc(edge)/2.
	edge := Sub(Where(LessThan(x, zero), Neg(centred), centred), half)
	above := logErfc(MaxScalar(edge, 0))
	below := Log(AddScalar(Neg(Exp(logErfc(MaxScalar(Neg(edge), 0)))), 2))
	open := Where(LessThan(edge, zero), below, above)
	return AddScalar(Where(GreaterThan(Abs(x), MulScalar(OnesLike(x), 0.999)), open, closed), -math.Ln2)
}

// logErfc is the logarithm of the complementary error function for z >= 0, with a fractional error of erfc below 1.2e-7
// everywhere: the Chebyshev fit erfcc of Press et al., Numerical Recipes, section 6.2.
func logErfc(z *Node) *Node {
	t := Reciprocal(AddScalar(MulScalar(z, 0.5), 1))
	sum := MulScalar(t, 0.17087277)
	for _, c := range []float64{-0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368} {
		sum = Mul(t, AddScalar(sum, c))
	}
	return Add(Log(t), AddScalar(Sub(sum, Square(z)), -1.26551223))
}
