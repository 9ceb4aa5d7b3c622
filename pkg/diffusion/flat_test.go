package diffusion

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"palimpsest/pkg/network"
)

// However many tensors a network has, its step takes weights, average, two moments, learning rate and both counters
// beside what it is called with, and gives them back beside what it returns.
func TestStepTakesFewArrays(t *testing.T) {
	n := fresh(t)
	b := exampleBatch(n, 4)
	step(t, n, b, 0, 0)
	float := func(dims ...int) shapes.Shape { return shapes.Make(dtypes.Float32, dims...) }
	rows := shapes.Make(dtypes.Int32, 4)
	g, err := n.step.Compile(float(4, 8, 8, 1), rows, rows, float(4, numCols), float(2), RNGStateShape) // is compiled already
	check(t, err)
	changed := 0
	for v := range n.store.IterVariables() {
		if v.ChangedInGraph(g) {
			changed++
		}
	}
	if got := g.NumParameters(); got != 6+7 || changed != 7 || len(n.tensors) < 20 {
		t.Errorf("a network of %d tensors has a step of %d inputs that changes %d variables; want 13 and 7", len(n.tensors), got, changed)
	}
}

// The step equals one that knows nothing of vectors: every tensor a variable of its own, the gradient of each, the norm over
// all of them, GoMLX's Adam, averages by hand.
func TestStepEqualsOneOfSingleTensors(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	u := plain()
	u.Classes = 3
	c := TrainConfig{LearningRate: 1e-2, WeightDecay: 0.1, ClipNorm: 0.5, EMA: 0.9}
	n := newNetwork(t, p, u, c, 1)
	defer n.Close()
	check(t, n.Extend(Extra{Given: true}))
	b := exampleBatch(n, 4)
	b.Noise, b.GivenNoise = wave(n, 1.4, 2.1)[:len(b.X)], []bool{true, true, true, true}

	store := model.NewStore()
	defer store.Finalize()
	exec, err := model.NewExec(n.backend, store, func(_ *model.Scope, xt, noise, steps, y *Node) []*Node {
		root := store.RootScope()
		root.SetParam(optimizer.ParamLearningRate, c.LearningRate)
		pred := u.Forward(root.At(scopeModel), 1, network.Inputs{X: xt, T: steps, Y: y})
		loss := ReduceAllMean(Square(Sub(pred, noise)))
		grads := root.BuildTrainableVariablesGradientsGraph(loss)
		sum := ScalarZero(xt.Graph(), xt.DType())
		for _, g := range grads {
			sum = Add(sum, ReduceAllSum(Square(g)))
		}
		norm := Sqrt(sum)
		for i := range grads {
			grads[i] = Mul(grads[i], MinScalar(MulScalar(Reciprocal(norm), c.ClipNorm), 1))
		}
		optimizer.Adam().WeightDecay(c.WeightDecay).Done().(interface {
			UpdateGraphWithGradients(*model.Scope, []*Node, dtypes.DType)
		}).UpdateGraphWithGradients(root, grads, loss.DType())
		return []*Node{loss, norm}
	})
	check(t, err)
	defer exec.Finalize()
	xt, dim := make([]float32, len(b.X)), len(b.X)/len(b.T)
	for i := range xt {
		s := b.T[i/dim]
		xt[i] = float32(p.Signal[s]*float64(b.X[i]) + p.Sigma[s]*float64(b.Noise[i]))
	}
	image := func(x []float32) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(x, 4, 4, 4, 1) }
	named := func(path string) []float32 {
		return tensors.MustCopyFlatData[float32](store.GetVariable(path).MustValue())
	}

	before, _ := state(t, n)
	average := map[string][]float32{}
	for i := range 4 {
		r := step(t, n, b, i, 0)
		out, err := exec.Call(image(xt), image(b.Noise), tensors.FromFlatDataAndDimensions(b.T, 4), tensors.FromFlatDataAndDimensions(b.Y, 4))
		check(t, err)
		loss, norm := tensors.ToScalar[float32](out[0]), tensors.ToScalar[float32](out[1])
		if math.Abs(r.Loss/float64(loss)-1) > 1e-5 || math.Abs(r.GradNorm/float64(norm)-1) > 1e-5 || norm < 0.5 {
			t.Errorf("step %d: loss %g and norm %g; tensor by tensor %g and %g", i, r.Loss, r.GradNorm, loss, norm)
		}
		decay := min(c.EMA, float64(1+i)/float64(10+i))
		for _, w := range n.tensors {
			values := named(w.variable.Path())
			if i == 0 {
				average[w.variable.Path()] = before[w.variable.Path()]
			}
			for k, x := range values {
				average[w.variable.Path()][k] = float32(decay*float64(average[w.variable.Path()][k]) + (1-decay)*float64(x))
			}
		}
	}
	got, _ := state(t, n)
	for _, w := range n.tensors {
		path := w.variable.Path()
		pairs := map[string][]float32{path: named(path), "/" + scopeEMA + strings.TrimPrefix(path, "/"+scopeModel): average[path]}
		for _, moment := range []string{"_1st_moment", "_2nd_moment"} {
			pairs["/AdamOptimizer"+path+moment] = named("/AdamOptimizer" + path + moment)
		}
		for name, want := range pairs {
			for k := range want {
				// Adam moves a weight by up to its rate of 1e-2 a step. It makes a few rounding errors of the gradient one of 1e-4
				// of that, save where the gradient is itself hardly more.
				if d := math.Abs(float64(got[name][k] - want[k])); d > 1e-5 {
					t.Errorf("%s[%d] is %g, tensor by tensor %g", name, k, got[name][k], want[k])
				}
			}
		}
	}
}

// testdata/older.safetensors was written after three steps by a version that kept every tensor in a variable of its own;
// the numbers below are of its next three.
func TestOlderFileGoesOn(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	u := plainUNet()
	u.Classes = 3
	n := newNetwork(t, p, u, TrainConfig{LearningRate: 1e-2, WeightDecay: 0.1, ClipNorm: 0.5, EMA: 0.9}, 7)
	defer n.Close()
	check(t, n.Extend(Extra{Given: true, Directions: 2, Mask: true}))
	content, err := os.ReadFile(filepath.Join("testdata", "older.safetensors"))
	check(t, err)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, StateFile), content, 0o644))
	check(t, n.Load(dir))
	again := t.TempDir()
	check(t, n.Save(again))
	was, values := readAll(t, filepath.Join(dir, StateFile))
	is, saved := readAll(t, filepath.Join(again, StateFile))
	if len(was) != len(is) || len(values) != len(saved) {
		t.Fatalf("%d tensors of %d bytes; the older file has %d of %d", len(is), len(saved), len(was), len(values))
	}
	for name, a := range was {
		b := is[name]
		if string(values[a.Offsets[0]:a.Offsets[1]]) != string(saved[b.Offsets[0]:b.Offsets[1]]) {
			t.Errorf("%s is another once it is loaded and saved", name)
		}
	}

	b := exampleBatch(n, 4)
	b.DirectionStrength, b.GivenNoise = 2, []bool{true, true, true, true}
	b.Noise = wave(n, 1.4, 2.1)[:len(b.X)] // the noise is given, since backends draw their own
	for i, want := range [][3]float64{
		{0.697131813, 1.84028208, 0.00510353968}, {0.695198417, 2.02531934, 0.100571476}, {0.553244174, 1.74143052, 0.0479344279},
	} {
		r := step(t, n, b, 3+i, 0)
		for k, got := range []float64{r.Loss, r.GradNorm, r.Directions} {
			if math.Abs(got/want[k]-1) > 1e-4 {
				t.Errorf("step %d: loss, norm and penalty %d is %g; the older version's was %g", 3+i, k, got, want[k])
			}
		}
	}
	sum := wave(n, 1, 0.37)
	for _, c := range []struct {
		path string
		want float64
	}{
		{"/model", -5.06097706}, {"/ema", -5.04678282}, {"/AdamOptimizer/model_1st_moment", 0.0850802320},
	} {
		got, err := valuesOf(n.store.GetVariable(c.path))
		check(t, err)
		if d := math.Abs(dot(sum, got) - c.want); d > 1e-4 {
			t.Errorf("%s adds up to %g after three more steps; the older version's to %g", c.path, dot(sum, got), c.want)
		}
	}
}
