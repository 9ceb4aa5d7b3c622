package cltest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/gomlx/compute"

	"palimpsest/datasets"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
)

// rig runs strategies of one number of replay rows on the suite's benchmark.
type rig struct {
	bench   *datasets.Benchmark
	config  cl.LoopConfig
	rows    int // of a step
	network *diffusion.Network
	initial []byte
	dir     string
	form    string                          // of forms
	backend func() (compute.Backend, error) // the backend of networks not made yet
}

// newRig is for strategies with as many replay rows as s.
func newRig(t testing.TB, s cl.Strategy, form string) *rig {
	t.Helper()
	open := func() (compute.Backend, error) { return backendtest.Open(t), nil }
	if form != "" { // pure Go computes these steps sooner than XLA compiles them
		open = func() (compute.Backend, error) {
			t.Setenv(compute.ConfigEnvVar, "go")
			back, _, err := backend.Open()
			return back, err
		}
	}
	r, err := newRigIn(t.TempDir(), open, s, form)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// newRigIn is newRig with its files in dir.
func newRigIn(dir string, open func() (compute.Backend, error), s cl.Strategy, form string) (*rig, error) {
	r := &rig{form: form, bench: NewBenchmark(), config: Config(), dir: dir, backend: open}
	r.rows = r.config.FreshRows + s.ReplayRows(r.config.ReplayRows)
	return r, r.use(s)
}

// use takes the network that s needs.
func (r *rig) use(s cl.Strategy) (err error) {
	if r.network, err = networkFor(r.backend, r.dir, r.rows, s, r.form); err == nil {
		r.initial = shared.initial[kindOf(r.rows, s, r.form)]
	}
	return err
}

// watch wraps a strategy and shows each step as the strategy leaves it, and what it stores after each task.
type watch struct {
	cl.Strategy
	step    func(s *cl.Step, stored cl.Stored) error
	endTask func(task int) error
	arrive  func(images *datasets.Images) error
	border  func(hook string) // BeginTask, EndTask or Consolidate is called
}

// Foresees is false: a step is shown when its turn comes.
func (w *watch) Foresees() bool { return false }

func (w *watch) BeforeStep(s *cl.Step) error {
	stored := w.Strategy.Stored()
	if err := w.Strategy.BeforeStep(s); err != nil || w.step == nil {
		return err
	}
	return w.step(s, stored)
}

// told shows that the strategy is told of a border.
func (w *watch) told(hook string) {
	if w.border != nil {
		w.border(hook)
	}
}

func (w *watch) BeginTask(task int, train *datasets.Images) error {
	w.told("BeginTask")
	return w.Strategy.BeginTask(task, train)
}

func (w *watch) Consolidate(ctx context.Context, task int, train *datasets.Images) error {
	w.told("Consolidate")
	return w.Strategy.Consolidate(ctx, task, train)
}

func (w *watch) Arrive(images *datasets.Images) error {
	if err := w.Strategy.Arrive(images); err != nil || w.arrive == nil {
		return err
	}
	return w.arrive(images)
}

func (w *watch) EndTask(task int, train *datasets.Images) error {
	w.told("EndTask")
	if err := w.Strategy.EndTask(task, train); err != nil || w.endTask == nil {
		return err
	}
	return w.endTask(task)
}

// point is a run stopped after a number of events, an event being a step or the end of a phase.
type point struct {
	events         int
	network, state []byte
	position       []byte
	where          string // the position in words
}

// open prepares a run from its beginning.
func (r *rig) open(s cl.Strategy, seed uint64) (*cl.Loop, error) {
	if needed := kindOf(r.rows, s, r.form).extra; needed != r.network.Extra() {
		return nil, fmt.Errorf("the strategy needs %+v of a network that has %+v", needed, r.network.Extra())
	}
	if err := load(r.network, r.dir, r.initial); err != nil {
		return nil, err
	}
	return cl.NewLoop(r.network, r.bench, s, r.config, cl.Setup{Seed: seed, Features: Features})
}

// finish does what is left of a run that has had the given number of events. It stops after each of the events listed
// in save, writes a point and goes on. The last point is the end of the run.
func (r *rig) finish(l *cl.Loop, events int, save ...int) ([]point, error) {
	var points []point
	for !l.Done() {
		if slices.Contains(save, events) {
			p, err := r.save(l, events)
			if err != nil {
				return nil, err
			}
			points = append(points, p)
		}
		if l.PhaseDone() {
			if err := l.EndPhase(context.Background()); err != nil {
				return nil, err
			}
		} else if _, err := l.Step(); err != nil {
			return nil, err
		}
		// A strategy can lead the loop astray by changing its stream.
		if events++; events > 10*tasks*(1+Config().StepsPerTask) {
			return nil, fmt.Errorf("the run has not ended after %d events", events)
		}
	}
	end, err := r.save(l, events)
	return append(points, end), err
}

// run is a whole run.
func (r *rig) run(s cl.Strategy, seed uint64, save ...int) ([]point, error) {
	l, err := r.open(s, seed)
	if err != nil {
		return nil, err
	}
	return r.finish(l, 0, save...)
}

// save writes all that a checkpoint holds.
func (r *rig) save(l *cl.Loop, events int) (p point, err error) {
	p.events = events
	if p.network, err = save(l.Network, r.dir); err != nil {
		return p, err
	}
	if p.state, err = l.Strategy.State(); err != nil {
		return p, err
	}
	p.state = slices.Clone(p.state)
	p.where = fmt.Sprintf("after step %d of task %d", l.Position.Step, l.Position.Phase)
	p.position, err = json.Marshal(l.Position)
	return p, err
}

// resume goes on from p, to the end, with a new strategy and a new loop on the network as p's file has it.
func (r *rig) resume(s cl.Strategy, seed uint64, p point) (point, error) {
	l, err := r.open(s, seed)
	if err != nil {
		return point{}, err
	}
	if err := load(l.Network, r.dir, p.network); err != nil {
		return point{}, err
	}
	if err := l.Strategy.Restore(slices.Clone(p.state)); err != nil {
		return point{}, err
	}
	if err := json.Unmarshal(p.position, &l.Position); err != nil {
		return point{}, err
	}
	points, err := r.finish(l, p.events)
	if err != nil {
		return point{}, err
	}
	return points[len(points)-1], nil
}
