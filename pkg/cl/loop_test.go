package cl_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/diffusion"
)

// keeper wraps a strategy and keeps every batch. The loop drops labels and flips in place after BeforeStep, so once a
// step is done the batch kept is the one that was trained on.
type keeper struct {
	cl.Strategy
	steps   []*cl.Step
	losses  [][]float32 // of the rows of each step
	results []diffusion.StepResult
	ended   []int
}

func (k *keeper) AfterStep(s *cl.Step, r diffusion.StepResult) error {
	k.losses, k.results = append(k.losses, r.Rows), append(k.results, r)
	return k.Strategy.AfterStep(s, r)
}

// Foresees is false: a step is kept when its turn comes.
func (k *keeper) Foresees() bool { return false }

func (k *keeper) BeforeStep(s *cl.Step) error {
	k.steps = append(k.steps, s)
	return k.Strategy.BeforeStep(s)
}

func (k *keeper) EndTask(task int, train *datasets.Images) error {
	k.ended = append(k.ended, task)
	return k.Strategy.EndTask(task, train)
}

// rowsOf is the number of rows of a strategy's steps.
func rowsOf(s cl.Strategy, c cl.LoopConfig) int { return c.FreshRows + s.ReplayRows(c.ReplayRows) }

// phase trains the phase at hand and ends it.
func phase(t *testing.T, l *cl.Loop) {
	t.Helper()
	for !l.PhaseDone() {
		if _, err := l.Step(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.EndPhase(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// run trains a whole run and returns what it kept.
func run(t *testing.T, s cl.Strategy, b *datasets.Benchmark, c cl.LoopConfig, seed uint64) *keeper {
	t.Helper()
	k := &keeper{Strategy: s}
	l, err := cl.NewLoop(cltest.NewNetworkOf(t, rowsOf(s, c)), b, k, c, cl.Setup{Seed: seed, Features: cltest.Features})
	if err != nil {
		t.Fatal(err)
	}
	for !l.Done() {
		phase(t, l)
	}
	if _, err := l.Step(); err == nil {
		t.Error("a step was done after the last")
	}
	if err := l.EndPhase(t.Context()); err == nil {
		t.Error("a phase ended after the last")
	}
	if want := len(b.Tasks) * c.StepsPerTask; l.Position.Total != want || len(k.steps) != want {
		t.Fatalf("%d steps counted and %d seen, want %d", l.Position.Total, len(k.steps), want)
	}
	return k
}

// plain is the suite's benchmark and loop without flips and dropped labels.
func plain() (*datasets.Benchmark, cl.LoopConfig) {
	b, c := cltest.NewBenchmark(), cltest.Config()
	b.Prep.Flip, c.LabelDropout = false, 0
	return b, c
}

// drawn returns the images, as numbers within all of the benchmark's images, of the first n rows of each step.
func drawn(t *testing.T, b *datasets.Benchmark, steps []*cl.Step, n int) []int {
	t.Helper()
	number := map[string]int{}
	for _, task := range b.Tasks {
		for i := range task.Train.N {
			number[string(task.Train.Image(i))] = len(number)
		}
	}
	var out []int
	row := make([]uint8, b.H*b.W*b.C)
	for _, s := range steps {
		for i := range n {
			datasets.Unscale(row, s.Batch.X[i*len(row):(i+1)*len(row)])
			k, ok := number[string(row)]
			if !ok {
				t.Fatalf("row %d of step %d of task %d is no image of the benchmark", i, s.Index, s.Task)
			}
			if want := b.Tasks[k/24].Train.Labels[k%24]; s.Batch.Y[i] != int32(want) {
				t.Fatalf("row %d of step %d has label %d, its image %d", i, s.Index, s.Batch.Y[i], want)
			}
			out = append(out, k)
		}
	}
	return out
}

// TestEpochs: every epoch of a phase is a permutation of the images of its stream, and no two epochs are the same.
func TestEpochs(t *testing.T) {
	for _, tc := range []struct {
		strategy cl.Strategy
		rows     int      // fresh rows a step
		replay   int      // the other rows
		phases   [][2]int // first and last image + 1 of each phase's stream, of 24 a task
	}{
		{&cl.Finetune{}, 4, 0, [][2]int{{0, 24}, {24, 48}, {48, 72}}},
		{cl.NewER(), 4, 4, [][2]int{{0, 24}, {24, 48}, {48, 72}}},
		{&cl.Cumulative{}, 8, 0, [][2]int{{0, 24}, {0, 48}, {0, 72}}},
		{&cl.Joint{}, 8, 0, [][2]int{{0, 72}}},
	} {
		t.Run(tc.strategy.Info().Name, func(t *testing.T) {
			b, c := plain()
			c.StepsPerTask = 20
			k := run(t, tc.strategy, b, c, 3)
			perPhase := len(k.steps) / len(tc.phases)
			for phase, stream := range tc.phases {
				steps := k.steps[phase*perPhase : (phase+1)*perPhase]
				images := drawn(t, b, steps, tc.rows)
				var before []int
				for epoch := range slices.Chunk(images, stream[1]-stream[0]) {
					sorted := slices.Clone(epoch)
					slices.Sort(sorted)
					if len(slices.Compact(sorted)) != len(epoch) || sorted[0] < stream[0] || sorted[len(epoch)-1] >= stream[1] {
						t.Fatalf("phase %d: an epoch is %v, want each of images %d to %d once", phase, epoch, stream[0], stream[1]-1)
					}
					if slices.Equal(epoch, before) || slices.IsSorted(epoch) {
						t.Errorf("phase %d: two epochs in the same order, or one in the set's own", phase)
					}
					before = epoch
				}
				for i, s := range steps {
					if tc.strategy.Info().Borders == cl.NoBorders { // it is not told where a phase begins
						i += phase * perPhase
					}
					if s.Index != i || s.Fresh != tc.rows || s.Replay != tc.replay || len(s.Batch.T) != tc.rows+tc.replay {
						t.Fatalf("phase %d, step %d: index %d, %d+%d rows", phase, i, s.Index, s.Fresh, s.Replay)
					}
					if want := float32(1) / float32(tc.rows); s.Batch.W[0] != want || s.Batch.W[tc.rows-1] != want {
						t.Fatalf("a fresh row weighs %g, want %g", s.Batch.W[0], want)
					}
				}
			}
			if info := tc.strategy.Info(); info.Stream == cl.AllTasks || info.Borders == cl.NoBorders {
				if len(k.ended) != 0 {
					t.Errorf("EndTask was called for tasks %v", k.ended)
				}
			} else if !slices.Equal(k.ended, []int{0, 1, 2}) {
				t.Errorf("EndTask was called for tasks %v, want 0, 1 and 2", k.ended)
			}
		})
	}
}

// TestFairDraws: strategies with the same stream see the same fresh rows and the same timesteps.
func TestFairDraws(t *testing.T) {
	b, c := plain()
	a, er := run(t, &cl.Finetune{}, b, c, 3), run(t, cl.NewER(), b, c, 3)
	if !slices.Equal(drawn(t, b, a.steps, 4), drawn(t, b, er.steps, 4)) {
		t.Error("fine-tuning and replay saw other fresh images")
	}
	for i := range a.steps {
		if !slices.Equal(a.steps[i].Batch.T, er.steps[i].Batch.T[:4]) {
			t.Fatalf("step %d has other timesteps", i)
		}
	}
	other := run(t, &cl.Finetune{}, b, c, 4)
	if slices.Equal(drawn(t, b, a.steps, 4), drawn(t, b, other.steps, 4)) {
		t.Error("another seed drew the same images")
	}
}

// TestReplayRowsRepeat: rows a strategy leaves alone, as replay does in the first task, are fresh ones with weight 0.
func TestReplayRowsRepeat(t *testing.T) {
	b, c := plain()
	for _, s := range run(t, cl.NewER(), b, c, 3).steps[:c.StepsPerTask] {
		half := len(s.Batch.X) / 2
		if !slices.Equal(s.Batch.X[:half], s.Batch.X[half:]) || !slices.Equal(s.Batch.Y[:4], s.Batch.Y[4:]) {
			t.Fatalf("step %d of task %d: replay rows are not the fresh ones", s.Index, s.Task)
		}
		if slices.Max(s.Batch.W[4:]) != 0 {
			t.Fatalf("step %d of task %d: replay rows weigh %v", s.Index, s.Task, s.Batch.W[4:])
		}
	}
}

// TestTimesteps: all 20 are drawn, uniformly: of 4·600 rows each gets 120 ± sqrt(2400·0.05·0.95) = 10.7.
func TestTimesteps(t *testing.T) {
	b, c := plain()
	c.StepsPerTask = 200
	count := make([]float64, 20)
	for _, s := range run(t, &cl.Finetune{}, b, c, 3).steps {
		for _, step := range s.Batch.T {
			count[step]++
		}
	}
	for step, n := range count {
		if math.Abs(n-120) > 5*10.7 {
			t.Errorf("timestep %d was drawn %g times of 2400, want 120 ± 10.7", step, n)
		}
	}
}

// TestDroppedLabels: the share of labels hidden is the one asked for, within five standard deviations of a binomial,
// in fresh and in replayed rows, and the others are kept.
func TestDroppedLabels(t *testing.T) {
	b, c := plain()
	c.LabelDropout, c.StepsPerTask = 0.3, 100
	k := run(t, cl.NewER(), b, c, 3)
	for name, rows := range map[string][2]int{"fresh": {0, 4}, "replayed": {4, 8}} {
		dropped, n := 0.0, 0.0
		for _, s := range k.steps {
			for _, y := range s.Batch.Y[rows[0]:rows[1]] {
				n++
				switch {
				case y == 6: // the number of classes: no label
					dropped++
				case y < 0 || y > 6:
					t.Fatalf("label %d", y)
				}
			}
		}
		if math.Abs(dropped-0.3*n) > 5*math.Sqrt(0.21*n) {
			t.Errorf("%g of %g %s labels were dropped, want %g ± %.0f", dropped, n, name, 0.3*n, math.Sqrt(0.21*n))
		}
	}
}

// TestFlips: half of the rows are mirrored, and a mirrored row is the image read backwards in each line.
func TestFlips(t *testing.T) {
	b, c := plain()
	b.Prep.Flip, c.StepsPerTask = true, 40
	k := run(t, cl.NewER(), b, c, 3)
	known, mirrored := map[string]bool{}, map[string]bool{}
	for _, task := range b.Tasks {
		for i := range task.Train.N {
			image := slices.Clone(task.Train.Image(i))
			known[string(image)] = true
			for y := range b.H {
				slices.Reverse(image[y*b.W : (y+1)*b.W])
			}
			mirrored[string(image)] = true
		}
	}
	flipped, n := 0.0, 0.0
	row := make([]uint8, b.H*b.W)
	for _, s := range k.steps {
		for i := range s.Batch.T {
			datasets.Unscale(row, s.Batch.X[i*len(row):(i+1)*len(row)])
			n++
			switch {
			case mirrored[string(row)]:
				flipped++
			case !known[string(row)]:
				t.Fatalf("row %d of step %d is neither an image nor its mirror", i, s.Index)
			}
		}
	}
	if math.Abs(flipped-n/2) > 5*math.Sqrt(n/4) {
		t.Errorf("%g of %g rows are flipped, want half ± %.0f", flipped, n, math.Sqrt(n/4))
	}
}

// TestLoopStored: what a declared stream keeps of other tasks is counted, 24 images of 64 pixels and a label each.
func TestLoopStored(t *testing.T) {
	for _, tc := range []struct {
		strategy cl.Strategy
		want     []int // images before each phase and at the end
	}{
		{&cl.Finetune{}, []int{0, 0, 0, 0}},
		{&cl.Cumulative{}, []int{0, 24, 48, 72}},
		{&cl.Joint{}, []int{72, 72}},
	} {
		b, c := plain()
		l, err := cl.NewLoop(cltest.NewNetwork(t), b, tc.strategy, c, cl.Setup{})
		if err != nil {
			t.Fatal(err)
		}
		for phase, want := range tc.want {
			l.Position = cl.Position{Phase: phase}
			if s := l.Stored(); s.StreamImages != want || s.Bytes != int64(want*65) {
				t.Errorf("%s before phase %d: %d images, %d bytes; want %d images", tc.strategy.Info().Name, phase, s.StreamImages, s.Bytes, want)
			}
		}
	}
}

// TestOptimiserRestarts: with reset_optimizer the optimiser's count starts over with each task, without it goes on.
func TestOptimiserRestarts(t *testing.T) {
	for _, reset := range []bool{true, false} {
		b, c := plain()
		c.ResetOptimizer = reset
		l, err := cl.NewLoop(cltest.NewNetworkOf(t, c.FreshRows), b, &cl.Finetune{}, c, cl.Setup{})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.EndPhase(t.Context()); err == nil {
			t.Error("a phase ended before its steps were done")
		}
		phase(t, l)
		if want := map[bool]int{true: 0, false: 4}[reset]; l.Position.Optimiser != want {
			t.Errorf("reset %v: the optimiser has had %d steps after a task, want %d", reset, l.Position.Optimiser, want)
		}
	}
}

// TestOwnReplayRows: a strategy's number of replay rows holds for its steps whatever the loop's is, its fresh rows are
// those of fine-tuning, and each replay row weighs λ/rows.
func TestOwnReplayRows(t *testing.T) {
	b, c := plain()
	want := run(t, &cl.Finetune{}, b, c, 3).steps
	for _, loop := range []int{0, 4} {
		c.ReplayRows = loop
		er := cl.NewER()
		er.Rows, er.Lambda = 2, 0.5
		for i, s := range run(t, er, b, c, 3).steps {
			if s.Fresh != 4 || s.Replay != 2 || len(s.Batch.T) != 6 {
				t.Fatalf("replay_rows %d: a step of %d+%d rows, %d timesteps; want 4+2", loop, s.Fresh, s.Replay, len(s.Batch.T))
			}
			fresh := want[i].Batch
			if !slices.Equal(s.Batch.X[:4*64], fresh.X[:4*64]) || !slices.Equal(s.Batch.T[:4], fresh.T[:4]) || !slices.Equal(s.Batch.W[:4], fresh.W[:4]) {
				t.Fatalf("replay_rows %d: step %d of task %d has other fresh rows than fine-tuning", loop, s.Index, s.Task)
			}
			weight := float32(0.25)
			if s.Task == 0 {
				weight = 0
			}
			if s.Batch.W[4] != weight || s.Batch.W[5] != weight {
				t.Fatalf("replay_rows %d: in task %d replay rows weigh %v, want %g", loop, s.Task, s.Batch.W[4:], weight)
			}
		}
	}
	for rows, want := range map[int]int{0: 4, 2: 2, 9: 9} {
		er := cl.NewER()
		er.Rows = rows
		l, err := cl.NewLoop(cltest.NewNetwork(t), b, er, c, cl.Setup{})
		if err != nil {
			t.Fatal(err)
		}
		if got := l.ReplayRows(); got != want {
			t.Errorf("rows %d with replay_rows 4: the loop has %d replay rows, want %d", rows, got, want)
		}
	}
	if l, err := cl.NewLoop(cltest.NewNetwork(t), b, &cl.Joint{}, c, cl.Setup{}); err != nil || l.ReplayRows() != 4 {
		t.Errorf("joint training with replay_rows 4 has other rows, or %v", err)
	}
	if _, err := cl.NewLoop(cltest.NewNetwork(t), b, negative{&cl.Finetune{}}, c, cl.Setup{}); err == nil {
		t.Error("a strategy with -1 replay rows: accepted")
	}
}

// negative asks for a number of rows that no step has.
type negative struct{ *cl.Finetune }

func (negative) ReplayRows(int) int { return -1 }

// Of nothing every strategy begins, and goes on, or says why not.
func TestBeginOfNothing(t *testing.T) {
	for _, s := range cl.All() {
		if err := cl.Guard(func() error { return s.Begin(cl.Setup{}) }); errors.As(err, new(*cl.Panicked)) {
			t.Errorf("%s panics: %v", s.Info().Name, err)
		}
		if err := cl.Guard(func() error { return s.Restore(nil) }); errors.As(err, new(*cl.Panicked)) {
			t.Errorf("%s panics when it goes on: %v", s.Info().Name, err)
		}
	}
}

// undeclared distils without having asked for a teacher.
type undeclared struct{ *cl.Finetune }

func (undeclared) BeforeStep(s *cl.Step) error { s.SetDistil(0, 1); return nil }

// What a strategy did not ask for is told with its name, the step, and how it asks.
func TestStepNeedsWhatNeedsDeclares(t *testing.T) {
	b, c := plain()
	l, err := cl.NewLoop(cltest.NewNetwork(t), b, undeclared{&cl.Finetune{}}, c, cl.Setup{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Step()
	if err == nil || !strings.Contains(err.Error(), "strategy finetune, task 0, step 0: ") || !strings.Contains(err.Error(), "extended by Teacher") || !strings.Contains(err.Error(), "what its Needs returns") {
		t.Error(err)
	}
}

func TestNewLoopRefuses(t *testing.T) {
	n := cltest.NewNetwork(t)
	for name, change := range map[string]func(b *datasets.Benchmark, c *cl.LoopConfig, er *cl.ER){
		"no fresh rows":        func(_ *datasets.Benchmark, c *cl.LoopConfig, _ *cl.ER) { c.FreshRows = 0 },
		"no steps":             func(_ *datasets.Benchmark, c *cl.LoopConfig, _ *cl.ER) { c.StepsPerTask = 0 },
		"negative replay rows": func(_ *datasets.Benchmark, c *cl.LoopConfig, _ *cl.ER) { c.ReplayRows = -1 },
		"dropout of 1":         func(_ *datasets.Benchmark, c *cl.LoopConfig, _ *cl.ER) { c.LabelDropout = 1 },
		"no tasks":             func(b *datasets.Benchmark, _ *cl.LoopConfig, _ *cl.ER) { b.Tasks = nil },
		"an empty task":        func(b *datasets.Benchmark, _ *cl.LoopConfig, _ *cl.ER) { b.Tasks[1].Train = &datasets.Images{} },
		"a later task of another size": func(b *datasets.Benchmark, _ *cl.LoopConfig, _ *cl.ER) {
			b.Tasks[1].Train = &datasets.Images{N: 1, H: 16, W: 16, C: 1, Pixels: make([]uint8, 256), Labels: []int32{2}}
		},
		"a label of no class": func(b *datasets.Benchmark, _ *cl.LoopConfig, _ *cl.ER) { b.ClassNames = b.ClassNames[:5] },
		"another image size":  func(b *datasets.Benchmark, _ *cl.LoopConfig, _ *cl.ER) { b.H, b.W = 16, 16 },
		"too many classes": func(b *datasets.Benchmark, _ *cl.LoopConfig, _ *cl.ER) {
			b.ClassNames = append(b.ClassNames, "seventh")
		},
		"replay without rows":   func(_ *datasets.Benchmark, c *cl.LoopConfig, _ *cl.ER) { c.ReplayRows = 0 },
		"a strategy's settings": func(_ *datasets.Benchmark, _ *cl.LoopConfig, er *cl.ER) { er.Lambda = -1 },
	} {
		b, c := plain()
		er := cl.NewER()
		change(b, &c, er)
		if _, err := cl.NewLoop(n, b, er, c, cl.Setup{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	b, c := plain()
	for want, try := range map[string]func() error{
		"no network":                   func() error { _, err := cl.NewLoop(nil, b, cl.NewER(), c, cl.Setup{}); return err },
		"no benchmark":                 func() error { _, err := cl.NewLoop(n, nil, cl.NewER(), c, cl.Setup{}); return err },
		"no strategy":                  func() error { _, err := cl.NewLoop(n, b, nil, c, cl.Setup{}); return err },
		"cl.Settings: no strategy":     func() error { _, err := cl.Settings(nil); return err },
		"cl.CheckBorders: no strategy": func() error { return cl.CheckBorders(nil, true) },
		"cl.Check: no strategy":        func() error { return cl.Check(nil, cl.Setup{}) },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want an error with %q", err, want)
		}
	}
	unconditional := n.Shape
	unconditional.Classes = 0
	c.LabelDropout = 0.1
	if _, err := cl.NewLoop(&diffusion.Network{Shape: unconditional, Process: n.Process}, b, cl.NewER(), c, cl.Setup{}); err == nil {
		t.Error("label dropout without labels: accepted")
	}
}
