package diffusion

import (
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// everything is all that a step can be extended by.
var everything = Extra{Teacher: true, Given: true, Penalty: true, Directions: 2, Projection: true, Mask: true, Path: true}

var extended struct {
	sync.Mutex
	n     *Network
	start string
}

func newExtended(t testing.TB) *Network {
	t.Helper()
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	u := plain()
	u.Classes = 3
	n := newNetwork(t, p, u, TrainConfig{LearningRate: 1e-2, WeightDecay: 0.1, ClipNorm: 0.5, EMA: 0.9}, 1)
	if err := n.Extend(everything); err != nil {
		t.Fatal(err)
	}
	return n
}

// extendedNetwork returns a least network extended by everything, with weights that are not zero anywhere. Tests share it, for its
// step takes seconds to compile.
func extendedNetwork(t testing.TB) *Network {
	t.Helper()
	extended.Lock()
	defer extended.Unlock()
	if extended.n == nil {
		extended.n = newExtended(t)
		w := flatWeights(t, extended.n)
		for i := range w {
			w[i] += 0.1 * float32(math.Sin(float64(3*i)))
		}
		check(t, extended.n.SetWeights(w, false))
		check(t, extended.n.SetTeacher(false))
		check(t, extended.n.ResetPath())
		dir, err := os.MkdirTemp("", "palimpsest-diffusion-extended")
		check(t, err)
		extended.start = dir
		check(t, extended.n.Save(dir))
	}
	check(t, extended.n.Load(extended.start))
	return extended.n
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func flatWeights(t testing.TB, n *Network) []float32 {
	t.Helper()
	w, err := n.Weights(false)
	check(t, err)
	return w
}

// wave is a vector of numbers without a pattern, as long as there are weights.
func wave(n *Network, scale, frequency float64) []float32 {
	v := make([]float32, n.Parameters())
	for i := range v {
		v[i] = float32(scale * math.Sin(frequency*float64(i+1)))
	}
	return v
}

func dot(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// gradient does a first step of a fresh optimiser and returns the gradient before clipping: Adam's first moments are a tenth
// of what was clipped.
func gradient(t testing.TB, n *Network, b Batch, seed uint64) ([]float32, StepResult) {
	t.Helper()
	check(t, n.ResetOptimizer())
	r := step(t, n, b, 0, seed)
	g := tensors.MustCopyFlatData[float32](n.store.GetVariable("/AdamOptimizer/model_1st_moment").MustValue())
	for i := range g {
		g[i] = float32(float64(g[i]) * 10 / min(1, n.Train.ClipNorm/r.GradNorm))
	}
	return g, r
}

// distance is the largest difference of a and b over the largest of b.
func distance(a, b []float32) float64 {
	difference, largest := 0.0, 0.0
	for i := range b {
		difference = max(difference, math.Abs(float64(a[i])-float64(b[i])))
		largest = max(largest, math.Abs(float64(b[i])))
	}
	return difference / largest
}

func TestPenaltiesByHand(t *testing.T) {
	n := extendedNetwork(t)
	b := exampleBatch(n, 4)
	theta := flatWeights(t, n)
	free, r := gradient(t, n, b, 5)
	if r.Penalty != 0 || r.Directions != 0 || r.Loss != r.Denoise {
		t.Errorf("without strength the parts are %+v", r)
	}

	importance, anchor := wave(n, 1, 1.1), wave(n, 0.3, 0.7)
	for i, f := range importance {
		importance[i] = f * f
	}
	check(t, n.Load(extended.start))
	check(t, n.SetPenalty(importance, anchor))
	first, second := wave(n, 0.05, 0.3), wave(n, 0.02, 2.3)
	other := wave(n, 0.2, 1.7)
	check(t, n.AddDirection(first, anchor))
	check(t, n.AddDirection(second, other))
	if err := n.AddDirection(second, other); err == nil || !strings.Contains(err.Error(), "all 2 rank-1 penalties are taken") {
		t.Errorf("a third direction: %v", err)
	}
	const strength, along = 0.3, 0.7
	b.PenaltyStrength, b.DirectionStrength = strength, along
	held, r := gradient(t, n, b, 5)

	want, penalty, directions := make([]float32, len(theta)), 0.0, 0.0
	project := func(mu, from []float32) float64 { return dot(mu, theta) - dot(mu, from) }
	s1, s2 := project(first, anchor), project(second, other)
	for i := range theta {
		d := float64(theta[i]) - float64(anchor[i])
		penalty += strength / 2 * float64(importance[i]) * d * d
		want[i] = float32(float64(free[i]) + strength*float64(importance[i])*d + along*(s1*float64(first[i])+s2*float64(second[i])))
	}
	directions = along / 2 * (s1*s1 + s2*s2)
	if d := distance(held, want); d > 1e-5 || distance(free, want) < 0.05 {
		t.Errorf("gradient is off by %g of its largest value (without penalties by %g)", d, distance(free, want))
	}
	if math.Abs(r.Penalty/penalty-1) > 1e-5 || math.Abs(r.Directions/directions-1) > 1e-4 {
		t.Errorf("penalties %g and %g, by hand %g and %g", r.Penalty, r.Directions, penalty, directions)
	}
	if sum := r.Denoise + r.Penalty + r.Directions; math.Abs(r.Loss/sum-1) > 1e-6 {
		t.Errorf("loss %g is not its parts' sum %g", r.Loss, sum)
	}
}

// The slope of the loss as a whole along a line, against its gradient.
func TestGradientOfTheWholeLoss(t *testing.T) {
	n := extendedNetwork(t)
	theta := flatWeights(t, n)
	teacher := wave(n, 0.2, 0.9)
	for i := range teacher {
		teacher[i] += theta[i]
	}
	check(t, n.setFlat(scopeTeacher, teacher))
	check(t, n.SetPenalty(slices.Repeat([]float32{2}, len(theta)), wave(n, 0.3, 0.7)))
	check(t, n.AddDirection(wave(n, 0.05, 0.3), wave(n, 0.2, 0.4)))
	b := exampleBatch(n, 4)
	b.W[3], b.PureNoise = 0, []bool{false, false, false, true}
	b.Distil, b.TeacherY = []float32{0, 0.5, 0.25, 0.5}, []int32{0, 3, 0, 1}
	b.Target, b.TargetW = b.X, []float32{0.5, 0, 0.1, 0}
	b.PenaltyStrength, b.DirectionStrength = 0.01, 300

	g, r := gradient(t, n, b, 5)
	for name, part := range map[string]float64{"denoising": r.Denoise, "distillation": r.Distil, "target": r.Target, "penalty": r.Penalty, "directions": r.Directions} {
		if part < 0.01*r.Loss {
			t.Errorf("%s is %g of a loss of %g: too small to be seen", name, part, r.Loss)
		}
	}
	line := slices.Clone(g)
	for i, x := range wave(n, 0.3, 5.1) {
		line[i] += x
	}
	slope := func(h float64) float64 {
		var loss [2]float64
		for k, sign := range []float64{1, -1} {
			moved := slices.Clone(theta)
			for i := range moved {
				moved[i] += float32(sign * h * float64(line[i]))
			}
			check(t, n.SetWeights(moved, false))
			loss[k] = step(t, n, b, 0, 5).Loss
		}
		return (loss[0] - loss[1]) / (2 * h)
	}
	if got, want := slope(1e-3), dot(g, line); math.Abs(got/want-1) > 0.01 {
		t.Errorf("slope %g along a line, the gradient says %g", got, want)
	}
}

func TestProjectionByHand(t *testing.T) {
	n := extendedNetwork(t)
	b := exampleBatch(n, 4)
	part := func(w ...float32) []float32 {
		c := b
		c.W = w
		check(t, n.Load(extended.start))
		g, _ := gradient(t, n, c, 5)
		return g
	}
	fresh := part(0.5, 0.5, 0, 0)
	// Of negative weight, row 0 pulls the other way when it is asked for as a reference.
	for _, c := range []struct {
		rows    []float32
		opposed bool
	}{{[]float32{0, 0, 1, 0.3}, dot(fresh, part(0, 0, 1, 0.3)) < 0}, {[]float32{0, 0, -1, 0.3}, true}, {[]float32{0, 0, 0, 0}, false}} {
		reference := make([]float32, len(fresh))
		if c.rows[2] != 0 {
			reference = part(c.rows...)
		}
		inner := dot(fresh, reference)
		if inner < 0 != c.opposed {
			t.Fatalf("rows %v: inner product %g, want it negative: %v", c.rows, inner, c.opposed)
		}
		want := slices.Clone(fresh)
		if c.opposed {
			for i := range want {
				want[i] -= float32(inner / dot(reference, reference) * float64(reference[i]))
			}
		}
		both := b
		both.W = slices.Clone(c.rows)
		both.W[0], both.W[1] = 0.5, 0.5
		both.Reference = []bool{false, false, true, true}
		check(t, n.Load(extended.start))
		got, r := gradient(t, n, both, 5)
		if d := distance(got, want); d > 1e-4 || r.Projected != c.opposed {
			t.Errorf("rows %v: projected %v (want %v), off by %g", c.rows, r.Projected, c.opposed, d)
		}
		if c.opposed && distance(fresh, want) < 0.01 {
			t.Error("the projection changes nothing")
		}
		if ref := float64(c.rows[2]*r.Rows[2] + c.rows[3]*r.Rows[3]); math.Abs(r.Reference-ref) > 1e-5 || math.Abs(r.Loss-r.Denoise) > 0 {
			t.Errorf("reference loss %g, its rows say %g; loss %g", r.Reference, ref, r.Loss)
		}
	}
}

func TestMaskHoldsWeights(t *testing.T) {
	n := extendedNetwork(t)
	b := exampleBatch(n, 4)
	free, _ := gradient(t, n, b, 5) // and moments that would move every weight
	before := flatWeights(t, n)
	train, norm := make([]bool, len(before)), 0.0
	for i := range train {
		if train[i] = i%3 == 0; train[i] {
			norm += float64(free[i]) * float64(free[i])
		}
	}
	check(t, n.SetMask(train))
	for i := range 3 {
		step(t, n, b, 1+i, uint64(i))
	}
	moved := 0
	for i, w := range flatWeights(t, n) {
		if !train[i] && math.Float32bits(w) != math.Float32bits(before[i]) {
			t.Fatalf("weight %d is held at %g and now %g", i, before[i], w)
		}
		if train[i] && w != before[i] {
			moved++
		}
	}
	if moved < len(before)/4 {
		t.Errorf("%d of %d free weights moved", moved, (len(before)+2)/3)
	}
	check(t, n.Load(extended.start))
	check(t, n.SetMask(train))
	if r := step(t, n, b, 0, 5); math.Abs(r.GradNorm/math.Sqrt(norm)-1) > 1e-5 {
		t.Errorf("norm of the masked gradient %g, by hand %g", r.GradNorm, math.Sqrt(norm))
	}
}

// The path integral against an independent gradient of the denoising loss, with all else in the loss too.
func TestPathIntegralByHand(t *testing.T) {
	n := extendedNetwork(t)
	b := exampleBatch(n, 4)
	b.Distil, b.PenaltyStrength = []float32{1, 1, 1, 1}, 0.1
	check(t, n.setFlat(scopeTeacher, wave(n, 0.3, 0.9)))
	check(t, n.SetPenalty(slices.Repeat([]float32{1}, n.Parameters()), wave(n, 0.3, 0.7)))
	of, err := n.LossGradient(false, 4)
	check(t, err)
	defer of.Close()
	begin := flatWeights(t, n)
	want := make([]float32, n.Parameters())
	for i := range 4 {
		noise, _ := noiseOf(t, n, b, uint64(i))
		g, err := of.Mean(b.X, noise, b.T, b.Y)
		check(t, err)
		before := flatWeights(t, n)
		step(t, n, b, i, uint64(i))
		for j, w := range flatWeights(t, n) {
			want[j] -= g[j] * (w - before[j])
		}
	}
	omega, start, err := n.PathIntegral()
	check(t, err)
	if d := distance(omega, want); d > 1e-4 {
		t.Errorf("path integral is off by %g of its largest value", d)
	}
	if !slices.Equal(start, begin) {
		t.Error("the path does not start where training did")
	}
	check(t, n.ResetPath())
	omega, start, err = n.PathIntegral()
	check(t, err)
	if slices.ContainsFunc(omega, func(x float32) bool { return x != 0 }) || !slices.Equal(start, flatWeights(t, n)) {
		t.Error("a path reset does not start at the weights as they are")
	}
}

func TestTeacher(t *testing.T) {
	n := extendedNetwork(t)
	b := exampleBatch(n, 4)
	b.Distil = []float32{0.5, 1, 0, 2}
	if r := step(t, n, b, 0, 5); r.Distil > 1e-12 || r.TeacherRows != 4 {
		t.Errorf("a teacher like the network is %g away, over %d rows", r.Distil, r.TeacherRows)
	}
	for i := range 3 {
		step(t, n, b, 1+i, 5)
	}
	b.TeacherY = []int32{3, 0, 1, 2}
	_, xt := noiseOf(t, n, b, 5)
	teacher, err := n.Teacher()
	check(t, err)
	taught, err := teacher.Output(xt, b.T, b.TeacherY)
	check(t, err)
	pred, err := n.Denoiser(false).Output(xt, b.T, b.Y)
	check(t, err)
	want, dim := 0.0, len(pred)/4
	for i := range pred {
		want += float64(b.Distil[i/dim]) * math.Pow(float64(pred[i]-taught[i]), 2) / float64(dim)
	}
	if r := step(t, n, b, 4, 5); math.Abs(r.Distil/want-1) > 1e-4 {
		t.Errorf("distance to the teacher %g, by hand %g", r.Distil, want)
	}
	for _, ema := range []bool{true, false} {
		check(t, n.SetTeacher(ema))
		source, err := n.Weights(ema)
		check(t, err)
		got, err := n.flat(scopeTeacher)
		check(t, err)
		if !slices.Equal(got, source) {
			t.Errorf("the teacher is no copy (EMA: %v)", ema)
		}
	}
}

func TestGivenNoise(t *testing.T) {
	n := extendedNetwork(t)
	b := exampleBatch(n, 4)
	noise, _ := noiseOf(t, n, b, 5)
	first := step(t, n, b, 0, 5)
	check(t, n.Load(extended.start))
	b.Noise, b.GivenNoise = noise, []bool{true, false, true, false}
	given := step(t, n, b, 0, 6)
	for i, l := range given.Rows {
		if (l == first.Rows[i]) != b.GivenNoise[i] {
			t.Errorf("row %d has loss %g with noise given: %v; with the noise of that seed %g", i, l, b.GivenNoise[i], first.Rows[i])
		}
	}

	// x_t given: its prediction is what the denoiser says of it.
	check(t, n.Load(extended.start))
	want, err := n.Denoiser(false).Output(noise, b.T, b.Y)
	check(t, err)
	b.Target, b.TargetW, b.PureNoise = want, []float32{1, 1, 1, 1}, []bool{true, true, true, true}
	b.GivenNoise, b.W = b.PureNoise, make([]float32, 4)
	if r := step(t, n, b, 0, 7); r.Target > 1e-10 {
		t.Errorf("predictions for x_t that are given are off by %g", r.Target)
	}
	// Pure noise of the step's own draw.
	check(t, n.Load(extended.start))
	b.GivenNoise = nil
	if r := step(t, n, b, 0, 5); r.Target > 1e-10 {
		t.Errorf("predictions for pure noise are off by %g", r.Target)
	}
	check(t, n.Load(extended.start))
	if r := step(t, n, b, 0, 6); r.Target < 1e-3 {
		t.Errorf("another seed's noise gives the same predictions: off by %g", r.Target)
	}
}

// A network extended by everything that uses nothing trains like one that is not extended, and one extended by nothing is
// not extended.
func TestExtensionsAtRest(t *testing.T) {
	n := extendedNetwork(t)
	start := flatWeights(t, n)
	other := newNetwork(t, n.Process, n.Net, n.Train, 1)
	defer other.Close()
	check(t, other.Extend(Extra{}))
	_, paths := state(t, other)
	for _, path := range paths {
		if scope := strings.Split(path, "/")[1]; !slices.Contains([]string{"model", "ema", "AdamOptimizer", "optimizers", "global_step"}, scope) {
			t.Errorf("a network extended by nothing holds %s", path)
		}
	}
	if other.ExtraParameters() != 0 {
		t.Errorf("a network extended by nothing keeps %d values", other.ExtraParameters())
	}
	if want := (1 + 2 + 2 + 1 + 1 + 2) * n.Parameters(); n.ExtraParameters() != want {
		t.Errorf("a network extended by everything keeps %d values, want %d", n.ExtraParameters(), want)
	}
	check(t, other.SetWeights(start, false))
	b := exampleBatch(n, 4)
	for i := range 3 {
		got, want := step(t, n, b, i, uint64(i)), step(t, other, b, i, uint64(i))
		if math.Abs(got.Loss/want.Loss-1) > 1e-4 || want.Denoise != want.Loss || got.Distil != 0 || got.Penalty != 0 || got.Projected {
			t.Errorf("step %d: %+v when extended, %+v when not", i, got, want)
		}
	}
	if err := other.Extend(Extra{Mask: true}); err == nil || !strings.Contains(err.Error(), "after the first step") {
		t.Errorf("extending after a step: %v", err)
	}
}

func TestResumeExtendedIsBitExact(t *testing.T) {
	n := extendedNetwork(t)
	b := exampleBatch(n, 4)
	b.Distil, b.PenaltyStrength, b.DirectionStrength = []float32{1, 0, 1, 0}, 0.1, 0.2
	b.Reference = []bool{false, false, false, true}
	prepare := func() {
		check(t, n.Load(extended.start))
		check(t, n.SetPenalty(slices.Repeat([]float32{1}, n.Parameters()), wave(n, 0.3, 0.7)))
		check(t, n.AddDirection(wave(n, 0.05, 0.3), wave(n, 0.2, 0.4)))
		train := make([]bool, n.Parameters())
		for i := range train {
			train[i] = i%5 > 0
		}
		check(t, n.SetMask(train))
	}
	prepare()
	dir := t.TempDir()
	var last StepResult
	for i := range 4 {
		if i == 2 {
			check(t, n.SetTeacher(true))
			check(t, n.Save(dir))
		}
		last = step(t, n, b, i, uint64(i))
	}
	end, paths := state(t, n)
	other := newExtended(t)
	defer other.Close()
	check(t, other.Load(dir))
	var got StepResult
	for i := 2; i < 4; i++ {
		got = step(t, other, b, i, uint64(i))
	}
	if got.Loss != last.Loss || got.Distil != last.Distil || got.Penalty != last.Penalty || got.Directions != last.Directions || got.Reference != last.Reference {
		t.Errorf("resumed %+v, uninterrupted %+v", got, last)
	}
	values, otherPaths := state(t, other)
	if d := differing(end, values); len(d) > 0 || !slices.Equal(paths, otherPaths) {
		t.Errorf("after resuming, %d of %d variables differ: %v", len(d), len(end), d)
	}
	if count, err := other.DirectionCount(); err != nil || count != 1 {
		t.Errorf("%d directions after resuming (%v), want 1", count, err)
	}
	check(t, n.Reset(1))
	reset, _ := state(t, n)
	fresh := newExtended(t)
	defer fresh.Close()
	want, _ := state(t, fresh)
	if d := differing(reset, want); len(d) > 0 {
		t.Errorf("reset, a network differs from a new one in %v", d)
	}
}

func TestExtensionsRefuse(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	n := newNetwork(t, p, plain(), TrainConfig{LearningRate: 1e-2}, 1)
	defer n.Close()
	try := func(want string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, have %v", want, err)
		}
	}
	withBatch := func(change func(*Batch)) error {
		b := exampleBatch(n, 2)
		change(&b)
		_, err := n.Step(b, 0, 0)
		return err
	}
	try("extended by Teacher", withBatch(func(b *Batch) { b.Distil = []float32{0, 1} }))
	try("extended by Given", withBatch(func(b *Batch) { b.Noise = b.X }))
	try("extended by Projection", withBatch(func(b *Batch) { b.Reference = []bool{true, false} }))
	try("extended by Penalty", withBatch(func(b *Batch) { b.PenaltyStrength = 1 }))
	try("extended by Directions", withBatch(func(b *Batch) { b.DirectionStrength = 1 }))
	try("extended by anything", withBatch(func(b *Batch) { b.PureNoise = []bool{true, false} }))
	try("extended by Mask", n.SetMask(make([]bool, n.Parameters())))
	try("extended by Teacher", n.SetTeacher(true))
	try("extended by Path", n.ResetPath())
	try("extended by Penalty", n.SetPenalty(nil, nil))
	try("-1 rank-1", n.Extend(Extra{Directions: -1}))
	check(t, n.Extend(Extra{Given: true, Penalty: true, Teacher: true}))
	check(t, n.Extend(Extra{Given: true, Penalty: true, Teacher: true}))
	try("merge what several methods need", n.Extend(Extra{Mask: true}))
	try("1 values in Distil; need 2", withBatch(func(b *Batch) { b.Distil = []float32{1} }))
	try("Noise is nil", withBatch(func(b *Batch) { b.GivenNoise = []bool{true, false} }))
	try("Target is nil", withBatch(func(b *Batch) { b.TargetW = []float32{0, 1} }))
	try("row 1 is of pure noise", withBatch(func(b *Batch) { b.PureNoise = []bool{false, true} }))
	try("PenaltyStrength is -1", withBatch(func(b *Batch) { b.PenaltyStrength = -1 }))
	try("PenaltyStrength is NaN", withBatch(func(b *Batch) { b.PenaltyStrength = math.NaN() }))
	some := make([]float32, n.Parameters())
	try("1 importances", n.SetPenalty(some[:1], some))
	some[2] = -1
	try("weight 2 has importance -1", n.SetPenalty(some, make([]float32, len(some))))
	try("need one each", n.SetWeights(some[1:], true))
	if e := (Extra{Teacher: true, Directions: 2}).Merge(Extra{Path: true, Directions: 3}); e != (Extra{Teacher: true, Path: true, Directions: 5}) {
		t.Errorf("merged %+v", e)
	}
}

// Folded, two penalties are one up to a constant, at any weights.
func TestFoldPenalty(t *testing.T) {
	importance, anchor := []float32{1, 0.5, 0, 0, 3}, []float32{1, -2, 7, 5, 0.25}
	f, a := []float32{2, 0, 4, 0, 1}, []float32{-0.5, 9, 3, 2, 0.25}
	penalty := func(f, a []float32, theta float64) float64 {
		sum := 0.0
		for i := range f {
			sum += 0.5 * float64(f[i]) * math.Pow(theta*float64(i+1)-float64(a[i]), 2)
		}
		return sum
	}
	separate := func(theta float64) float64 {
		return penalty([]float32{1, 0.5, 0, 0, 3}, []float32{1, -2, 7, 5, 0.25}, theta) + penalty(f, a, theta)
	}
	check(t, FoldPenalty(importance, anchor, f, a))
	if !slices.Equal(importance, []float32{3, 0.5, 4, 0, 4}) || !slices.Equal(anchor, []float32{0, -2, 3, 2, 0.25}) {
		t.Errorf("folded importance %v, anchor %v", importance, anchor)
	}
	constant := separate(0) - penalty(importance, anchor, 0)
	for _, theta := range []float64{-1, 0.3, 2} {
		if d := separate(theta) - penalty(importance, anchor, theta) - constant; math.Abs(d) > 1e-6 {
			t.Errorf("at %g the folded penalty differs by %g more", theta, d)
		}
	}
	if err := FoldPenalty(importance, anchor[1:], f, a); err == nil {
		t.Error("an anchor too few passes")
	}
}
