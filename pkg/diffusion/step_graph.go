package diffusion

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"palimpsest/pkg/network"
)

// stepGraph builds loss, gradient, clipping, Adam and EMA in one graph. Its inputs are x_0, timesteps, labels,
// coefficients, learning rate with EMA decay, the random state, and those of [Network.termInputs].
func (n *Network) stepGraph(_ *model.Scope, inputs []*Node) []*Node {
	x0, t, y, coef, settings, rng := inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], inputs[5]
	root := n.store.RootScope()
	column := func(i int) *Node { return Slice(coef, AxisRange(), AxisElem(i)) } // [R, 1]
	perRow := func(i int) *Node { return Reshape(column(i), x0.Shape().Dimensions[0], 1, 1, 1) }
	x := n.openTerms(inputs)

	signal, sigma := perRow(colSignal), perRow(colSigma)
	rng, noise := drawNoise(rng, x0, n.rows)
	noise, xt := x.noised(x0, noise, signal, sigma)
	weights := n.parts(x0, scopeModel)
	in := network.Inputs{X: xt, T: t, Y: y, Rows: n.rows}
	if n.Net.Drops() {
		in.Dropout = rng
	}
	pred, variance := n.split(n.forward(weights, in))
	target := n.Process.target(x0, noise, signal, sigma)
	rows := n.rowLosses(x0, pred, target, variance, perRow)
	weighted := Mul(rows, Reshape(column(colWeight), -1))

	loss, grad := x.gradient(weighted, pred, xt, t, weights)
	norm := Sqrt(ReduceAllSum(Square(grad)))
	if n.Train.ClipNorm > 0 {
		grad = Mul(grad, MinScalar(DivScalar(Reciprocal(AddScalar(norm, 1e-12)), 1/n.Train.ClipNorm), 1))
	}
	lr := optimizer.LearningRateVar(root, loss.DType(), n.Train.LearningRate)
	lr.SetNodeValue(Reshape(Slice(settings, AxisElem(0))))
	optimizer.Adam().LearningRate(-1).WeightDecay(n.Train.WeightDecay).Done().(interface {
		UpdateGraphWithGradients(*model.Scope, []*Node, dtypes.DType)
	}).UpdateGraphWithGradients(root, []*Node{grad}, loss.DType())
	x.finish()
	x.averageWeights(Reshape(Slice(settings, AxisElem(1))))
	scalars := []*Node{Reshape(loss, 1), Reshape(norm, 1)}
	for _, s := range n.scalars() {
		scalars = append(scalars, Reshape(x.scalar(s.name), 1))
	}
	if n.far {
		return []*Node{Concatenate(append(scalars, rows), 0)}
	}
	return []*Node{Concatenate(scalars, 0), rows}
}

// split takes a network's output [R, H, W, OutChannels] apart into its prediction and, where it is learned (else nil),
// the variance, both [R, H, W, C].
func (n *Network) split(out *Node) (pred, variance *Node) {
	if !n.Process.learned() {
		return out, nil
	}
	c := n.Shape.Channels
	return Slice(out, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, c)),
		Slice(out, AxisRange(), AxisRange(), AxisRange(), AxisRange(c, 2*c))
}

// target is what the network should predict, [Process.Target].
func (p *Process) target(x0, noise, signal, sigma *Node) *Node {
	switch p.Prediction {
	case PredictNoise:
		return noise
	case PredictImage:
		return x0
	case PredictVelocity:
		return Sub(Mul(signal, noise), Mul(sigma, x0))
	case PredictFlow:
		return Sub(noise, x0)
	}
	panic(noPrediction(p.Prediction))
}

// rowLosses builds the loss of each row, [R], that [TrainConfig.Objective] names.
func (n *Network) rowLosses(x0, pred, target, variance *Node, perRow func(int) *Node) *Node {
	T := float64(n.Process.T)
	switch n.Train.Objective {
	case "", ObjectiveSimple:
	case ObjectiveVLB:
		return MulScalar(n.Process.boundTerm(x0, pred, target, variance, perRow), T)
	default:
		panic(noObjective(n.Train.Objective))
	}
	rows := ReduceMean(Square(Sub(pred, target)), 1, 2, 3)
	if variance != nil && n.Train.VLBWeight > 0 {
		// The mean is held fixed: the bound trains the variance only, [iddpm] section 3.1.
		bound := n.Process.boundTerm(x0, StopGradient(pred), target, variance, perRow)
		rows = Add(rows, MulScalar(bound, n.Train.VLBWeight*T))
	}
	return rows
}

// drawNoise draws noise like x0, for its first rows ([network.RandomRows]), and returns it with the next random state.
func drawNoise(rng, x0 *Node, rows int) (next, noise *Node) {
	next, noise = network.RandomRows(RandomNormal, rng, x0.Shape(), rows)
	return next, StopGradient(noise)
}

// addNoise is x_t = signal·x_0 + sigma·noise, [ddpm] eq. 4.
func addNoise(x0, noise, signal, sigma *Node) *Node { return Add(Mul(signal, x0), Mul(sigma, noise)) }

// averageWeights adds the update ema = decay·ema + (1-decay)·weights. The averages are not trainable, so the
// optimiser neither decays them nor keeps moments for them.
func (x *termGraph) averageWeights(decay *Node) {
	average := x.n.vector(scopeEMA)
	before, weights := average.NodeValue(x.g), x.vector(scopeModel)
	average.SetNodeValue(x.updated(before, Add(Mul(decay, before), Mul(OneMinus(decay), weights))))
}
