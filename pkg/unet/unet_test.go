package unet

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/network"
	"palimpsest/pkg/network/networktest"
)

// reference is testdata/reference.json, made there by
//
//	python3 reference.py > reference.json
type reference struct {
	Output     []float64 // of images of 4×4 pixels
	Wide       []float64 // of 4×6
	Parameters int
	CIFAR10    int
}

func loadReference(t *testing.T) (r reference) {
	t.Helper()
	content, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// referenceConfig is the network testdata/reference.py computes.
func referenceConfig() Config {
	return Config{ImageSize: 4, Channels: 2, OutChannels: 4, Base: 4, Mults: []int{1, 2}, ResBlocks: 1, Attention: []int{2},
		MidAttn: true, Heads: 2, Groups: 2, Classes: 3}
}

// call runs fn once and returns the flat float32 result.
func call[F model.ExecGraphFnOneOutput](t *testing.T, store *model.Store, fn F, args ...any) []float32 {
	t.Helper()
	out, err := model.CallOnce(backendtest.Open(t), store, fn, args...)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float32](out)
}

// setWeights gives every weight the value testdata/reference.py gives it.
func setWeights(t *testing.T, store *model.Store) { networktest.SetWaves(t, store, 0.4) }

func forward(c Config) func(*model.Scope, *Node, *Node, *Node) *Node {
	return func(scope *model.Scope, x, t, y *Node) *Node {
		return c.Forward(scope.At("net"), 0, network.Inputs{X: x, T: t, Y: y})
	}
}

func TestForwardAgainstNumPy(t *testing.T) {
	want, c := loadReference(t), referenceConfig()
	store := networktest.Weights(backendtest.Open(t), c, 0)
	if got := store.NumParameters(); got != want.Parameters {
		t.Errorf("%d weights, the reference made %d", got, want.Parameters)
	}
	setWeights(t, store)
	wide := c
	wide.Width = 6
	for _, tc := range []struct {
		c    Config
		want []float64
	}{{c, want.Output}, {wide, want.Wide}} {
		got := call(t, store, forward(tc.c), networktest.Images(tc.c, 2), []int32{3, 917}, []int32{1, 3})
		if len(got) != len(tc.want) {
			t.Fatalf("%d outputs, want %d", len(got), len(tc.want))
		}
		for i, x := range got {
			// Float32 through some thirty layers: 1e-7 relative each.
			if math.Abs(float64(x)-tc.want[i]) > 2e-5 {
				t.Errorf("%+v: output %d is %.7f, the reference %.7f", tc.c.Shape(), i, x, tc.want[i])
			}
		}
	}
}

// TestTransposed: with every kernel's two axes exchanged, the network of 16×8 pixels does to the transposed image what that of
// 8×16 does to the image.
func TestTransposed(t *testing.T) {
	wide := Config{ImageSize: 8, Width: 16, Channels: 3, OutChannels: 3, Base: 8, Mults: []int{1, 2}, ResBlocks: 1, Attention: []int{4},
		MidAttn: true, Heads: 2, Groups: 4}
	high := wide
	high.ImageSize, high.Width = 16, 8
	transposed := func(values []float32, h, w, inner int) []float32 { // [n, h, w, inner] to [n, w, h, inner]
		out := make([]float32, len(values))
		for i := range values {
			n, y, x, k := i/(h*w*inner), i/(w*inner)%h, i/inner%w, i%inner
			out[((n*w+x)*h+y)*inner+k] = values[i]
		}
		return out
	}
	store, other := networktest.Weights(backendtest.Open(t), wide, 0), networktest.Weights(backendtest.Open(t), high, 0)
	setWeights(t, store)
	for v := range store.IterVariables() {
		values := tensors.MustCopyFlatData[float32](v.MustValue())
		if dims := v.Shape().Dimensions; len(dims) == 4 {
			values = transposed(values, dims[0], dims[1], dims[2]*dims[3])
		}
		if err := other.GetVariable(v.Path()).SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)); err != nil {
			t.Fatal(err)
		}
	}
	x := networktest.Images(wide, 1)
	want := call(t, store, forward(wide), x, []int32{5}, []int32{0})
	got := call(t, other, forward(high), tensors.FromFlatDataAndDimensions(transposed(tensors.MustCopyFlatData[float32](x), 8, 16, 3), 1, 16, 8, 3), []int32{5}, []int32{0})
	for i, v := range transposed(want, 8, 16, 3) {
		// Sums in another order, through thirty layers whose values grow.
		if math.Abs(float64(got[i]-v)) > 1e-4 {
			t.Fatalf("value %d is %.7f, transposed %.7f", i, got[i], v)
		}
	}
}

// TestPresetSides: presets take what can be halved, up to 256 pixels and beyond, and attend where that is cheap; sizes that
// they had always taken have the network they had.
func TestPresetSides(t *testing.T) {
	for _, tc := range []struct {
		name      string
		h, w      int
		mults     []int
		attention []int
	}{
		{"tiny", 8, 16, []int{1, 2, 4}, nil},
		{"tiny", 256, 192, []int{1, 2, 4}, nil},
		{"small", 16, 16, []int{1, 2, 2}, []int{4}},
		{"small", 96, 96, []int{1, 2, 2}, []int{24}},
		{"small", 100, 100, []int{1, 2, 2}, []int{25}}, // 25 cannot be halved
		{"small", 256, 128, []int{1, 1, 2, 2}, []int{16}},
		{"small", 256, 256, []int{1, 1, 1, 2, 2}, []int{16}},
		{"ddpm", 32, 32, []int{1, 2, 2, 2}, []int{16}},
		{"ddpm", 128, 128, []int{1, 2, 2, 2}, []int{16}},
		{"ddpm", 256, 256, []int{1, 1, 2, 2, 2}, []int{16}},
		{"ddpm", 48, 64, []int{1, 2, 2, 2}, []int{24}},
		{"ddpm", 8, 8, []int{1, 2, 2, 2}, []int{8}},
		{"ddpm", 1000, 1000, []int{1, 2, 2, 2}, nil}, // 125 cannot be halved
	} {
		c, err := Preset(tc.name, tc.h, tc.w, 3, 10)
		if err != nil || !slices.Equal(c.Mults, tc.mults) || !slices.Equal(c.Attention, tc.attention) {
			t.Errorf("%s at %d×%d: mults %v, attention %v, %v; want %v and %v", tc.name, tc.h, tc.w, c.Mults, c.Attention, err, tc.mults, tc.attention)
		}
		if s := c.Shape(); s.H != tc.h || s.W != tc.w || s.Values() != tc.h*tc.w*3 {
			t.Errorf("%s at %d×%d has shape %+v", tc.name, tc.h, tc.w, s)
		}
	}
	for want, sides := range map[string][2]int{
		"images of 30×45 pixels cannot be halved 2 times; the next sizes that can are 28×44 and 32×48": {30, 45},
		"images of 32×30 pixels cannot be halved 2 times; the next sizes that can are 32×28 and 32×32": {32, 30},
		"images of 8×3 pixels cannot be halved 2 times; the next size that can is 8×4":                 {8, 3},
	} {
		if _, err := Preset("tiny", sides[0], sides[1], 1, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", sides, err, want)
		}
	}
}

// The CIFAR-10 network of [ddpm] has 35,746,307 weights in its published form (google/ddpm-cifar10-32), and so by the
// arithmetic in testdata/reference.py.
func TestParameterCounts(t *testing.T) {
	c, err := Preset("ddpm", 32, 32, 3, 0)
	if err != nil {
		t.Fatal(err)
	}
	const published = 35_746_307
	if r := loadReference(t); r.CIFAR10 != published {
		t.Fatalf("the reference counts %d", r.CIFAR10)
	}
	if got := networktest.Weights(backendtest.Open(t), c, 0).NumParameters(); got != published {
		t.Errorf("ddpm at 32×32×3 has %d weights, want %d", got, published)
	}
	for name, want := range map[string][2]int{"tiny": {500_000, 700_000}, "small": {2_000_000, 6_000_000}} {
		c, err := Preset(name, 16, 16, 1, 10)
		if err != nil {
			t.Fatal(err)
		}
		if got := networktest.Weights(backendtest.Open(t), c, 0).NumParameters(); got < want[0] || got > want[1] {
			t.Errorf("%s has %d weights, want %d to %d", name, got, want[0], want[1])
		}
	}
}

func TestInitialisation(t *testing.T) {
	c := referenceConfig()
	values := func(seed uint64) map[string][]float32 {
		out := map[string][]float32{}
		for v := range networktest.Weights(backendtest.Open(t), c, seed).IterVariables() {
			out[strings.TrimPrefix(v.Path(), "/net/")] = tensors.MustCopyFlatData[float32](v.MustValue())
		}
		return out
	}
	a, again, b := values(1), values(1), values(2)
	for name, w := range a {
		if !slices.Equal(w, again[name]) {
			t.Errorf("%s: two draws of one seed differ", name)
		}
		kind := name[strings.LastIndex(name, "/")+1:]
		zero := kind == "biases" || kind == "offset" || strings.HasSuffix(name, "conv1/weights") ||
			strings.HasSuffix(name, "project/weights") || name == "out/weights"
		switch {
		case zero || kind == "gain":
			want := float32(0)
			if kind == "gain" {
				want = 1
			}
			if slices.ContainsFunc(w, func(x float32) bool { return x != want }) {
				t.Errorf("%s is not %g throughout", name, want)
			}
		case slices.Equal(w, b[name]):
			t.Errorf("%s: draws of two seeds are equal", name)
		}
	}
	if slices.Equal(a["down0_0/conv0/weights"], a["mid1/conv0/weights"][:len(a["down0_0/conv0/weights"])]) {
		t.Error("two layers share their draw")
	}
	// Uniform with variance 2/(fanIn+fanOut): the widest layer has 3·3·16·8 = 1152 weights, so the standard error of the
	// variance is sqrt(0.8/1152) = 2.6 % of it (a uniform's kurtosis is 1.8).
	w := a["up1_0/conv0/weights"]
	variance, limit := 0.0, math.Sqrt(3*2/(9.*16+9*8))
	for _, x := range w {
		variance += float64(x*x) / float64(len(w))
		if math.Abs(float64(x)) > limit {
			t.Fatalf("weight %g is beyond the uniform's limit %g", x, limit)
		}
	}
	if want := 2 / (9.*16 + 9*8); len(w) != 1152 || math.Abs(variance/want-1) > 0.1 {
		t.Errorf("%d weights of variance %g, want 1152 of %g", len(w), variance, want)
	}

	out := call(t, networktest.Weights(backendtest.Open(t), c, 1), forward(c), networktest.Images(c, 2), []int32{3, 917}, []int32{1, 3})
	if slices.ContainsFunc(out, func(x float32) bool { return x != 0 }) {
		t.Errorf("an untrained network's output is %v, want zeros", out)
	}
}

func TestGroupNorm(t *testing.T) {
	const h, w, c, groups = 2, 3, 4, 2
	x := make([]float32, 2*h*w*c)
	for i := range x {
		x[i] = float32(i%7)*1.5 + float32(i)/10 + 100 // a large offset: the variance must not cancel
	}
	store := model.NewStore()
	got := call(t, store, func(scope *model.Scope, x *Node) *Node {
		return (&builder{groups: groups}).groupNorm(scope.At("norm"), x)
	}, tensors.FromFlatDataAndDimensions(x, 2, h, w, c))
	for b := range 2 {
		for group := range groups {
			var index []int
			for p := range h * w {
				for ch := range c / groups {
					index = append(index, (b*h*w+p)*c+group*c/groups+ch)
				}
			}
			var mean, variance float64
			for _, i := range index {
				mean += float64(x[i]) / float64(len(index))
			}
			for _, i := range index {
				variance += math.Pow(float64(x[i])-mean, 2) / float64(len(index))
			}
			for _, i := range index {
				want := (float64(x[i]) - mean) / math.Sqrt(variance+1e-6)
				if math.Abs(float64(got[i])-want) > 1e-4 { // 100 in float32 is good to 4e-6
					t.Errorf("image %d, group %d: value %d is %.6f, want %.6f", b, group, i, got[i], want)
				}
			}
		}
	}
}

// Timestep 0 gives sines 0 and cosines 1; the slowest pair turns by 1/10000 a step, the fastest by 1.
func TestTimeEmbedding(t *testing.T) {
	got := call(t, model.NewStore(), func(_ *model.Scope, x *Node) *Node { return new(builder).timeEmbedding(x, 8) }, []int32{0, 1, 500})
	for row, step := range []float64{0, 1, 500} {
		for i := range 4 {
			angle := step * math.Pow(10000, -float64(i)/3)
			// float32 angles up to 500 are good to 3e-5.
			if s, c := float64(got[row*8+i]), float64(got[row*8+4+i]); math.Abs(s-math.Sin(angle)) > 5e-5 || math.Abs(c-math.Cos(angle)) > 5e-5 {
				t.Errorf("t=%g, pair %d: (%.5f, %.5f), want (%.5f, %.5f)", step, i, s, c, math.Sin(angle), math.Cos(angle))
			}
		}
	}
}

// Attention knows no places: permuting the pixels permutes its result.
func TestAttentionCommutesWithPermutation(t *testing.T) {
	const n, c = 9, 4
	order := []int{4, 2, 8, 0, 1, 7, 3, 6, 5}
	store := model.NewStore()
	attention := func(scope *model.Scope, x *Node) *Node {
		return (&builder{groups: 2, heads: 2, seed: 1}).attention(scope.At("net"), x, false)
	}
	x, permuted := make([]float32, n*c), make([]float32, n*c)
	for i := range x {
		x[i] = float32(math.Cos(float64(i * i)))
	}
	for i, from := range order {
		copy(permuted[i*c:(i+1)*c], x[from*c:(from+1)*c])
	}
	// Once for the weights, whose last projection must not stay zero.
	call(t, store, attention, tensors.FromFlatDataAndDimensions(x, 1, 3, 3, c))
	setWeights(t, store)
	a := call(t, store, attention, tensors.FromFlatDataAndDimensions(x, 1, 3, 3, c))
	b := call(t, store, attention, tensors.FromFlatDataAndDimensions(permuted, 1, 3, 3, c))
	if slices.Equal(a, x) {
		t.Fatal("attention does nothing")
	}
	for i, from := range order {
		for ch := range c {
			if got, want := b[i*c+ch], a[from*c+ch]; math.Abs(float64(got-want)) > 1e-5 {
				t.Errorf("pixel %d, channel %d: %.6f, want %.6f", i, ch, got, want)
			}
		}
	}
}

// Dropout keeps a share 1-rate of values, scaled by 1/(1-rate), and is absent without a random state.
func TestDropout(t *testing.T) {
	const n = 1 << 14
	ones := slices.Repeat([]float32{1}, n)
	state, err := RNGStateFromSeed(5)
	if err != nil {
		t.Fatal(err)
	}
	drop := func(train bool) []float32 {
		return call(t, model.NewStore(), func(_ *model.Scope, x *Node) *Node {
			b := &builder{dropout: 0.25}
			if train {
				b.rng = Const(x.Graph(), state)
			}
			return b.drop(x)
		}, ones)
	}
	if !slices.Equal(drop(false), ones) {
		t.Error("dropout acts outside training")
	}
	kept := 0
	for _, x := range drop(true) {
		if x != 0 {
			kept++
			if math.Abs(float64(x)-1/0.75) > 1e-6 {
				t.Fatalf("a kept value is %g, want 4/3", x)
			}
		}
	}
	// Standard error sqrt(0.25·0.75/n) = 0.34 %.
	if share := float64(kept) / n; math.Abs(share-0.75) > 0.014 {
		t.Errorf("%.4f of values kept, want 0.75", share)
	}
}

// A convolution without bias is linear in x and in its kernel, so for f = Σ conv(x)·c the gradient with respect to
// either, taken at one point, times any other point is f there.
func TestConvolutionGradients(t *testing.T) {
	const size, in, out = 6, 2, 3
	wave := func(n int, frequency float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(math.Sin(frequency * float64(i+1)))
		}
		return x
	}
	dot := func(a, b []float32) (sum float64) {
		for i := range a {
			sum += float64(a[i] * b[i])
		}
		return sum
	}
	for name, layer := range map[string]func(b *builder, scope *model.Scope, x *Node) *Node{
		"stride 1": func(b *builder, scope *model.Scope, x *Node) *Node { return b.conv(scope, x, out, 1, 1) },
		"stride 2": func(b *builder, scope *model.Scope, x *Node) *Node { return b.conv(scope, x, out, 2, 1) },
		"upsampled": func(b *builder, scope *model.Scope, x *Node) *Node {
			return b.conv(scope, upsample(x), out, 1, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := model.NewStore()
			exec, err := model.NewExec(backendtest.Open(t), store, func(scope *model.Scope, x *Node) []*Node {
				y := layer(&builder{seed: 1}, scope.At("net"), x)
				cells := y.Shape().Size()
				c := Reshape(Const(x.Graph(), wave(cells, 0.71)), y.Shape().Dimensions...)
				f := ReduceAllSum(Mul(y, c))
				w := store.GetVariable("/net/weights").NodeValue(x)
				return append([]*Node{f}, Gradient(f, x, w)...)
			})
			if err != nil {
				t.Fatal(err)
			}
			evaluate := func(x []float32) (f float64, byX, byKernel []float32) {
				r, err := exec.Call(tensors.FromFlatDataAndDimensions(x, 2, size, size, in))
				if err != nil {
					t.Fatal(err)
				}
				flat := func(i int) []float32 { return tensors.MustCopyFlatData[float32](r[i]) }
				return float64(flat(0)[0]), flat(1), flat(2)
			}
			a, d := wave(2*size*size*in, 0.37), wave(2*size*size*in, 1.9)
			_, byX, _ := evaluate(a)
			f, _, byKernel := evaluate(d)
			kernel := tensors.MustCopyFlatData[float32](store.GetVariable("/net/weights").MustValue())
			if math.Abs(f) < 0.1 {
				t.Fatalf("f = %g is too small to tell", f)
			}
			if got := dot(byX, d); math.Abs(got-f) > 1e-4 {
				t.Errorf("by x: gradient times point is %.6f, f is %.6f", got, f)
			}
			if got := dot(byKernel, kernel); math.Abs(got-f) > 1e-4 {
				t.Errorf("by the kernel: gradient times point is %.6f, f is %.6f", got, f)
			}
		})
	}
}

func TestUpsample(t *testing.T) {
	got := call(t, model.NewStore(), func(_ *model.Scope, x *Node) *Node { return upsample(x) }, [][][][]float32{{{{1, 2}, {3, 4}}}})
	if want := []float32{1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("upsampled to %v, want %v", got, want)
	}
}

func TestConfigValidate(t *testing.T) {
	for _, name := range PresetNames() {
		if _, err := Preset(name, 32, 32, 3, 10); err != nil {
			t.Error(err)
		}
	}
	if _, err := Preset("huge", 32, 32, 3, 10); err == nil {
		t.Error("an unknown preset is accepted")
	}
	for want, spoil := range map[string]func(*Config){
		"out_channels is 3":  func(c *Config) { c.OutChannels = 3 },
		"images of 5×5":      func(c *Config) { c.ImageSize = 5 },
		"base is 2":          func(c *Config) { c.Base = 2 },
		"base is 9":          func(c *Config) { c.Base = 9 },
		"mult 3":             func(c *Config) { c.Mults, c.Groups, c.Heads = []int{2, 3}, 8, 1 },
		"groups (3)":         func(c *Config) { c.Groups = 3 },
		"heads (3)":          func(c *Config) { c.Heads, c.Groups = 3, 1 },
		"attention at 3":     func(c *Config) { c.Attention = []int{3} },
		"dropout is 1":       func(c *Config) { c.Dropout = 1 },
		"classes is -1":      func(c *Config) { c.Classes = -1 },
		"must be positive":   func(c *Config) { c.Mults = nil },
		"need at most 1000":  func(c *Config) { c.ResBlocks = 1000000 },
		"need at most 1e+10": func(c *Config) { c.Base = 1 << 20 },
		"1000000 2]":         func(c *Config) { c.Mults = []int{1000000, 2} },
		"70 mults":           func(c *Config) { c.Mults = slices.Repeat([]int{1}, 70) },
	} {
		c := referenceConfig()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, have %v", want, err)
		}
	}
}
