package diffusion

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"

	"palimpsest/pkg/network"
)

// MidBlock gives the activations after a network's middle block, for measures of representation drift.
type MidBlock struct {
	network *Network
	exec    *model.Exec
}

// MidBlock returns the middle block of the network's trained weights, or of their moving average. Keep what it returns:
// each compiles for itself, once for a batch size. Close frees it.
func (n *Network) MidBlock(ema bool) (*MidBlock, error) {
	if err := n.open(); err != nil {
		return nil, err
	}
	name := scopeModel
	if ema {
		name = scopeEMA
	}
	exec, err := model.NewExec(n.backend, n.store, func(_ *model.Scope, x, t, y *Node) *Node {
		return n.Net.ForwardToMid(n.names(), n.seed, n.on(n.parts(x, name), network.Inputs{X: x, T: t, Y: y}))
	})
	if err != nil {
		return nil, err
	}
	return &MidBlock{n, exec}, nil
}

// Close frees the compiled graphs. The network stays.
func (m *MidBlock) Close() { m.exec.Finalize() }

// Output evaluates the network up to its middle block on B noisy images x, [B, D] flat, at timesteps t [B] with labels
// y [B], and returns the activations, [B, H/2^k·W/2^k·channels] flat with k halvings. They do not count as
// predictions.
func (m *MidBlock) Output(x []float32, t, y []int32) ([]float32, error) {
	u, rows := m.network.Shape, len(t)
	if err := m.network.ready(x, t, y); err != nil {
		return nil, err
	}
	out, err := m.exec.Call1(tensors.FromFlatDataAndDimensions(x, rows, u.H, u.W, u.Channels),
		tensors.FromFlatDataAndDimensions(t, rows), tensors.FromFlatDataAndDimensions(y, rows))
	if err != nil {
		return nil, errors.WithMessage(err, "diffusion: middle block")
	}
	defer out.MustFinalizeAll()
	return tensors.CopyFlatData[float32](out)
}
