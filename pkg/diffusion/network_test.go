package diffusion

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/network"
	"palimpsest/pkg/network/networktest"
	"palimpsest/pkg/safetensors"
	"palimpsest/pkg/unet"
)

// small is a network with everything in it: two levels, attention, dropout, labels.
func small() unet.Config {
	return unet.Config{ImageSize: 8, Channels: 1, OutChannels: 1, Base: 8, Mults: []int{1, 2}, ResBlocks: 1,
		MidAttn: true, Heads: 2, Groups: 4, Dropout: 0.1, Classes: 3}
}

// plain is the least network: what a step, a file or a measure does with weights is the same for any network.
func plain() networktest.Least {
	return networktest.Least{H: 4, W: 4, Channels: 1, OutChannels: 1, Hidden: 8}
}

// plainUNet is the least U-Net.
func plainUNet() unet.Config {
	return unet.Config{ImageSize: 4, Channels: 1, OutChannels: 1, Base: 4, Mults: []int{1}, ResBlocks: 1, Heads: 1, Groups: 2}
}

func newNetwork(t testing.TB, p *Process, u network.Network, c TrainConfig, seed uint64) *Network {
	t.Helper()
	n, err := NewNetwork(backendtest.Open(t), p, u, c, seed)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var shared struct {
	sync.Mutex
	n     *Network
	start string
}

// fresh returns a network of small as NewNetwork leaves it, with seed 1. Tests share it, for its step takes seconds to
// compile.
func fresh(t testing.TB) *Network {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.n == nil {
		p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
		shared.n = newNetwork(t, p, small(), TrainConfig{LearningRate: 2e-3, WarmUp: 5, ClipNorm: 1, EMA: 0.9}, 1)
		dir, err := os.MkdirTemp("", "palimpsest-diffusion-test")
		if err != nil {
			t.Fatal(err)
		}
		shared.start = dir
		if err := shared.n.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := shared.n.Load(shared.start); err != nil {
		t.Fatal(err)
	}
	return shared.n
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range []string{shared.start, extended.start} {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// exampleBatch is rows images with a pattern of their own, labels and timesteps.
func exampleBatch(n *Network, rows int) Batch {
	dim := n.Shape.Values()
	var b Batch
	for i := range rows {
		for j := range dim {
			b.X = append(b.X, float32(math.Sin(float64(i+1)*float64(j)/5)))
		}
		b.Y = append(b.Y, int32(i%(n.Shape.Classes+1)))
		b.T = append(b.T, int32(i*(n.Process.T-1)/max(rows-1, 1)))
		b.W = append(b.W, 1/float32(rows))
	}
	return b
}

func step(t testing.TB, n *Network, b Batch, index int, seed uint64) StepResult {
	t.Helper()
	r, err := n.Step(b, index, seed)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// state returns all tensors of a saved network by name, with a slash before, and the paths of its variables in order.
func state(t testing.TB, n *Network) (map[string][]float32, []string) {
	t.Helper()
	dir := t.TempDir()
	check(t, n.Save(dir))
	all, err := safetensors.ReadFileAll(filepath.Join(dir, StateFile))
	check(t, err)
	values, paths := map[string][]float32{}, []string{}
	for name, value := range all {
		if value.DType().IsFloat() {
			values["/"+name] = tensors.MustCopyFlatData[float32](value)
		} else {
			values["/"+name] = []float32{float32(tensors.MustCopyFlatData[int64](value)[0])}
		}
	}
	for v := range n.store.IterVariables() {
		paths = append(paths, v.Path())
	}
	return values, paths
}

// differing lists the variables whose bits differ.
func differing(a, b map[string][]float32) []string {
	var out []string
	for path, x := range a {
		if !slices.EqualFunc(x, b[path], func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }) {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

func TestTrainingOverfitsABatch(t *testing.T) {
	n := fresh(t)
	b := exampleBatch(n, 4)
	var first, last float64
	for i := range 40 {
		// The same noise at every step: the loss of a batch that can be learned by heart.
		r := step(t, n, b, i, 7)
		if i == 0 {
			first = r.Loss
			// The last convolution starts at zero, so the loss starts at the mean square of the noise: 1 within
			// 4 standard errors, sqrt(2/256) each.
			if math.Abs(first-1) > 4*math.Sqrt(2./256) {
				t.Errorf("first loss %g, want 1: the network's output should start at zero", first)
			}
		}
		sum := 0.0
		for j, l := range r.Rows {
			sum += float64(l * b.W[j])
		}
		if math.Abs(sum-r.Loss) > 1e-5*r.Loss {
			t.Errorf("step %d: loss %g, but its weighted rows sum to %g", i, r.Loss, sum)
		}
		last = r.Loss
	}
	if last > 0.6*first {
		t.Errorf("loss %.3f after 40 steps on one batch, %.3f at first: nothing is learned", last, first)
	}
}

// An interrupted run continues in another process: in a network that never saw the first half, compiled anew.
func TestResumeIsBitExact(t *testing.T) {
	n := fresh(t)
	b := exampleBatch(n, 4)
	dir := t.TempDir()
	var want []StepResult
	for i := range 4 {
		if i == 2 {
			if err := n.Save(dir); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, step(t, n, b, i, uint64(i)))
	}
	end, paths := state(t, n)

	other := newNetwork(t, n.Process, n.Net, n.Train, 99)
	if err := other.Load(dir); err != nil {
		t.Fatal(err)
	}
	// A prediction before the first step must not change what is compiled.
	if _, err := other.Denoiser(true).Output(b.X, b.T, b.Y); err != nil {
		t.Fatal(err)
	}
	for i := 2; i < 4; i++ {
		got := step(t, other, b, i, uint64(i))
		if got.Loss != want[i].Loss || got.GradNorm != want[i].GradNorm || !slices.Equal(got.Rows, want[i].Rows) {
			t.Errorf("step %d after resuming gives %+v, want %+v", i, got, want[i])
		}
	}
	got, gotPaths := state(t, other)
	if d := differing(end, got); len(d) > 0 {
		t.Errorf("after resuming, %d of %d variables differ: %v", len(d), len(end), d)
	}
	if !slices.Equal(paths, gotPaths) {
		t.Errorf("the resumed network holds %v\nwant %v", gotPaths, paths)
	}

	t.Run("equal seeds", func(t *testing.T) {
		a := fresh(t)
		a2 := newNetwork(t, n.Process, n.Net, n.Train, 1)
		x, _ := state(t, a)
		y, _ := state(t, a2)
		if d := differing(x, y); len(d) > 0 {
			t.Errorf("two networks of one seed differ in %v", d)
		}
		b2 := newNetwork(t, n.Process, n.Net, n.Train, 2)
		z, _ := state(t, b2)
		if d := differing(x, z); len(d) == 0 {
			t.Error("networks of two seeds are equal")
		}
		step(t, a, b, 0, 0)
		if err := a.Reset(2); err != nil {
			t.Fatal(err)
		}
		reset, _ := state(t, a)
		if d := differing(reset, z); len(d) > 0 || a.PredictionCalls() != 0 {
			t.Errorf("reset to another seed, a network differs from a new one in %v", d)
		}
	})
	t.Run("repeated", func(t *testing.T) {
		a := fresh(t)
		for i := range 4 {
			if got := step(t, a, b, i, uint64(i)); got.Loss != want[i].Loss {
				t.Errorf("step %d repeated has loss %v, first %v", i, got.Loss, want[i].Loss)
			}
		}
		got, _ := state(t, a)
		if d := differing(end, got); len(d) > 0 {
			t.Errorf("four steps repeated differ in %v", d)
		}
	})
	t.Run("reset", func(t *testing.T) {
		before, _ := state(t, n)
		if err := n.ResetOptimizer(); err != nil {
			t.Fatal(err)
		}
		after, _ := state(t, n)
		for path, values := range after {
			trained := strings.HasPrefix(path, "/"+scopeModel) || strings.HasPrefix(path, "/"+scopeEMA)
			if trained && !slices.Equal(values, before[path]) {
				t.Errorf("resetting the optimiser changes %s", path)
			}
			if !trained && slices.ContainsFunc(values, func(x float32) bool { return x != 0 }) {
				t.Errorf("resetting the optimiser leaves %s", path)
			}
		}
	})
}

// Rows of weight 0 must leave no trace: a strategy whose replay weighs nothing is fine-tuning.
func TestRowsWithoutWeightDoNotMatter(t *testing.T) {
	results := map[string][]float32{}
	for name, other := range map[string]float32{"zeros": 0, "ones": 1, "large": -30} {
		n := fresh(t)
		for i := range 3 {
			b := exampleBatch(n, 4)
			b.W[1], b.W[3] = 0, 0
			for _, r := range []int{1, 3} {
				for j := range 64 {
					b.X[r*64+j] *= other
				}
				b.Y[r], b.T[r] = int32(r)%3, int32(other*other)%50
			}
			step(t, n, b, i, uint64(i))
		}
		after, _ := state(t, n)
		if len(results) == 0 {
			results = after
		} else if d := differing(results, after); len(d) > 0 {
			t.Errorf("%s: content of rows without weight changes %d of %d variables: %v", name, len(d), len(after), d)
		}
	}
	n := fresh(t)
	for i := range 3 {
		step(t, n, exampleBatch(n, 4), i, uint64(i))
	}
	if after, _ := state(t, n); len(differing(results, after)) == 0 {
		t.Error("rows with weight change nothing either")
	}
}

func TestMovingAverageAndStepSize(t *testing.T) {
	n := fresh(t)
	b := exampleBatch(n, 4)
	before, _ := state(t, n)
	average := map[string][]float64{}
	for path, w := range before {
		for _, x := range w {
			average[path] = append(average[path], float64(x))
		}
	}
	for i := range 8 {
		r := step(t, n, b, i, uint64(i))
		after, _ := state(t, n)
		decay := min(0.9, float64(1+i)/float64(10+i))
		rate := 2e-3 * min(1, float64(i+1)/5)
		var moved, clipped float64
		for path, w := range after {
			if !strings.HasPrefix(path, "/"+scopeModel) {
				continue
			}
			avg := after["/"+scopeEMA+strings.TrimPrefix(path, "/"+scopeModel)]
			m1, m2 := after["/AdamOptimizer"+path+"_1st_moment"], after["/AdamOptimizer"+path+"_2nd_moment"]
			for j, x := range w {
				average[path][j] = decay*average[path][j] + (1-decay)*float64(x)
				if math.Abs(float64(avg[j])-average[path][j]) > 1e-6 {
					t.Fatalf("step %d, %s[%d]: average %g, by hand %g", i, path, j, avg[j], average[path][j])
				}
				// Adam without decay: Δ = rate·m̂/(sqrt(v̂)+1e-7).
				m, v := float64(m1[j])/(1-math.Pow(0.9, float64(i+1))), float64(m2[j])/(1-math.Pow(0.999, float64(i+1)))
				want := rate * m / (math.Sqrt(v) + 1e-7)
				if got := float64(before[path][j] - x); math.Abs(got-want) > 2e-3*math.Abs(want)+2e-7 {
					t.Fatalf("step %d, %s[%d] moved by %g, Adam's moments say %g", i, path, j, got, want)
				}
				moved += math.Pow(float64(before[path][j]-x), 2)
				if i == 0 {
					clipped += math.Pow(m, 2) // m̂ of the first step is the gradient as Adam saw it
				}
			}
		}
		if moved == 0 {
			t.Errorf("step %d moves nothing", i)
		}
		if i == 0 {
			if want := min(r.GradNorm, 1); math.Abs(math.Sqrt(clipped)-want) > 1e-4*want {
				t.Errorf("Adam saw a gradient of norm %g; %g clipped to 1 is %g", math.Sqrt(clipped), r.GradNorm, want)
			}
		}
		before = after
	}
}

// A larger weight of all rows scales the gradient; what Adam sees stops at the clipping norm, what is reported does not.
func TestClipping(t *testing.T) {
	seen := func(weight float32) (reported, used float64) {
		n := fresh(t)
		b := exampleBatch(n, 4)
		for i := range b.W {
			b.W[i] *= weight
		}
		r := step(t, n, b, 0, 5)
		after, _ := state(t, n)
		for path, m := range after {
			if strings.HasSuffix(path, "_1st_moment") {
				for _, x := range m {
					used += math.Pow(float64(x)/(1-0.9), 2)
				}
			}
		}
		return r.GradNorm, math.Sqrt(used)
	}
	norm, _ := seen(1)
	for _, weight := range []float32{0.25, 100} {
		weight := weight / float32(norm) // so that the norms are 0.25 and 100
		reported, used := seen(weight)
		if want := norm * float64(weight); math.Abs(reported/want-1) > 1e-4 {
			t.Errorf("weight %g: reported norm %g, want %g", weight, reported, want)
		}
		if want := min(reported, 1); math.Abs(used/want-1) > 1e-4 {
			t.Errorf("weight %g: Adam saw norm %g, want %g", weight, used, want)
		}
	}
}

// tensorEntry is what the header of a saved state tells of a tensor.
type tensorEntry struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// readAll opens a saved state and returns its header and values.
func readAll(t *testing.T, path string) (map[string]tensorEntry, []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	length := binary.LittleEndian.Uint64(content)
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(content[8:8+length], &raw); err != nil {
		t.Fatal(err)
	}
	delete(raw, "__metadata__")
	entries := map[string]tensorEntry{}
	for name, text := range raw {
		var e tensorEntry
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		entries[name] = e
	}
	return entries, content[8+length:]
}

func writeAll(t *testing.T, path string, entries map[string]tensorEntry, values []byte) {
	t.Helper()
	text, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	content := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	if err := os.WriteFile(path, append(append(content, text...), values...), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLoadIsStrict(t *testing.T) {
	p := newProcess(t, Config{T: 10, Schedule: "cosine", Prediction: PredictNoise, Variance: FixedSmall})
	n := newNetwork(t, p, plain(), TrainConfig{LearningRate: 1}, 3)
	dir := t.TempDir()
	path := filepath.Join(dir, StateFile)
	if err := n.Load(dir); !os.IsNotExist(unwrap(err)) {
		t.Errorf("loading from an empty folder: %v", err)
	}
	if err := n.Save(dir); err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("Save leaves %v", files)
	}
	if err := n.Load(dir); err != nil {
		t.Fatal(err)
	}
	const name = "model/out/biases"
	for want, change := range map[string]func(e map[string]tensorEntry, values []byte) []byte{
		"no tensor " + name: func(e map[string]tensorEntry, v []byte) []byte { delete(e, name); return v },
		"need F32 [1]": func(e map[string]tensorEntry, v []byte) []byte {
			x := e[name]
			x.Shape = []int{1, 1}
			e[name] = x
			return v
		},
		"truncated": func(_ map[string]tensorEntry, v []byte) []byte { return v[:len(v)-1] },
	} {
		if err := n.Save(dir); err != nil {
			t.Fatal(err)
		}
		entries, values := readAll(t, path)
		writeAll(t, path, entries, change(entries, values))
		before, _ := state(t, n)
		if err := n.Load(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("want an error with %q and the file, have %v", want, err)
		}
		if after, _ := state(t, n); len(differing(before, after)) > 0 {
			t.Errorf("%q: a refused file changes the network", want)
		}
	}
}

func unwrap(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || os.IsNotExist(err) {
			return err
		}
		err = u.Unwrap()
	}
}

func TestCounts(t *testing.T) {
	n := fresh(t)
	entries, _ := func() (map[string]tensorEntry, []byte) {
		dir := t.TempDir()
		if err := n.Save(dir); err != nil {
			t.Fatal(err)
		}
		return readAll(t, filepath.Join(dir, StateFile))
	}()
	want := 0
	for name, e := range entries {
		if strings.HasPrefix(name, scopeModel+"/") {
			size := 1
			for _, d := range e.Shape {
				size *= d
			}
			want += size
		}
	}
	if got := n.Parameters(); got != want || want == 0 {
		t.Errorf("%d parameters, the saved model has %d", got, want)
	}
	start := n.PredictionCalls()
	b := exampleBatch(n, 4)
	d := Guided{Denoiser: n.Denoiser(false), Scale: 1, NoLabel: 3, Channels: 1, OutChannels: 1}
	if _, err := d.Output(b.X, b.T, []int32{0, 1, 2, 0}); err != nil {
		t.Fatal(err)
	}
	if got := n.PredictionCalls() - start; got != 8 {
		t.Errorf("guiding 4 rows counts %d predictions, want 8", got)
	}
}

func TestStepRefuses(t *testing.T) {
	n := fresh(t)
	for want, spoil := range map[string]func(*Batch){
		"timestep 50 of row 1":   func(b *Batch) { b.T[1] = 50 },
		"timestep -1 of row 0":   func(b *Batch) { b.T[0] = -1 },
		"label 4 of row 2":       func(b *Batch) { b.Y[2] = 4 },
		"label -1 of row 2":      func(b *Batch) { b.Y[2] = -1 },
		"3 weights":              func(b *Batch) { b.W = b.W[:3] },
		fmt.Sprint(64*4 - 1):     func(b *Batch) { b.X = b.X[1:] },
		"a batch of 0 timesteps": func(b *Batch) { b.T = nil },
	} {
		b := exampleBatch(n, 4)
		spoil(&b)
		if _, err := n.Step(b, 0, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, have %v", want, err)
		}
	}
}
