package unet

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/network"
	"palimpsest/pkg/network/networktest"
)

// In bfloat16 output and gradients are those of float32 but for its rounding, 2^-9 a number, and are float32 themselves.
func TestBFloat16(t *testing.T) {
	c := referenceConfig()
	weights := networktest.Weights(backendtest.Open(t), c, 0)
	compute := func(c Config) [2][]float32 {
		exec, err := model.NewExec(backendtest.Open(t), weights, func(s *model.Scope, g *Graph) []*Node {
			_, x := RandomNormal(Const(g, []uint64{1, 2, 3}), Const(g, make([]float32, 2*4*4*2)).Shape())
			x = Reshape(x, 2, 4, 4, 2)
			out := c.Forward(s.At("net"), 0, network.Inputs{X: x, T: Const(g, []int32{3, 500}), Y: Const(g, []int32{0, 2})})
			grad := Gradient(ReduceAllSum(Square(out)), x)[0]
			if out.DType() != dtypes.Float32 || grad.DType() != dtypes.Float32 {
				t.Errorf("output is %s, its gradient %s; both must be float32", out.DType(), grad.DType())
			}
			return []*Node{out, grad}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer exec.Finalize()
		// Fresh weights have zeros, behind which nothing shows.
		for v := range weights.IterVariables() {
			values := make([]float32, v.Shape().Size())
			for i := range values {
				values[i] = float32(math.Sin(float64(7*i+len(v.Path())))) / 3
			}
			if err := v.SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Call()
		if err != nil {
			t.Fatal(err)
		}
		var both [2][]float32
		for i := range both {
			both[i] = tensors.MustCopyFlatData[float32](out[i])
		}
		return both
	}
	want := compute(c)
	c.Compute = BFloat16
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	got := compute(c)
	for i, name := range []string{"output", "gradient"} {
		var difference, size float64
		for k := range want[i] {
			d := float64(got[i][k] - want[i][k])
			difference += d * d
			size += float64(want[i][k]) * float64(want[i][k])
		}
		if away := math.Sqrt(difference / size); !(away < 0.05 && away > 1e-4) {
			t.Errorf("%s in bfloat16 is %.2g of its norm away from float32's; want about 2^-9 times the square root of some twenty layers", name, away)
		}
	}
	c.Compute = "float16"
	if c.Validate() == nil {
		t.Error("float16 is accepted")
	}
}
