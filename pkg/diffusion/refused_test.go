package diffusion

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/backend/backendtest"
)

// allOf is a denoiser that says one number of every pixel.
type allOf float32

func (c allOf) Output(x []float32, _, _ []int32) ([]float32, error) {
	return slices.Repeat([]float32{float32(c)}, len(x)), nil
}

// What makes no sense is one error that says what was found and what is needed: no panic, and no number.
func TestRefused(t *testing.T) {
	p, err := New(Config{T: 20, Schedule: "linear", Prediction: PredictVelocity, Variance: FixedSmall})
	if err != nil {
		t.Fatal(err)
	}
	n := newNetwork(t, p, plain(), TrainConfig{LearningRate: 1e-3}, 1)
	dim := n.Shape.Values()
	x, y := make([]float32, dim), []int32{0}
	mid, err := n.MidBlock(false)
	if err != nil {
		t.Fatal(err)
	}
	defer mid.Close()
	vjp, err := n.Differentiable(false)
	if err != nil {
		t.Fatal(err)
	}
	defer vjp.Close()
	gradient, err := n.LossGradient(false, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer gradient.Close()
	back := backendtest.Open(t)
	some := SamplerConfig{Name: DDIM, Steps: 2}
	sample := func(p *Process, d Denoiser, o SamplerConfig, batch int) func() (any, error) {
		return func() (any, error) { return Sample(t.Context(), p, d, 1, 4, []int32{0}, o, batch, nil) }
	}
	linear := func(o SamplerConfig) func() (any, error) {
		return func() (any, error) { return p.LinearSteps(o) }
	}
	guided := func(g Guided) func() (any, error) {
		return func() (any, error) { return g.Output(x, []int32{0}, y) }
	}
	betas := func(name string, beta ...float64) func() (any, error) {
		return func() (any, error) { return FromBetas(name, beta) }
	}
	build := func(p *Process) func() (any, error) {
		return func() (any, error) { return NewNetwork(back, p, plain(), TrainConfig{LearningRate: 1e-3}, 1) }
	}
	type refused struct {
		call func() (any, error)
		want string
	}
	cases := map[string]refused{
		"no process":                     {sample(nil, allOf(0), some, 1), "no process"},
		"a process without a schedule":   {sample(new(Process), allOf(0), some, 1), "no process"},
		"a schedule without tables":      {sample(&Process{&Schedule{T: 20}, PredictNoise, FixedSmall}, allOf(0), some, 1), "a table of 0"},
		"no denoiser":                    {sample(p, nil, some, 1), "without a denoiser"},
		"a batch that fills the memory":  {sample(p, allOf(0), some, 1<<50), "at most 2147483648 values a batch"},
		"samples that are no numbers":    {sample(p, allOf(math.NaN()), some, 1), "image 0 was drawn with the value NaN"},
		"samples that overflow":          {sample(p, allOf(math.MaxFloat32), SamplerConfig{Name: DDIM, Steps: 20}, 1), "image 0 was drawn with the value"},
		"guidance that is NaN":           {guided(Guided{allOf(0), math.NaN(), 0, 1, 1}), "scale of guidance is NaN"},
		"negative guidance":              {guided(Guided{allOf(0), -1, 0, 1, 1}), "scale of guidance is -1"},
		"guidance beyond float32":        {guided(Guided{allOf(0), 1e300, 0, 1, 1}), "scale of guidance is 1e+300"},
		"sampling with it":               {sample(p, Guided{allOf(0), 1e300, 0, 1, 1}, some, 1), "scale of guidance is 1e+300"},
		"guidance of no channels":        {guided(Guided{Denoiser: allOf(0), Scale: 2}), "0 Channels of 0 OutChannels"},
		"guidance of nothing":            {guided(Guided{Scale: 2, Channels: 1, OutChannels: 1}), "without a Denoiser"},
		"linear steps with noise":        {linear(SamplerConfig{Name: DDIM, Steps: 2, Eta: 1}), "eta 1 are no linear ones"},
		"linear steps of another's":      {linear(SamplerConfig{Name: Euler, Steps: 2}), "does not draw from prediction \"v\""},
		"too many linear steps":          {linear(SamplerConfig{Name: DDIM, Steps: 21}), "21 sampling steps over 20"},
		"even timesteps of none":         {func() (any, error) { return EvenTimesteps(0, 1) }, "a process of 0 timesteps; need 1 to"},
		"even timesteps beyond all":      {func() (any, error) { return EvenTimesteps(math.MaxInt, math.MaxInt) }, "need 1 to 1048576"},
		"timesteps without a schedule":   {func() (any, error) { return some.Timesteps(nil) }, "no schedule"},
		"a process without one":          {func() (any, error) { return NewProcess(nil, PredictNoise, FixedSmall) }, "no schedule"},
		"settings without a process":     {func() (any, error) { return nil, TrainConfig{LearningRate: 1}.ValidateFor(nil) }, "no process"},
		"variances that leave no image":  {betas("mine", slices.Repeat([]float64{0.999}, 200)...), "ᾱ rounds to 0"},
		"variances that leave no noise":  {betas("mine", 1e-20, 0.5), "ᾱ rounds to 1"},
		"variances of the straight path": {betas(FlowSchedule, 0.1, 0.2), "the straight path"},
		"a network without a process":    {build(nil), "no process"},
		"of an empty process":            {build(new(Process)), "no process"},
		"without a backend":              {func() (any, error) { return NewNetwork(nil, p, plain(), TrainConfig{LearningRate: 1}, 1) }, "no backend"},
		"without an architecture":        {func() (any, error) { return NewNetwork(back, p, nil, TrainConfig{LearningRate: 1}, 1) }, "no architecture"},
		"no timesteps kept":              {func() (any, error) { return p.Respace(nil) }, "no timesteps kept of 20"},
		"losses beyond all":              {func() (any, error) { return NewLossHistory(math.MaxInt, 1) }, "at most 1048576 timesteps"},
		"importance over nothing":        {func() (any, error) { return n.Fisher(t.Context(), nil, 1) }, "no batches"},
		"a probe of another size":        {func() (any, error) { _, _, err := vjp.OutputVJP(x, []int32{0}, y, x[1:]); return nil, err }, "a probe of 15 values for 16"},
		"noise of another size":          {func() (any, error) { return gradient.Mean(x, x[1:], []int32{0}, y) }, "noise of 15 values for 16"},
		"a step before the first":        {func() (any, error) { return n.Step(Batch{X: x, Y: y, T: y, W: []float32{1}}, -1, 1) }, "index of a step is -1"},
		"no step":                        {func() (any, error) { return n.Do(nil) }, "not prepared"},
	}
	for _, at := range []int32{-1, 20, math.MaxInt32} {
		is := fmt.Sprintf("timestep %d of row 0 is outside 0 .. 19", at)
		cases[fmt.Sprint("a denoiser at ", at)] = refused{func() (any, error) { return n.Denoiser(true).Output(x, []int32{at}, y) }, is}
		cases[fmt.Sprint("a middle block at ", at)] = refused{func() (any, error) { return mid.Output(x, []int32{at}, y) }, is}
		cases[fmt.Sprint("a product at ", at)] = refused{func() (any, error) { _, _, err := vjp.OutputVJP(x, []int32{at}, y, x); return nil, err }, is}
		cases[fmt.Sprint("a gradient at ", at)] = refused{func() (any, error) { return gradient.Mean(x, x, []int32{at}, y) }, is}
		cases[fmt.Sprint("a step at ", at)] = refused{func() (any, error) { return n.Step(Batch{X: x, Y: y, T: []int32{at}, W: []float32{1}}, 0, 1) }, is}
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := tc.call()
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v and error %v, want an error of one line with %q", got, err, tc.want)
			}
			if errors.As(err, new(Diverged)) != strings.HasPrefix(name, "samples that") {
				t.Errorf("%v: has it diverged?", err)
			}
		})
	}
}

// Functions without an error panic, and say why.
func TestPanicsName(t *testing.T) {
	p, err := New(Config{T: 20, Schedule: "linear", Prediction: PredictNoise, Variance: FixedSmall})
	if err != nil {
		t.Fatal(err)
	}
	history, err := NewLossHistory(3, 2)
	if err != nil {
		t.Fatal(err)
	}
	for want, call := range map[string]func(){
		"0 weights that sum to 0":        func() { NewTimestepDraw(nil) },
		"2 weights that sum to 0":        func() { NewTimestepDraw([]float64{0, 0}) },
		"weight of timestep 1 is -1":     func() { NewTimestepDraw([]float64{2, -1}) },
		"weight of timestep 0 is NaN":    func() { NewTimestepDraw([]float64{math.NaN()}) },
		"2 weights that sum to +Inf":     func() { NewTimestepDraw([]float64{math.MaxFloat64, math.MaxFloat64}) },
		"drawing -1 timesteps of 3":      func() { history.Draw(nil, -1) },
		"drawing 2 timesteps of 0":       func() { new(LossHistory).Draw(nil, 2) },
		"noise of 1 into 2; need one le": func() { p.QSample(make([]float32, 2), make([]float32, 2), make([]float32, 1), 0) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("it panics with %q, want %q", got, want)
				}
			}()
			call()
		}()
	}
	if got := []int{DividingSteps(-5, 10), DividingSteps(0, 10), DividingSteps(5, 0)}; !slices.Equal(got, []int{1, 1, 1}) {
		t.Errorf("numbers of steps up to none, or of no timesteps, are %d; want 1", got)
	}
}

// A dropped snapshot is not saved as an empty file, and a step is done once.
func TestDoneOnce(t *testing.T) {
	p, err := New(Config{T: 20, Schedule: "linear", Prediction: PredictNoise, Variance: FixedSmall})
	if err != nil {
		t.Fatal(err)
	}
	n := newNetwork(t, p, plain(), TrainConfig{LearningRate: 1e-3}, 1)
	s, err := n.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	s.Drop()
	if err := s.Save(t.TempDir()); err == nil || !strings.Contains(err.Error(), "dropped") {
		t.Errorf("a dropped snapshot is saved with error %v", err)
	}
	step, err := n.Prepare(Batch{X: make([]float32, n.Shape.Values()), Y: []int32{0}, T: []int32{3}, W: []float32{1}}, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Do(step); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Do(step); err == nil || !strings.Contains(err.Error(), "done or dropped already") {
		t.Errorf("the same step a second time: error %v", err)
	}
}

// A step of other rows than the first, with pixels or weights that are no numbers, is one clear error and leaves the network as it was.
func TestUnfitStepsChangeNothing(t *testing.T) {
	p, err := New(Config{T: 20, Schedule: "linear", Prediction: PredictNoise, Variance: FixedSmall})
	if err != nil {
		t.Fatal(err)
	}
	n := newNetwork(t, p, plain(), TrainConfig{LearningRate: 1e-3}, 1)
	if err := n.Extend(Extra{Given: true}); err != nil {
		t.Fatal(err)
	}
	given := func(rows int) Batch {
		b := exampleBatch(n, rows)
		b.Noise, b.GivenNoise = make([]float32, len(b.X)), make([]bool, rows)
		b.Target, b.TargetW = make([]float32, len(b.X)), make([]float32, rows)
		return b
	}
	if _, err := n.Step(given(4), 0, 1); err != nil {
		t.Fatal(err)
	}
	before, err := n.Weights(false)
	if err != nil {
		t.Fatal(err)
	}
	dim := n.Shape.Values()
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	step := func(b Batch) error { _, err := n.Step(b, 1, 1); return err }
	image, noise, target := given(4), given(4), given(4)
	image.X[2*dim+1], noise.Noise[dim], target.Target[3*dim] = inf, nan, -inf
	weights := slices.Clone(before)
	weights[5] = nan
	for want, err := range map[string]error{
		"a step of 3 rows after one of 4":     step(given(3)),
		"row 2 of X has the value +Inf":       step(image),
		"row 1 of Noise has the value NaN":    step(noise),
		"row 3 of Target has the value -Inf":  step(target),
		"weight 5 is to be NaN; need finite":  n.SetWeights(weights, false),
		"weight 5 is to be NaN; need finite ": n.SetWeights(weights, true),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v; want an error of one line with %q", err, want)
		}
	}
	if after, err := n.Weights(false); err != nil || !slices.Equal(before, after) {
		t.Errorf("the weights are others (%v)", err)
	}
	if _, err := n.Step(given(4), 1, 1); err != nil {
		t.Errorf("a sound step afterwards: %v", err)
	}
}
