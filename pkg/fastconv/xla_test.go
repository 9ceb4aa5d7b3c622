//go:build cgo && linux && (amd64 || arm64)

package fastconv_test

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/fastconv"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

func open(t *testing.T) compute.Backend {
	t.Helper()
	if !backend.CPU.Supported() || os.Getenv(compute.ConfigEnvVar) != "" || os.Getenv(fastconv.Env) != "" || fastconv.Vectors() == "none" {
		t.Skip("no plugin or no vectors for this machine, or another backend asked for")
	}
	return backendtest.Open(t)
}

func random(rng *rand.Rand, dims ...int) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(fastconv.Uniform(rng, shapes.Make(dtypes.Float32, dims...).Size()), dims...)
}

// relative is the root of the mean square difference from what is wanted over that of what is wanted, infinite where there
// are more or fewer values.
func relative(got, want *tensors.Tensor) float64 {
	a, b := tensors.MustCopyFlatData[float32](got), tensors.MustCopyFlatData[float32](want)
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var off, size float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		off, size = off+d*d, size+float64(b[i])*float64(b[i])
	}
	return math.Sqrt(off / size)
}

// TestAgainstXLA builds the same convolution twice: as the networks write it, which this package replaces, and with channels
// first, which stays XLA's; and compares values and gradients. That three convolutions of each graph are replaced is what
// fails where go-xla's text, GoMLX's gradients or XLA's interface move.
func TestAgainstXLA(t *testing.T) {
	b := open(t)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, s := range [][5]int{{2, 8, 8, 16, 32}, {3, 7, 9, 24, 40}, {1, 4, 4, 130, 8}} {
		n, h, w, c, k := s[0], s[1], s[2], s[3], s[4]
		before := fastconv.Replaced()
		ours, err := NewExec(b, func(x, w, r *Node) []*Node {
			y := Convolve(x, w).Strides(1).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()
			return append(Gradient(ReduceAllSum(Mul(y, r)), x, w), y)
		})
		if err != nil {
			t.Fatal(err)
		}
		xla, err := NewExec(b, func(x, w, r *Node) []*Node {
			first := TransposeAllDims(x, 0, 3, 1, 2)
			axes := compute.ConvolveAxesConfig{InputBatch: 0, InputChannels: 1, InputSpatial: []int{2, 3}, KernelInputChannels: 2, KernelOutputChannels: 3,
				KernelSpatial: []int{0, 1}, OutputBatch: 0, OutputChannels: 1, OutputSpatial: []int{2, 3}}
			y := TransposeAllDims(Convolve(first, w).AxesConfig(axes).Strides(1).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done(), 0, 2, 3, 1)
			return append(Gradient(ReduceAllSum(Mul(y, r)), x, w), y)
		})
		if err != nil {
			t.Fatal(err)
		}
		x, kernel, r := random(rng, n, h, w, c), random(rng, 3, 3, c, k), random(rng, n, h, w, k)
		got, err := ours.Call(x, kernel, r)
		if err != nil {
			t.Fatal(err)
		}
		if replaced := fastconv.Replaced() - before; replaced != 3 {
			t.Fatalf("%d convolutions were replaced, not the forward pass and two gradients", replaced)
		}
		want, err := xla.Call(x, kernel, r)
		if err != nil {
			t.Fatal(err)
		}
		if replaced := fastconv.Replaced() - before; replaced != 3 {
			t.Fatalf("%d convolutions with channels first were replaced", replaced-3)
		}
		for i, name := range []string{"gradient of x", "gradient of the kernel", "output"} {
			if e := relative(got[i], want[i]); !(e <= 2e-5) || e == 0 {
				t.Errorf("%v: %s is off by %.1e of its size; want at most 2e-5, and not 0, which XLA's own would give", s, name, e)
			}
		}
	}
}

// TestLeftToXLA runs convolutions that are not replaced beside one that is.
func TestLeftToXLA(t *testing.T) {
	b := open(t)
	before := fastconv.Replaced()
	rng := rand.New(rand.NewPCG(7, 8))
	out, err := CallOnce(b, func(x, w, v, u *Node) *Node {
		x = Convolve(x, v).Strides(1).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()                          // 16 to 3 channels
		x = Convolve(x, u).Strides(1).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()                          // ours
		x = Convolve(x, w).Strides(2).PaddingPerDim([][2]int{{0, 1}, {0, 1}}).Done()                          // stride 2
		return Convolve(x, w).Strides(1).PaddingPerDim([][2]int{{2, 2}, {2, 2}}).DilationPerAxis(2, 2).Done() // dilated
	}, random(rng, 1, 8, 8, 16), random(rng, 3, 3, 16, 16), random(rng, 3, 3, 16, 3), random(rng, 3, 3, 3, 16))
	if err != nil {
		t.Fatal(err)
	}
	if d := out.Shape().Dimensions; d[1] != 4 || d[3] != 16 {
		t.Errorf("the result has shape %v", out.Shape())
	}
	if n := fastconv.Replaced() - before; n != 1 {
		t.Errorf("%d convolutions were replaced, want 1", n)
	}
}

// TestFewChannels compares a convolution of few channels with XLA's own, which the border put on by hand leaves to it, with
// a bias and without: bit by bit where both sum in one order.
func TestFewChannels(t *testing.T) {
	b := open(t)
	rng := rand.New(rand.NewPCG(9, 10))
	for _, s := range [][5]int{{16, 16, 16, 1, 16}, {3, 5, 13, 2, 24}, {2, 32, 32, 3, 128}, {1, 4, 9, 7, 8}} {
		n, h, w, c, k := s[0], s[1], s[2], s[3], s[4]
		before := fastconv.Replaced()
		out, err := CallOnceN(b, func(in []*Node) []*Node {
			x, kernel, bias := in[0], in[1], in[2]
			plus := func(y *Node) *Node { return Add(y, BroadcastToShape(Reshape(bias, 1, 1, 1, k), y.Shape())) }
			ours := Convolve(x, kernel).Strides(1).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()
			sum := fastconv.ConvSum(x, kernel, 1, fastconv.Terms{Bias: bias}, func() *Node { return plus(ours) })
			bordered := Pad(x, ScalarZero(x.Graph(), x.DType()), PadAxis{}, PadAxis{Start: 1, End: 1}, PadAxis{Start: 1, End: 1}, PadAxis{})
			plain := Convolve(bordered, kernel).Strides(1).NoPadding().Done()
			return []*Node{ours, plain, sum, plus(plain)}
		}, random(rng, n, h, w, c), random(rng, 3, 3, c, k), random(rng, k))
		if err != nil {
			t.Fatal(err)
		}
		if replaced := fastconv.Replaced() - before; replaced != 2 {
			t.Errorf("%v: %d convolutions were replaced; want 2", s, replaced)
		}
		for i := 0; i < 4; i += 2 {
			if e := relative(out[i], out[i+1]); !(e <= 1e-6) {
				t.Errorf("%v: result %d is off by %.1e of its size; want at most 1e-6", s, i, e)
			}
			if k%16 == 0 && fastconv.Vectors() == "AVX-512" && !slices.Equal(tensors.MustCopyFlatData[float32](out[i]), tensors.MustCopyFlatData[float32](out[i+1])) {
				t.Errorf("%v: result %d has other bits than XLA's", s, i)
			}
		}
	}
}
