package diffusion

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"

	"palimpsest/pkg/network"
)

// LossGradient gives the gradient of a network's denoising loss on given noise, for measures of how the losses of two sets
// of images pull at the same weights.
type LossGradient struct {
	network *Network
	rows    int
	exec    *model.Exec
}

// LossGradient returns the gradient with respect to the network's trained weights, or to their moving average where ema is
// set, in batches of the given rows, which set its memory. Keep what it returns: each compiles for itself, once. Close frees
// it.
func (n *Network) LossGradient(ema bool, rows int) (*LossGradient, error) {
	if err := n.open(); err != nil {
		return nil, err
	}
	if rows < 1 {
		return nil, errors.Errorf("diffusion: gradients in batches of %d rows; need at least 1", rows)
	}
	name := scopeModel
	if ema {
		name = scopeEMA
	}
	exec, err := model.NewExec(n.backend, n.store, func(_ *model.Scope, xt, t, y, target, weight *Node) *Node {
		weights := n.parts(xt, name)
		out := n.forward(weights, network.Inputs{X: xt, T: t, Y: y})
		pred := Slice(out, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, n.Shape.Channels))
		loss := ReduceAllSum(Mul(weight, ReduceMean(Square(Sub(pred, target)), 1, 2, 3)))
		return flatGradient(loss, weights)
	})
	if err != nil {
		return nil, err
	}
	exec.SetMaxCache(1)
	return &LossGradient{n, rows, exec}, nil
}

// Close frees the compiled graph. The network stays.
func (g *LossGradient) Close() { g.exec.Finalize() }

// Mean is the gradient of
//
//	L = mean over rows and values of (prediction(x_t, t, y) - target)²,    x_t = sqrt(ᾱ)·x_0 + sqrt(1-ᾱ)·noise
//
// for images x0 [N, D] in [-1, 1], their noise [N, D], timesteps t [N] and labels y [N], target being what [Process.Target]
// says. It is [P], P being [Network.Parameters]: one weight after the other in ascending order of their names in
// [StateFile], each flat in row-major order. Timesteps have no weights of their own here ([TrainConfig.LossWeight]),
// learned variances no loss, and dropout is off; so it depends on the arguments and the network's weights alone, and N
// need be no multiple of the batch's rows. Its rows do not count as predictions.
func (g *LossGradient) Mean(x0, noise []float32, t, y []int32) ([]float32, error) {
	u, count := g.network.Shape, len(t)
	dim := u.Values()
	if err := g.network.ready(x0, t, y); err != nil {
		return nil, err
	}
	if len(noise) != len(x0) {
		return nil, errors.Errorf("diffusion: noise of %d values for %d pixels; need one each", len(noise), len(x0))
	}
	p := g.network.Process
	var sum []float64
	for first := 0; first < count; first += g.rows {
		xt, target := make([]float32, g.rows*dim), make([]float32, g.rows*dim)
		steps, labels, weight := make([]int32, g.rows), make([]int32, g.rows), make([]float32, g.rows)
		n := min(g.rows, count-first)
		for r := range n { // the rest stays zero: no weight
			i := first + r
			steps[r], labels[r], weight[r] = t[i], y[i], 1/float32(count)
			step := int(t[i])
			signal, sigma := p.Signal[step], p.Sigma[step]
			for j := range dim {
				image, eps := float64(x0[i*dim+j]), float64(noise[i*dim+j])
				xt[r*dim+j] = float32(signal*image + sigma*eps)
				target[r*dim+j] = float32(p.Target(image, eps, step))
			}
		}
		part, err := g.batch(xt, steps, labels, target, weight)
		if err != nil {
			return nil, err
		}
		if count <= g.rows {
			return part, nil
		}
		if sum == nil {
			sum = make([]float64, len(part))
		}
		for i, v := range part {
			sum[i] += float64(v)
		}
	}
	mean := make([]float32, len(sum))
	for i, v := range sum {
		mean[i] = float32(v)
	}
	return mean, nil
}

// batch is the gradient of Σ weight·(mean square error) over the rows of one batch, [P].
func (g *LossGradient) batch(xt []float32, t, y []int32, target, weight []float32) ([]float32, error) {
	u := g.network.Shape
	image := func(values []float32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(values, g.rows, u.H, u.W, u.Channels)
	}
	out, err := g.exec.Call1(image(xt), tensors.FromFlatDataAndDimensions(t, g.rows), tensors.FromFlatDataAndDimensions(y, g.rows),
		image(target), tensors.FromFlatDataAndDimensions(weight, g.rows))
	if err != nil {
		return nil, errors.WithMessage(err, "diffusion: gradient")
	}
	defer out.MustFinalizeAll()
	return tensors.CopyFlatData[float32](out)
}
