package goconv

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

func open(t testing.TB) compute.Backend {
	t.Helper()
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func random(rng *rand.Rand, dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	x := make([]float32, n)
	for i := range x {
		x[i] = 2*rng.Float32() - 1
	}
	return tensors.FromFlatDataAndDimensions(x, dims...)
}

// shape is one convolution of random sides.
type shape struct {
	batch, h, w, in, out int
	kernel, stride       [2]int
	pads                 [2][2]int
	dilation             int
	first                bool // channels first, in input and output; the kernel [out, in, h, w]
}

func draw(rng *rand.Rand) shape {
	s := shape{batch: 1 + rng.IntN(3), in: 1 + rng.IntN(6), out: 1 + rng.IntN(6), dilation: 1, first: rng.IntN(4) == 0}
	s.kernel, s.stride = [2]int{3, 3}, [2]int{1, 1}
	s.pads = [2][2]int{{1, 1}, {1, 1}}
	switch rng.IntN(4) {
	case 0:
		s.stride = [2]int{2, 2}
		s.pads = [2][2]int{{0, 1}, {0, 1}}
	case 1:
		for i := range 2 {
			s.kernel[i], s.stride[i] = 1+rng.IntN(4), 1+rng.IntN(3)
			s.pads[i] = [2]int{rng.IntN(s.kernel[i]), rng.IntN(s.kernel[i])}
		}
	case 2:
		s.dilation = 2
		s.pads = [2][2]int{{2, 2}, {2, 2}}
	}
	s.h, s.w = 5+rng.IntN(6), 5+rng.IntN(6)
	return s
}

// graph returns the convolution and its gradients by image and kernel, for a weight r of the outputs.
func (s shape) graph(x, w, r *Node) []*Node {
	axes := compute.ConvolveAxesConfig{InputBatch: 0, InputSpatial: []int{1, 2}, InputChannels: 3, KernelSpatial: []int{0, 1},
		KernelInputChannels: 2, KernelOutputChannels: 3, OutputBatch: 0, OutputSpatial: []int{1, 2}, OutputChannels: 3}
	if s.first {
		axes = compute.ConvolveAxesConfig{InputBatch: 0, InputSpatial: []int{2, 3}, InputChannels: 1, KernelSpatial: []int{2, 3},
			KernelInputChannels: 1, KernelOutputChannels: 0, OutputBatch: 0, OutputSpatial: []int{2, 3}, OutputChannels: 1}
	}
	c := Convolve(x, w).AxesConfig(axes).StridePerAxis(s.stride[:]...).PaddingPerDim(s.pads[:])
	if s.dilation > 1 {
		c = c.DilationPerAxis(s.dilation, s.dilation)
	}
	y := c.Done()
	if r == nil || s.kernel[0]%2 == 0 || s.kernel[1]%2 == 0 { // GoMLX knows no gradient of some kernels with even sides
		return []*Node{y}
	}
	return append(Gradient(ReduceAllSum(Mul(y, r)), x, w), y)
}

func (s shape) operands(t *testing.T, b compute.Backend, rng *rand.Rand) []any {
	t.Helper()
	x, w := random(rng, s.batch, s.h, s.w, s.in), random(rng, s.kernel[0], s.kernel[1], s.in, s.out)
	if s.first {
		x, w = random(rng, s.batch, s.in, s.h, s.w), random(rng, s.out, s.in, s.kernel[0], s.kernel[1])
	}
	y, err := CallOnce(b, func(x, w *Node) *Node { return s.graph(x, w, nil)[0] }, copies(t, x, w)...)
	if err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	return []any{x, w, random(rng, y.Shape().Dimensions...)}
}

// copies returns operands that no backend has taken: a tensor belongs to the first that computes on it.
func copies(t *testing.T, operands ...any) []any {
	t.Helper()
	var out []any
	for _, o := range operands {
		c, err := o.(*tensors.Tensor).LocalClone()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

func run(t *testing.T, b compute.Backend, s shape, operands []any) [][]float32 {
	t.Helper()
	e, err := NewExec(b, s.graph)
	if err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	got, err := e.Call(copies(t, operands...)...)
	if err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	var out [][]float32
	for _, g := range got {
		out = append(out, tensors.MustCopyFlatData[float32](g))
	}
	return out
}

// Random convolutions and both their gradients are those of the backend's plain loops: sums of at most some hundred products
// of numbers below 1, in another order, so within 1e-5.
func TestAgainstLoops(t *testing.T) {
	loops := open(t)
	ours := Wrap(loops)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, limit := range []int{maxMatrix, 0} { // with one matrix for all taps, and tap by tap
		old := maxMatrix
		maxMatrix = limit
		for range 40 {
			s := draw(rng)
			operands := s.operands(t, loops, rng)
			want, got := run(t, loops, s, operands), run(t, ours, s, operands)
			for i := range want {
				name := []string{"gradient of the image", "gradient of the kernel", "output"}[3-len(want)+i]
				for j := range want[i] {
					if d := math.Abs(float64(got[i][j] - want[i][j])); !(d <= 1e-5) || len(got[i]) != len(want[i]) {
						t.Fatalf("limit %d, %+v: %s, element %d of %d: %g, the loops give %g", limit, s, name, j, len(want[i]), got[i][j], want[i][j])
					}
				}
			}
		}
		maxMatrix = old
	}
}

// spy counts the convolutions that reach the backend, and sees whether functions reach it unwrapped.
type spy struct {
	compute.Backend
	convolutions int
}

type spyBuilder struct {
	compute.Builder
	spy *spy
}

type spyFunction struct {
	compute.Function
	spy *spy
}

func (s *spy) Builder(name string) compute.Builder { return spyBuilder{s.Backend.Builder(name), s} }

func (b spyBuilder) Main() compute.Function { return spyFunction{b.Builder.Main(), b.spy} }

func (f spyFunction) ConvGeneral(x, w compute.Value, axes compute.ConvolveAxesConfig, strides []int, paddings [][2]int, xDilations, wDilations []int,
	channelGroups, batchGroups int) (compute.Value, error) {
	f.spy.convolutions++
	return f.Function.ConvGeneral(x, w, axes, strides, paddings, xDilations, wDilations, channelGroups, batchGroups)
}

// The three convolutions of a layer are replaced; one of groups stays the backend's.
func TestReplaced(t *testing.T) {
	s := &spy{Backend: open(t)}
	ours := Wrap(s)
	rng := rand.New(rand.NewPCG(3, 4))
	layer := shape{batch: 2, h: 8, w: 8, in: 4, out: 4, kernel: [2]int{3, 3}, stride: [2]int{2, 2}, pads: [2][2]int{{0, 1}, {0, 1}}, dilation: 1}
	run(t, ours, layer, layer.operands(t, ours, rng))
	if s.convolutions != 0 {
		t.Errorf("%d convolutions of a layer were left to the backend", s.convolutions)
	}
	out, err := CallOnce(ours, func(x, w *Node) *Node { return Convolve(x, w).ChannelGroupCount(2).PadSame().Strides(1).Done() },
		random(rng, 2, 6, 6, 4), random(rng, 3, 3, 2, 4))
	if err != nil || s.convolutions != 1 || out.Shape().Dimensions[3] != 4 {
		t.Errorf("a convolution of two groups: %v, %d of 1 left to the backend, result %v", err, s.convolutions, out)
	}
}

// Convolutions inside a loop's body, a branch and beside a sort: the backend gets its own functions.
func TestClosures(t *testing.T) {
	loops := open(t)
	rng := rand.New(rand.NewPCG(5, 6))
	x, w := random(rng, 1, 5, 5, 3), random(rng, 3, 3, 3, 3)
	var results [2][]float32
	for i, b := range []compute.Backend{loops, Wrap(loops)} {
		out, err := CallOnce(b, func(x, w *Node) *Node {
			g := x.Graph()
			cond := NewClosure(g, func(g *Graph) []*Node {
				n := Parameter(g, "n", shapes.Make(dtypes.Int32))
				Parameter(g, "x", x.Shape())
				return []*Node{LessThan(n, Const(g, int32(3)))}
			})
			body := NewClosure(g, func(g *Graph) []*Node {
				n, x := Parameter(g, "n", shapes.Make(dtypes.Int32)), Parameter(g, "x", x.Shape())
				return []*Node{AddScalar(n, 1), Tanh(Convolve(x, w).Strides(1).PadSame().Done())}
			})
			y := While(cond, body, Const(g, int32(0)), x)[1]
			branch := func(sign float64) *Function {
				return NewClosure(g, func(*Graph) []*Node { return []*Node{MulScalar(Convolve(y, w).Strides(1).PadSame().Done(), sign)} })
			}
			return Sort(If(Const(g, true), branch(1), branch(-1))[0], 1, true)
		}, copies(t, x, w)...)
		if err != nil {
			t.Fatal(err)
		}
		results[i] = tensors.MustCopyFlatData[float32](out)
	}
	for j, want := range results[0] {
		if d := math.Abs(float64(results[1][j] - want)); !(d <= 1e-5) {
			t.Fatalf("element %d is %g, the loops give %g", j, results[1][j], want)
		}
	}
}

// Arguments that do not fit together are an error of the backend's own words.
func TestMisfit(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	_, err := CallOnce(Wrap(open(t)), func(x, w *Node) *Node { return Convolve(x, w).Strides(1).PadSame().Done() },
		random(rng, 1, 5, 5, 3), random(rng, 3, 3, 4, 3))
	if err == nil {
		t.Error("3 channels and a kernel for 4 gave no error")
	}
}

// What one computation returns is input of the next, and may be donated to it.
func TestBuffersGoRound(t *testing.T) {
	b := Wrap(open(t))
	e, err := NewExec(b, func(x *Node) *Node { return AddScalar(x, 1) })
	if err != nil {
		t.Fatal(err)
	}
	x := any(tensors.FromValue([]float32{1, 2}))
	for range 3 {
		out, err := e.Call(x)
		if err != nil {
			t.Fatal(err)
		}
		x = out[0]
	}
	donated, err := DonateTensorBuffer(x.(*tensors.Tensor), b, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Call(donated)
	if err != nil {
		t.Fatal(err)
	}
	if got := tensors.MustCopyFlatData[float32](out[0]); got[0] != 5 || got[1] != 6 {
		t.Errorf("1 and 2 and four times 1 are %v", got)
	}
}

// The sigmoid of builds with vectors is the usual one, at both ends too.
func TestSigmoid(t *testing.T) {
	f := Wrap(open(t)).Builder("sigmoid").Main().(*function)
	values := []float32{-200, -90, -30, -3, -0.1, 0, 1e-4, 2, 30, 200, float32(math.Inf(1)), float32(math.Inf(-1))}
	x, err := f.Parameter("x", shapes.Make(dtypes.Float32, len(values)), nil)
	if err != nil {
		t.Fatal(err)
	}
	y, err := f.sigmoid(x)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Return([]compute.Value{y}, nil); err != nil {
		t.Fatal(err)
	}
	e, err := f.Builder().Compile()
	if err != nil {
		t.Fatal(err)
	}
	in, err := f.builder.backend.BufferFromFlatData(0, values, shapes.Make(dtypes.Float32, len(values)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Execute([]compute.Buffer{in}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, len(values))
	if err := out[0].ToFlatData(got); err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		want := 1 / (1 + math.Exp(-float64(v)))
		if d := math.Abs(float64(got[i]) - want); !(d <= 1e-6*want || d < 1e-38) {
			t.Errorf("sigmoid(%g) = %g, want %g", v, got[i], want)
		}
	}
}
