package diffusion

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// boundTerm builds the term of the variational bound that belongs to each row's timestep, in bits per dimension, [R]:
// KL(q(x_{t-1}|x_t,x_0) ‖ p(x_{t-1}|x_t)) for t > 0 and the decoder's -ln p(x_0|x_1) at t = 0 ([iddpm] eq. 3 to 6).
// variance is the network's second half of channels, in [-1, 1] once trained.
func (p *Process) boundTerm(x0, xt, pred, variance *Node, perRow func(int) *Node) *Node {
	signal, sigma := perRow(colSignal), perRow(colSigma)
	var estimate *Node
	switch p.Prediction {
	case PredictNoise:
		estimate = Div(Sub(xt, Mul(sigma, pred)), signal)
	case PredictImage:
		estimate = pred
	default:
		estimate = Sub(Mul(signal, xt), Mul(sigma, pred))
	}
	meanX0, meanXt, logPosterior := perRow(colMeanX0), perRow(colMeanXt), perRow(colLogPosterior)
	posterior := Add(Mul(meanX0, x0), Mul(meanXt, xt))
	mean := Add(Mul(meanX0, estimate), Mul(meanXt, xt))
	frac := MulScalar(AddScalar(variance, 1), 0.5)
	logVar := Add(Mul(frac, perRow(colLogBeta)), Mul(OneMinus(frac), logPosterior))

	difference := Sub(logPosterior, logVar)
	kl := MulScalar(Sub(Add(Exp(difference), Mul(Square(Sub(posterior, mean)), Exp(Neg(logVar)))), AddScalar(difference, 1)), 0.5)
	nll := Neg(decoderLogLikelihood(x0, mean, MulScalar(logVar, 0.5)))
	term := Where(GreaterThan(BroadcastToShape(perRow(colFirst), kl.Shape()), ScalarZero(kl.Graph(), kl.DType())), nll, kl)
	return MulScalar(ReduceMean(term, 1, 2, 3), 1/math.Ln2)
}

// decoderLogLikelihood is the log-probability, per value and in nats, that a Gaussian with the given mean and log
// standard deviation puts on the 1/127.5-wide bin around each 8-bit value x, the outermost bins being open
// ([ddpm] eq. 13).
func decoderLogLikelihood(x, mean, logScale *Node) *Node {
	inverse := MulScalar(Exp(Neg(logScale)), 1/math.Sqrt2)
	centred := Sub(x, mean)
	const half = 1.0 / 255
	upper := MulScalar(AddScalar(Erf(Mul(inverse, AddScalar(centred, half))), 1), 0.5)
	lower := MulScalar(AddScalar(Erf(Mul(inverse, AddScalar(centred, -half))), 1), 0.5)
	one, zero := OnesLike(x), ZerosLike(x)
	upper = Where(GreaterThan(x, MulScalar(one, 0.999)), one, upper)
	lower = Where(LessThan(x, MulScalar(one, -0.999)), zero, lower)
	return Log(MaxScalar(Sub(upper, lower), 1e-12))
}
