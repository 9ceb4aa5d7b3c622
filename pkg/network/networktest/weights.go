package networktest

import (
	"hash/crc32"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"palimpsest/pkg/network"
)

// Weights creates the weights of a network in a new store, below "net", without compiling it.
func Weights(b compute.Backend, n network.Network, seed uint64) *model.Store {
	store, shape := model.NewStore(), n.Shape()
	g := NewGraph(b, "weights")
	defer g.Finalize()
	model.SetStore(g, store)
	n.Forward(store.RootScope().At("net"), seed, network.Inputs{
		X: Parameter(g, "x", shapes.Make(dtypes.Float32, 1, shape.H, shape.W, shape.Channels)),
		T: Parameter(g, "t", shapes.Make(dtypes.Int32, 1)), Y: Parameter(g, "y", shapes.Make(dtypes.Int32, 1))})
	return store
}

// SetWaves gives every weight of [Weights] the value that testdata/reference.py of the packages unet and dit gives it, from its name
// and its place i in the tensor: amplitude·sin(0.37·i + phase of the name), and 1 more where the name ends in "gain".
func SetWaves(t testing.TB, store *model.Store, amplitude float64) {
	t.Helper()
	for v := range store.IterVariables() {
		name := strings.TrimPrefix(v.Path(), "/net/")
		phase := float64(crc32.ChecksumIEEE([]byte(name)) % 1000)
		values := make([]float32, v.Shape().Size())
		for i := range values {
			x := amplitude * math.Sin(0.37*float64(i)+phase)
			if strings.HasSuffix(name, "gain") {
				x++
			}
			values[i] = float32(x)
		}
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)); err != nil {
			t.Fatal(err)
		}
	}
}

// Images are so many images for a network, [rows, H, W, Channels], which reference.py makes too: value k of all is sin(0.9·k).
func Images(n network.Network, rows int) *tensors.Tensor {
	shape := n.Shape()
	values := make([]float32, rows*shape.Values())
	for i := range values {
		values[i] = float32(math.Sin(0.9 * float64(i)))
	}
	return tensors.FromFlatDataAndDimensions(values, rows, shape.H, shape.W, shape.Channels)
}
