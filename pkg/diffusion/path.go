package diffusion

import . "github.com/gomlx/gomlx/core/graph"

// Scopes of the path integral.
const (
	scopePath      = "path_integral"
	scopePathStart = "path_start"
)

// pathTerm adds each step to the path integral. Its gradient is that of the denoising loss alone.
var pathTerm = &term{
	name: "Path", declared: func(e Extra) bool { return e.Path },
	vectors: func(Extra) []vector {
		return []vector{beside(scopePath, 0, startZero), beside(scopePathStart, 0, startWeight)}
	},
	finish: func(x *termGraph) {
		omega := x.n.vector(scopePath)
		omega.SetNodeValue(Sub(omega.NodeValue(x.g), Mul(x.task, Sub(x.vector(scopeModel), x.before))))
	},
	apart: true,
}

// PathIntegral returns, weight by weight [P], what the path of training since the last [Network.ResetPath] has taken off
// the denoising loss to first order, summed over steps ([si] eq. 3):
//
//	ω_i = -Σ_steps g_i·Δθ_i
//
// with the gradient g of the denoising loss alone (of all rows but reference rows, before clipping) and the optimiser's
// whole update Δθ; and the weights [P] the path started at. The network must be extended by [Extra.Path].
func (n *Network) PathIntegral() (omega, start []float32, err error) {
	if err := needs(n.extra.Path, "Path", "PathIntegral"); err != nil {
		return nil, nil, err
	}
	if omega, err = n.flat(scopePath); err != nil {
		return nil, nil, err
	}
	start, err = n.flat(scopePathStart)
	return omega, start, err
}

// ResetPath starts the path integral again at the weights as they are. The first path starts at the initial weights.
func (n *Network) ResetPath() error {
	if err := needs(n.extra.Path, "Path", "ResetPath"); err != nil {
		return err
	}
	if err := n.setFlat(scopePath, make([]float32, n.Parameters())); err != nil {
		return err
	}
	return n.copyScope(scopePathStart, scopeModel)
}
