package perf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"palimpsest/pkg/results"
)

// fake is a contestant whose calls take as long as it says, without the time passing.
type fake struct {
	t       *testing.T
	track   *track
	name    string
	call    float64 // seconds
	failing error
}

// track is what fakes did.
type track struct {
	started, measured []string
	alive, busy       atomic.Int32
	after             func() // called after each measurement
}

func (f *fake) measure(calls int) (sample, error) {
	if f.track.busy.Add(1) > 1 {
		f.t.Error("two contestants are measured at once")
	}
	defer f.track.busy.Add(-1)
	f.track.measured = append(f.track.measured, f.name)
	if f.track.after != nil {
		f.track.after()
	}
	return sample{Wall: float64(calls) * f.call, CPU: 2 * float64(calls) * f.call, Peak: 100}, f.failing
}

func (f *fake) stop() { f.track.alive.Add(-1) }

// faked is a runner whose contestants are fakes: their calls take the seconds given, and a negative number fails.
func faked(t *testing.T, dir string, calls map[string]float64) (*runner, *track) {
	tr := &track{}
	r := &runner{dir: dir, rounds: 3, most: mostCalls, log: io.Discard, free: func() int64 { return 1 << 40 },
		origin: Sitting{Origin: Origin{Commit: "abc", Machine: results.Machine{CPU: "one", Cores: 2}}}}
	r.start = func(_ context.Context, c Contestant, _ bool) (entrant, ready, error) {
		tr.started = append(tr.started, c.Name)
		if calls[c.Name] < 0 {
			return nil, ready{}, errors.New("no compiler")
		}
		tr.alive.Add(1)
		return &fake{t: t, track: tr, name: c.Name, call: calls[c.Name]}, ready{Parameters: 7, Prepare: 1, Call: calls[c.Name], Peak: 50}, nil
	}
	return r, tr
}

func named(names ...string) (all []Contestant) {
	for _, n := range names {
		all = append(all, Contestant{Name: n})
	}
	return all
}

var stepCase = Case{Name: "c", What: Step, Network: "tiny", Size: 16, Channels: 1, Rows: 32}

func TestContestantsAreMeasuredInTurn(t *testing.T) {
	dir := t.TempDir()
	r, tr := faked(t, dir, map[string]float64{ours: 0.25, torch: 0.5, jax: 30})
	if err := r.race(t.Context(), stepCase, named(ours, torch, jax), torch, 7); err != nil {
		t.Fatal(err)
	}
	// The reference first, then every round begins with the next.
	want := []string{torch, ours, jax, ours, jax, torch, jax, torch, ours}
	if !slices.Equal(tr.measured, want) || !slices.Equal(tr.started, want[:3]) || tr.alive.Load() != 0 {
		t.Errorf("started %v, measured %v, %d still alive; want %v", tr.started, tr.measured, tr.alive.Load(), want)
	}
	got, err := Load(stepCase.path(dir))
	if err != nil {
		t.Fatal(err)
	}
	s, m := got.latest(ours)
	if m == nil || len(m.Wall) != 3 || m.Wall[0] != 0.25 || m.CPU[2] != 0.5 || m.Peak != 100 || m.Parameters != 7 || s.Load != r.origin.Load {
		t.Fatalf("stored %+v", got)
	}
	if q := ratios(s, m); !slices.Equal(q, []float64{2, 2, 2}) {
		t.Errorf("half of PyTorch's time gives ratios %v, want 2", q)
	}
	// Again, there is nothing to do.
	if err := r.race(t.Context(), stepCase, named(ours, torch, jax), torch, 7); err != nil || len(tr.started) != 3 {
		t.Errorf("measured again: %v, %v", tr.started, err)
	}
	// One more is measured beside the reference, and compared with what that did then.
	r2, tr2 := faked(t, dir, map[string]float64{ours: 0.25, torch: 1, torchLast: 0.5})
	if err := r2.race(t.Context(), stepCase, named(ours, torch, torchLast), torch, 7); err != nil {
		t.Fatal(err)
	}
	if want := []string{torch, torchLast}; !slices.Equal(tr2.started, want) {
		t.Errorf("started %v, want %v", tr2.started, want)
	}
	if got, err = Load(stepCase.path(dir)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{ours: 2, torchLast: 2, torch: 1, jax: 0.5 / 30} {
		if s, m := got.latest(name); quantile(ratios(s, m), 0.5) != want {
			t.Errorf("%s: ratios %v, want %g", name, ratios(s, m), want)
		}
	}
}

func TestAnInterruptedSittingGoesOn(t *testing.T) {
	dir := t.TempDir()
	r, tr := faked(t, dir, map[string]float64{ours: 1, torch: 2})
	ctx, cancel := context.WithCancel(t.Context())
	tr.after = func() {
		if len(tr.measured) == 3 { // in the middle of the second round
			cancel()
		}
	}
	all := named(ours, torch)
	if err := r.race(ctx, stepCase, all, torch, 7); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	if got, err := Load(stepCase.path(dir)); err != nil || len(got.Sittings) != 1 || len(got.Sittings[0].Measured[0].Wall) != 1 || len(got.Sittings[0].Measured[1].Wall) != 1 {
		t.Fatalf("interrupted in round 2: stored %+v, %v", got, err)
	}
	r, tr = faked(t, dir, map[string]float64{ours: 3, torch: 3})
	if err := r.race(t.Context(), stepCase, all, torch, 7); err != nil {
		t.Fatal(err)
	}
	got, err := Load(stepCase.path(dir))
	if err != nil {
		t.Fatal(err)
	}
	_, m := got.latest(ours)
	if len(got.Sittings) != 1 || len(tr.measured) != 4 || m == nil || !slices.Equal(m.Wall, []float64{1, 3, 3}) {
		t.Errorf("went on with %v, stored %+v", tr.measured, got)
	}
}

func TestAnotherNetworkIsRefused(t *testing.T) {
	r, tr := faked(t, t.TempDir(), map[string]float64{ours: 1, torch: 1})
	err := r.race(t.Context(), stepCase, named(ours, torch), torch, 8)
	if err == nil || !strings.Contains(err.Error(), "7 parameters, the others' has 8") {
		t.Errorf("7 parameters for 8: %v", err)
	}
	start := r.start
	r.start = func(ctx context.Context, c Contestant, one bool) (entrant, ready, error) {
		e, ready, err := start(ctx, c, one)
		if c.Name == ours {
			ready.Parameters = 9
		}
		return e, ready, err
	}
	if err := r.race(t.Context(), stepCase, named(ours, torch), torch, 0); err == nil || !strings.Contains(err.Error(), "ours has a network of 9") {
		t.Errorf("9 parameters for 7, where none is known beforehand: %v", err)
	}
	r.start = func(context.Context, Contestant, bool) (entrant, ready, error) {
		return nil, ready{}, &otherNetwork{errors.New("outputs differ by 0.1")}
	}
	if err := r.race(t.Context(), stepCase, named(ours, torch), torch, 7); err == nil || !strings.Contains(err.Error(), "differ by 0.1") {
		t.Errorf("another output: %v", err)
	}
	if len(tr.measured) != 0 || tr.alive.Load() != 0 {
		t.Errorf("measured %v, %d still alive", tr.measured, tr.alive.Load())
	}
}

func TestWhoFailsIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	r, tr := faked(t, dir, map[string]float64{ours: 1, torch: 2, torchCompile: -1})
	all := named(ours, torch, torchCompile)
	for range 2 { // a second time, only the failed one is tried
		if err := r.race(t.Context(), stepCase, all, torch, 7); err != nil {
			t.Fatal(err)
		}
	}
	if len(tr.measured) != 6 {
		t.Errorf("measured %v, want three rounds of two", tr.measured)
	}
	got, err := Load(stepCase.path(dir))
	if err != nil {
		t.Fatal(err)
	}
	if f := failures([]*Result{got}); len(got.Sittings) != 2 || len(f) == 0 || !strings.Contains(f[0], "no compiler") {
		t.Errorf("failures %q in %d sittings", f, len(got.Sittings))
	}
	// One that fails later is left out from then on.
	r, tr = faked(t, t.TempDir(), map[string]float64{ours: 1, torch: 2})
	start := r.start
	r.start = func(ctx context.Context, c Contestant, one bool) (entrant, ready, error) {
		e, ready, err := start(ctx, c, one)
		if c.Name == ours {
			e.(*fake).failing = errors.New("killed")
		}
		return e, ready, err
	}
	if err := r.race(t.Context(), stepCase, named(ours, torch), torch, 7); err != nil {
		t.Fatal(err)
	}
	if want := []string{torch, ours, torch, torch}; !slices.Equal(tr.measured, want) || tr.alive.Load() != 0 {
		t.Errorf("measured %v, want %v; %d alive", tr.measured, want, tr.alive.Load())
	}
}

func TestWhereMemoryIsShortSittingsAreSmaller(t *testing.T) {
	dir := t.TempDir()
	r, tr := faked(t, dir, map[string]float64{ours: 1, torch: 2, jax: 3, torchLast: 4})
	r.free = func() int64 { return 50 } // the largest holds 50 already
	if err := r.race(t.Context(), stepCase, named(ours, torch, torchLast, jax), torch, 7); err != nil {
		t.Fatal(err)
	}
	if want := []string{torch, ours, torch, torchLast, torch, jax}; !slices.Equal(tr.started, want) {
		t.Errorf("started %v, want each beside the reference: %v", tr.started, want)
	}
}

func TestMeasurementsOfAnotherProgramAreNotMixed(t *testing.T) {
	dir := t.TempDir()
	r, _ := faked(t, dir, map[string]float64{ours: 1})
	if err := r.race(t.Context(), stepCase, named(ours), torch, 7); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*runner, *Case){
		"commit": func(r *runner, _ *Case) { r.origin.Commit = "def" },
		"CPU":    func(r *runner, _ *Case) { r.origin.Machine.CPU = "two" },
		"cores":  func(r *runner, _ *Case) { r.origin.Machine.Cores = 4 },
		"rows":   func(_ *runner, c *Case) { c.Rows = 16 },
	} {
		r, tr := faked(t, dir, map[string]float64{ours: 1})
		c := stepCase
		change(r, &c)
		if err := r.race(t.Context(), c, named(ours), torch, 7); err == nil || !strings.Contains(err.Error(), "--anew") {
			t.Errorf("another %s: %v", what, err)
		}
		r.dir = t.TempDir()
		if err := r.race(t.Context(), c, named(ours), torch, 7); err != nil || len(tr.started) != 1 {
			t.Errorf("another %s and another folder: %v", what, err)
		}
	}
	r, tr := faked(t, dir, map[string]float64{ours: 2})
	r.origin.Commit, r.anew = "def", true
	if err := r.race(t.Context(), stepCase, named(ours), torch, 7); err != nil || len(tr.measured) != 3 {
		t.Fatal(err)
	}
	if got, err := Load(stepCase.path(dir)); err != nil || len(got.Sittings) != 1 || got.Sittings[0].Commit != "def" {
		t.Errorf("anew: %+v, %v", got, err)
	}
}

// A measurement is of so many calls that it lasts, but of no more than twenty.
func TestCalls(t *testing.T) {
	for call, want := range map[float64]float64{0.3: 4, 2: 1, 1e-4: 20, 0: 20} {
		r, tr := faked(t, t.TempDir(), map[string]float64{ours: call})
		var got float64
		r.rounds = 1
		start := r.start
		r.start = func(ctx context.Context, c Contestant, one bool) (entrant, ready, error) {
			e, ready, err := start(ctx, c, one)
			return measuredCalls{e, &got}, ready, err
		}
		if err := r.race(t.Context(), stepCase, named(ours), torch, 7); err != nil || got != want {
			t.Errorf("%g s a call: %g calls, want %g; %v, %v", call, got, want, err, tr.measured)
		}
	}
}

type measuredCalls struct {
	entrant
	calls *float64
}

func (c measuredCalls) measure(calls int) (sample, error) {
	*c.calls = float64(calls)
	return c.entrant.measure(calls)
}

func TestTables(t *testing.T) {
	if text, err := Markdown(nil, "perf"); err != nil || !strings.Contains(text, "go run . perf --peers") {
		t.Errorf("nothing measured: %q, %v", text, err)
	}
	if _, err := Markdown(nil, "speed"); err == nil {
		t.Error("a table of no such name is made")
	}
	s := Sitting{Rounds: 3, Load: 5, Origin: Origin{Commit: "0123456789abcdef"}, Measured: []Measured{
		{Name: torch, Wall: []float64{0.1, 0.2, 0.4}, CPU: []float64{1, 1, 1}, Peak: 3 << 20, Versions: map[string]string{"torch": "2.15.0"}},
		{Name: ours, Wall: []float64{0.05, 0.1, 0.1}, CPU: []float64{1, 1, 1}, Peak: 2 << 20},
		{Name: jax, Failed: "no room"},
	}}
	one := &Result{Case: stepCase, Sittings: []Sitting{s}}
	growth := &Result{Case: Case{Name: "growth-batch", Grows: "rows of a step", What: Step}}
	for i, name := range []string{"16", "8"} {
		growth.Sittings = append(growth.Sittings, Sitting{Rounds: 1, Measured: []Measured{
			{Name: name, Wall: []float64{0.3 / float64(i+1)}, CPU: []float64{0.5}, Outside: []float64{0.001}, Peak: 7 << 20}}})
	}
	text, err := Markdown([]*Result{growth, one}, "perf")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"**tiny, 16×16×1, all cores**", "| PyTorch | 200.0 [150.0, 300.0] | 1.00 [1.00, 1.00] |",
		"| ours | 100.0 [75.0, 100.0] | 2.00 [2.00, 3.00] |", "NOT COMPARABLE: the machine was not quiet", "no room", "torch 2.15.0", "0123456789ab"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if text, err = Markdown([]*Result{growth, one}, "growth"); err != nil {
		t.Fatal(err)
	}
	eight, sixteen := strings.Index(text, "| 8 rows of a step | 150.0 [150.0, 150.0] |"), strings.Index(text, "| 16 rows of a step | 300.0")
	if eight < 0 || sixteen < eight || strings.Contains(text, "not quiet") {
		t.Errorf("the table of growth is\n%s", text)
	}
}

func TestQuantile(t *testing.T) {
	for q, want := range map[float64]float64{0: 1, 0.25: 1.75, 0.5: 2.5, 1: 4} {
		if got := quantile([]float64{4, 1, 3, 2}, q); got != want {
			t.Errorf("quantile %g of 1 to 4 is %g, want %g", q, got, want)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	all := Defaults()
	all.Networks = append(all.Networks, "ddpm", "dit-S/2")
	if err := all.Validate(); err != nil && canPin {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"--networks":    func(o *Options) { o.Networks = []string{"big"} },
		"--what":        func(o *Options) { o.What = nil },
		"--threads":     func(o *Options) { o.Threads = []string{"2"} },
		"--peers":       func(o *Options) { o.Peers = []string{"tensorflow"} },
		"--rounds":      func(o *Options) { o.Rounds = 0 },
		"--samples":     func(o *Options) { o.Samples = -1 },
		"--sizes":       func(o *Options) { o.Sizes = nil },
		"--growth":      func(o *Options) { o.Growth, o.Peers = true, []string{"jax"} },
		"cannot be hal": func(o *Options) { o.Sizes = []int{17} },
	} {
		o := Defaults()
		o.Threads = []string{"all"}
		change(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, axis := range growthAxes {
		for _, v := range axis.values {
			task, err := taskOf("tiny", 16)
			if err != nil {
				t.Fatal(err)
			}
			task.Growth = &Growth{}
			axis.set(&task, v)
			if err := task.UNet.Validate(); err != nil || task.Growth.Tasks > 127 {
				t.Errorf("%s", fmt.Sprint(axis.name, v, err))
			}
		}
	}
}
