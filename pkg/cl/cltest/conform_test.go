package cltest

import (
	"math"
	"strings"
	"testing"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
)

// altered is experience replay with some of its methods replaced.
type altered struct {
	*cl.ER
	info       func(cl.Info) cl.Info
	label      string
	beforeStep func(*cl.Step) error
	endTask    func(int, *datasets.Images) error
	stored     func(cl.Stored) cl.Stored
	state      func() ([]byte, error)
	restore    func([]byte) error
	useTask    func(task int, of cl.Setup) error
	arrive     func(*datasets.Images) error
	setup      cl.Setup
}

func (a *altered) Arrive(im *datasets.Images) error {
	if err := a.ER.Arrive(im); err != nil || a.arrive == nil {
		return err
	}
	return a.arrive(im)
}

func (a *altered) Begin(s cl.Setup) error {
	a.setup = s
	return a.ER.Begin(s)
}

func (a *altered) UseTask(task int) error {
	if a.useTask == nil {
		return nil
	}
	return a.useTask(task, a.setup)
}

// told says of a strategy that it is told the task at sampling.
func told(i cl.Info) cl.Info {
	i.TaskAtSampling = true
	return i
}

// negate changes the sign of the weights, or of their averages, for the first task.
func negate(task int, n *diffusion.Network, averages bool) error {
	w, err := n.Weights(averages)
	if err != nil || task != 0 {
		return err
	}
	for i := range w {
		w[i] = -w[i]
	}
	return n.SetWeights(w, averages)
}

func (a *altered) Info() cl.Info {
	if a.info != nil {
		return a.info(a.ER.Info())
	}
	return a.ER.Info()
}

func (a *altered) Label() string {
	if a.label != "" {
		return a.label
	}
	return a.ER.Label()
}

func (a *altered) BeforeStep(s *cl.Step) error {
	if err := a.ER.BeforeStep(s); err != nil || a.beforeStep == nil {
		return err
	}
	return a.beforeStep(s)
}

func (a *altered) EndTask(task int, im *datasets.Images) error {
	if err := a.ER.EndTask(task, im); err != nil || a.endTask == nil {
		return err
	}
	return a.endTask(task, im)
}

func (a *altered) Stored() cl.Stored {
	if a.stored != nil {
		return a.stored(a.ER.Stored())
	}
	return a.ER.Stored()
}

func (a *altered) State() ([]byte, error) {
	if a.state != nil {
		return a.state()
	}
	return a.ER.State()
}

func (a *altered) Restore(state []byte) error {
	if a.restore != nil {
		return a.restore(state)
	}
	return a.ER.Restore(state)
}

func sound() *altered {
	er := cl.NewER()
	er.Buffer = 11
	return &altered{ER: er}
}

// mistaken makes a mistake in a step from the second task on, where there are old images.
func mistaken(mistake func(s *cl.Step, old *datasets.Images)) func(*altered) {
	return func(a *altered) {
		a.beforeStep = func(s *cl.Step) error {
			if old := a.ER.Stored().Images; old != nil && old.N > 0 {
				mistake(s, old)
			}
			return nil
		}
	}
}

// lastWeight adds to the weight of the last fresh row.
func lastWeight(s *cl.Step, w float32) { s.Batch.W[s.Fresh-1] += w }

// TestChecksCatch alters a sound strategy so that it breaks one promise at a time, and wants the check of that promise
// to fail, for the stated reason, after it has passed the sound strategy.
func TestChecksCatch(t *testing.T) {
	r := newRig(t, sound(), "")
	o := Options{MaxImages: 11, ZeroWeight: func() cl.Strategy { a := sound(); a.Lambda = 0; return a }}
	for _, c := range checks {
		if err := c.run(r, func() cl.Strategy { return sound() }, o); err != nil {
			t.Fatalf("%s: the sound strategy fails: %v", c.name, err)
		}
	}
	caught := map[string]bool{}
	for _, tc := range []struct {
		check, broken, reason string
		alter                 func(a *altered)
	}{
		{"describes itself", "no equation", "Info.Equation", func(a *altered) {
			a.info = func(i cl.Info) cl.Info { i.Equation = ""; return i }
		}},
		{"describes itself", "two lines", "Info.Stores", func(a *altered) {
			a.info = func(i cl.Info) cl.Info { i.Stores += "\nmore"; return i }
		}},
		{"describes itself", "a label of its own", "does not begin", func(a *altered) { a.label = "best" }},
		{"describes itself", "info that changes", "Info changed", func(a *altered) {
			done := false
			a.endTask = func(int, *datasets.Images) error { done = true; return nil }
			a.info = func(i cl.Info) cl.Info {
				if done {
					i.Stores = "a lot"
				}
				return i
			}
		}},
		{"fixed shapes, equal rows and steps", "a row more", "left 576 pixels, 9 labels, 9 timesteps and 9 weights of a batch of 8 rows", func(a *altered) {
			a.beforeStep = func(s *cl.Step) error {
				b := &s.Batch
				b.X, b.Y = append(b.X, b.X[:side*side]...), append(b.Y, b.Y[0])
				b.T, b.W = append(b.T, 0), append(b.W, 0)
				return nil
			}
		}},
		{"fixed shapes, equal rows and steps", "infinite weight", "fresh row 0: the weight is +Inf; need a number", func(a *altered) {
			a.beforeStep = func(s *cl.Step) error { s.Batch.W[0] /= 0 * s.Batch.W[0]; return nil }
		}},
		{"fixed shapes, equal rows and steps", "weight that is no number", "fresh row 0: the weight is NaN; need a number", func(a *altered) {
			a.beforeStep = func(s *cl.Step) error { s.Batch.W[0] = float32(math.NaN()); return nil }
		}},
		{"fixed shapes, equal rows and steps", "negative weight", "task 1, step 0: row 2 weighs -1; need 0 or more", mistaken(func(s *cl.Step, old *datasets.Images) {
			s.SetReplay(2, old.Image(0), old.Labels[0], -1)
		})},
		{"fixed shapes, equal rows and steps", "a replay row's weight that is no number", "row 1: the weight is NaN; need a number (conform_test.go:", mistaken(func(s *cl.Step, old *datasets.Images) {
			s.SetReplay(1, old.Image(0), old.Labels[0], math.NaN())
		})},
		{"fixed shapes, equal rows and steps", "a weight too large", "row 1: the weight is +Inf; need a number (conform_test.go:", mistaken(func(s *cl.Step, old *datasets.Images) {
			s.SetReplay(1, old.Image(0), old.Labels[0], 1e39) // no float32
		})},
		{"fixed shapes, equal rows and steps", "no such timestep", "row 1: the timestep is 20; need one of 0 … 19 (conform_test.go:", mistaken(func(s *cl.Step, old *datasets.Images) {
			s.SetTimestep(1, timesteps)
		})},
		{"fixed shapes, equal rows and steps", "replay row out of range", "row 4; this step has 4 replay rows (0 … 3) (conform_test.go:", mistaken(func(s *cl.Step, old *datasets.Images) {
			s.SetReplay(s.Replay, old.Image(0), old.Labels[0], 1)
		})},
		{"fixed shapes, equal rows and steps", "an image of another size", "an image of 63 values; this step's have 64", mistaken(func(s *cl.Step, old *datasets.Images) {
			s.SetReplay(0, old.Image(0)[1:], old.Labels[0], 1)
		})},
		{"fixed shapes, equal rows and steps", "a row without an image", "row 3 weighs 1 and holds no image of the strategy", func(a *altered) {
			a.beforeStep = func(s *cl.Step) error { // there is no old image yet
				if s.Task == 0 {
					s.Batch.W[s.Row(3)] = 1
				}
				return nil
			}
		}},
		{"fixed shapes, equal rows and steps", "no values in an image", "row 1: value 0 of the image is NaN", mistaken(func(s *cl.Step, old *datasets.Images) {
			s.Batch.X[s.Row(1)*side*side] = float32(math.NaN())
		})},
		{"fixed shapes, equal rows and steps", "a label that is no class", "row 0: the label is 7; need a class (0 … 5), or 6 for none (conform_test.go:", mistaken(func(s *cl.Step, old *datasets.Images) {
			s.SetReplay(0, old.Image(0), 7, 1)
		})},
		{"fixed shapes, equal rows and steps", "a row less", "and 7 weights of a batch of 8 rows", func(a *altered) {
			a.beforeStep = func(s *cl.Step) error { s.Batch.W = s.Batch.W[:7]; return nil }
		}},
		{"fixed shapes, equal rows and steps", "a map that was never made", "assignment to entry in nil map (conform_test.go:", func(a *altered) {
			var seen map[int]bool
			a.endTask = func(task int, _ *datasets.Images) error { seen[task] = true; return nil }
		}},
		{"fixed shapes, equal rows and steps", "another number of steps", "13 steps in a run of 3 tasks of 4", func(a *altered) {
			steps := 0
			a.beforeStep = func(*cl.Step) error { steps++; return nil }
			a.info = func(i cl.Info) cl.Info {
				if steps == Config().StepsPerTask {
					i.Stream = cl.AllTasks
				}
				return i
			}
		}},
		{"seeds repeat", "Begin does not start over", "the same strategy: the network differs; Begin must set back", func(a *altered) {
			steps := 0
			a.beforeStep = func(s *cl.Step) error { steps++; lastWeight(s, float32(steps)/100); return nil }
		}},
		{"seeds repeat", "randomness of its own", "a new strategy in a wrapper: the network differs; draw from Step.RNG", func(a *altered) {
			a.beforeStep = func(s *cl.Step) error { ownRandomness++; lastWeight(s, ownRandomness/100); return nil }
		}},
		{"resumed equals uninterrupted", "forgets what a step changed", "and resumed by a new strategy", func(a *altered) {
			inTask := 0
			a.beforeStep = func(s *cl.Step) error {
				if s.Index == 0 {
					inTask = 0
				}
				inTask++
				lastWeight(s, float32(inTask)/100)
				return nil
			}
		}},
		{"resumed equals uninterrupted", "forgets what a task left", "and resumed by a new strategy", func(a *altered) {
			tasks := 0
			a.endTask = func(int, *datasets.Images) error { tasks++; return nil }
			a.beforeStep = func(s *cl.Step) error { lastWeight(s, float32(tasks)/100); return nil }
		}},
		{"resumed equals uninterrupted", "does not restore", "differs", func(a *altered) {
			a.restore = func([]byte) error { return nil }
		}},
		{"extended equals one run", "counts tasks to come", "goes on with another: the network differs", func(a *altered) {
			a.beforeStep = func(s *cl.Step) error { lastWeight(s, float32(a.setup.Tasks)/100); return nil }
		}},
		{"zero weight is fine-tuning", "a weight that never vanishes", "differs from fine-tuning", func(a *altered) {
			a.beforeStep = func(s *cl.Step) error { lastWeight(s, 1e-3); return nil }
		}},
		{"bounded memory", "a larger buffer", "12 images stored, 11 declared", func(a *altered) { a.Buffer = 12 }},
		{"bounded memory", "stores nothing", "no image stored", func(a *altered) {
			a.stored = func(cl.Stored) cl.Stored { return cl.Stored{} }
		}},
		{"reports what it stores", "too few bytes", "bytes reported", func(a *altered) {
			a.stored = func(s cl.Stored) cl.Stored { s.Bytes /= 2; return s }
		}},
		{"reports what it stores", "silent about its memory", "are reported", func(a *altered) {
			a.stored = func(cl.Stored) cl.Stored { return cl.Stored{} }
		}},
		{"reports what it stores", "reports other labels", "not one of a finished task", func(a *altered) {
			a.stored = func(s cl.Stored) cl.Stored {
				if s.Images != nil && s.Images.N > 0 {
					all := make([]int, s.Images.N)
					for i := range all {
						all[i] = i
					}
					s.Images = s.Images.Select(all)
					s.Images.Labels[0] ^= 1
				}
				return s
			}
		}},
		{"reports what it costs", "calls the network in secret", "extra evaluations reported", func(a *altered) {
			a.endTask = func(_ int, im *datasets.Images) error {
				_, err := r.network.Denoiser(false).Output(make([]float32, side*side), []int32{0}, []int32{0})
				return err
			}
		}},
		{"reports what it costs", "negative memory", "parameters and", func(a *altered) {
			a.stored = func(s cl.Stored) cl.Stored { s.Parameters = -1; return s }
		}},
		{"sees only what it declares", "replays what it hides", "not reported as stored", func(a *altered) {
			a.stored = func(cl.Stored) cl.Stored { return cl.Stored{} }
		}},
		{"sees only what it declares", "old images in fresh rows", "not reported as stored", func(a *altered) {
			var old *datasets.Images
			a.endTask = func(_ int, im *datasets.Images) error { old = im.Select([]int{0, 1, 2, 3, 4, 5, 6, 7}); return nil }
			a.beforeStep = func(s *cl.Step) error {
				if old != nil {
					i := s.RNG.IntN(old.N)
					datasets.Scale(s.Batch.X[:side*side], old.Image(i))
					s.Batch.Y[0] = old.Labels[i]
				}
				return nil
			}
		}},
		{"sees only what it declares", "wrong labels", "its image", func(a *altered) {
			a.beforeStep = func(s *cl.Step) error { s.Batch.Y[0] ^= 1; return nil }
		}},
		{"sees only what it declares", "images of its own making", "image of no task", func(a *altered) {
			a.beforeStep = func(s *cl.Step) error { s.Batch.X[0] = -s.Batch.X[0] / 2; return nil }
		}},
		{"sees only what it declares", "a row more", "left 512 pixels, 8 labels, 8 timesteps and 9 weights", func(a *altered) {
			a.beforeStep = func(s *cl.Step) error { s.Batch.W = append(s.Batch.W, 1); return nil }
		}},
		{"copes with unequal tasks", "chokes on a single image", "no second image", func(a *altered) {
			a.endTask = func(_ int, im *datasets.Images) error {
				if im.N < 2 {
					return errors.New("no second image")
				}
				return nil
			}
		}},
		{"is told of borders only as it says", "starts anew without borders", "starts anew", func(a *altered) {
			a.info = func(i cl.Info) cl.Info { i.Restarts = true; return i }
		}},
		{"is told of borders only as it says", "keeps nothing of a stream", "no image stored", func(a *altered) {
			a.arrive = func(*datasets.Images) error { return a.ER.Begin(a.setup) }
		}},
		{"is told of borders only as it says", "forgets what arrived", "and resumed by a new strategy", func(a *altered) {
			arrived := 0
			a.arrive = func(*datasets.Images) error { arrived++; return nil }
			a.beforeStep = func(s *cl.Step) error { lastWeight(s, float32(arrived)/100); return nil }
		}},
		{"looks at classes only if it says so", "keeps classes in secret", "depends on the classes", func(a *altered) {
			a.info = func(i cl.Info) cl.Info { i.Labels = false; return i }
		}},
		{"is told the task at sampling only if it says so", "does not say so", "does not say so", func(a *altered) {
			a.useTask = func(task int, of cl.Setup) error { return negate(task, of.Network, true) }
		}},
		{"is told the task at sampling only if it says so", "says so for nothing", "the same for all tasks", func(a *altered) {
			a.info = told
		}},
		{"is told the task at sampling only if it says so", "changes its state", "the strategy's state differs", func(a *altered) {
			a.info = told
			a.useTask = func(task int, of cl.Setup) error {
				a.ER.Buffer = 12
				_ = a.ER.EndTask(task, NewBenchmark().Tasks[0].Train)
				return negate(task, of.Network, true)
			}
		}},
		{"is told the task at sampling only if it says so", "changes what the loop does not put back", "the network differs", func(a *altered) {
			a.info = told
			a.useTask = func(_ int, of cl.Setup) error { return of.Network.ResetOptimizer() }
		}},
		{"leaves the tasks alone", "writes into the images", "changed in the run", func(a *altered) {
			a.endTask = func(_ int, im *datasets.Images) error { im.Pixels[100] ^= 1; return nil }
		}},
		{"leaves the tasks alone", "sorts the labels", "changed in the run", func(a *altered) {
			a.endTask = func(_ int, im *datasets.Images) error { im.Labels[0] ^= 1; return nil }
		}},
		{"refuses a wrong state", "takes anything", "were restored", func(a *altered) {
			a.restore = func([]byte) error { return nil }
		}},
	} {
		t.Run(tc.check+"/"+tc.broken, func(t *testing.T) {
			caught[tc.check] = true
			broken := func() cl.Strategy { a := sound(); tc.alter(a); return a }
			o := o
			o.ZeroWeight = func() cl.Strategy { a := sound(); a.Lambda = 0; tc.alter(a); return a }
			for _, c := range checks {
				if c.name != tc.check {
					continue
				}
				if err := c.run(r, broken, o); err == nil {
					t.Error("not caught")
				} else if !strings.Contains(err.Error(), tc.reason) {
					t.Errorf("caught for another reason: %v; want %q", err, tc.reason)
				}
			}
		})
	}
	for _, c := range checks {
		if !caught[c.name] {
			t.Errorf("check %q is not shown to fail on anything", c.name)
		}
	}
}

// ownRandomness stands for a source of randomness that is not the step's.
var ownRandomness float32

// TestSynthetic: rows of no task pass where the strategy declares them.
func TestSynthetic(t *testing.T) {
	r := newRig(t, sound(), "")
	made := func() cl.Strategy {
		a := sound()
		a.beforeStep = func(s *cl.Step) error { s.Batch.X[0] = -s.Batch.X[0] / 2; return nil }
		return a
	}
	if err := seesDeclared(r, made, Options{MaxImages: 11, Synthetic: true}); err != nil {
		t.Error(err)
	}
}

// TestNetworkKeepsOneShape: the network itself refuses a batch of another size once its step is compiled, which is
// what the fixed shapes stand on.
func TestNetworkKeepsOneShape(t *testing.T) {
	r := newRig(t, &cl.Finetune{}, "")
	if _, err := r.run(&cl.Finetune{}, seed); err != nil {
		t.Fatal(err)
	}
	c := Config()
	c.FreshRows++
	l, err := cl.NewLoop(r.network, r.bench, &cl.Finetune{}, c, cl.Setup{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Step(); err == nil {
		t.Error("a batch of 5 rows was accepted after one of 4")
	}
}
