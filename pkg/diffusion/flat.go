package diffusion

import (
	"strings"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"

	"palimpsest/pkg/unet"
)

// Weights returns the trained weights, or their moving average, as one slice [P], P being [Network.Parameters]: one
// tensor after the other in ascending order of their names in [StateFile], each flat in row-major order. All flat
// slices of this package that run over weights have this order.
func (n *Network) Weights(ema bool) ([]float32, error) {
	if ema {
		return n.flat(scopeEMA)
	}
	return n.flat(scopeModel)
}

// SetWeights replaces the trained weights, or their moving average, by values [P] in the order of [Network.Weights]. The
// optimiser's state stays.
func (n *Network) SetWeights(values []float32, ema bool) error {
	if ema {
		return n.setFlat(scopeEMA, values)
	}
	return n.setFlat(scopeModel, values)
}

// Kernels lists where the kernels of convolutions and of the other linear maps lie in the order of [Network.Weights]: the
// i-th from its first to before its last index.
func (n *Network) Kernels() ([][2]int, error) {
	if err := n.build(); err != nil {
		return nil, err
	}
	vars, err := unet.Weights(n.scope(scopeModel))
	if err != nil {
		return nil, err
	}
	var kernels [][2]int
	first := 0
	for _, v := range vars {
		end := first + v.Shape().Size()
		if unet.IsKernel(v) {
			kernels = append(kernels, [2]int{first, end})
		}
		first = end
	}
	return kernels, nil
}

// pathIn is the path of the variable that belongs to weight w in another scope.
func pathIn(scope string, w *model.Variable) string {
	return "/" + scope + strings.TrimPrefix(w.Path(), "/"+scopeModel)
}

// flat returns the variables of a scope one after the other.
func (n *Network) flat(scope string) ([]float32, error) {
	if err := n.build(); err != nil {
		return nil, err
	}
	vars, err := unet.Weights(n.scope(scope))
	if err != nil {
		return nil, err
	}
	var all []float32
	for _, v := range vars {
		value, err := v.Value()
		if err != nil {
			return nil, err
		}
		if err := tensors.ConstFlatData(value, func(part []float32) { all = append(all, part...) }); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// setFlat replaces the variables of a scope by values in the order of flat.
func (n *Network) setFlat(scope string, values []float32) error {
	if err := n.build(); err != nil {
		return err
	}
	vars, err := unet.Weights(n.scope(scope))
	if err != nil {
		return err
	}
	size := 0
	for _, v := range vars {
		size += v.Shape().Size()
	}
	if len(values) != size {
		return errors.Errorf("diffusion: %d values for %d weights; need one each, in the order of Network.Weights", len(values), size)
	}
	for _, v := range vars {
		size := v.Shape().Size()
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(values[:size:size], v.Shape().Dimensions...)); err != nil {
			return err
		}
		values = values[size:]
	}
	return nil
}
