package diffusion

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"

	"palimpsest/pkg/network"
)

// DifferentiableDenoiser is a network's [Denoiser] with products of its Jacobian, for the likelihood by the
// probability-flow ODE.
type DifferentiableDenoiser struct {
	networkDenoiser
	exec *model.Exec
}

// Differentiable returns the network's trained weights, or their moving average, with vector-Jacobian products. Keep
// what it returns: each compiles for itself, once for a batch size. Close frees it.
func (n *Network) Differentiable(ema bool) (*DifferentiableDenoiser, error) {
	if err := n.open(); err != nil {
		return nil, err
	}
	name, which := scopeModel, 0
	if ema {
		name, which = scopeEMA, 1
	}
	exec, err := model.NewExec(n.backend, n.store, func(_ *model.Scope, x, t, y, probe *Node) []*Node {
		out := n.forward(n.parts(x, name), network.Inputs{X: x, T: t, Y: y})
		prediction := Slice(out, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, n.Shape.Channels))
		return []*Node{prediction, Gradient(ReduceAllSum(Mul(prediction, probe)), x)[0]}
	})
	if err != nil {
		return nil, err
	}
	exec.SetMaxCache(4)
	return &DifferentiableDenoiser{networkDenoiser{n, which}, exec}, nil
}

// Close frees the compiled graphs of the products. The network stays, and so does Output.
func (v *DifferentiableDenoiser) Close() { v.exec.Finalize() }

// OutputVJP evaluates the network on B images x, [B, D] flat, at timesteps t [B] with labels y [B], and returns its
// predictions (without variances) and probe·∂prediction/∂x, the gradient of Σ probe·prediction, both [B, D]. probe is
// [B, D].
func (v *DifferentiableDenoiser) OutputVJP(x []float32, t, y []int32, probe []float32) (prediction, product []float32, err error) {
	n := v.network
	u, rows := n.Shape, len(t)
	if err := n.ready(x, t, y); err != nil {
		return nil, nil, err
	}
	if len(probe) != len(x) {
		return nil, nil, errors.Errorf("diffusion: a probe of %d values for %d pixels; need one each", len(probe), len(x))
	}
	n.predicted.Add(int64(rows))
	image := func(values []float32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(values, rows, u.H, u.W, u.Channels)
	}
	out, err := v.exec.Call(image(x), tensors.FromFlatDataAndDimensions(t, rows), tensors.FromFlatDataAndDimensions(y, rows), image(probe))
	if err != nil {
		return nil, nil, errors.WithMessage(err, "diffusion: vector-Jacobian product")
	}
	defer func() {
		for _, o := range out {
			o.MustFinalizeAll()
		}
	}()
	if prediction, err = tensors.CopyFlatData[float32](out[0]); err != nil {
		return nil, nil, err
	}
	product, err = tensors.CopyFlatData[float32](out[1])
	return prediction, product, err
}
