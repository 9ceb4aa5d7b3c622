package experiment

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/results"
)

// shortConfig is a run of two tasks that measures little.
func shortConfig() Config {
	c := smallConfig()
	c.Benchmark.Classes = []int{7, 9, 0, 3}
	c.Loop.StepsPerTask, c.CheckpointEvery = 6, 2
	c.Probe.Every, c.BPD.Images, c.BPD.Variants, c.Autopsy.Images = 0, 0, false, 0
	return c
}

// bareRun is a run at its beginning in the folder dir that can be saved and restored, but not measured.
func bareRun(t *testing.T, back compute.Backend, dir string) *run {
	t.Helper()
	c := shortConfig()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"config.yaml": text, lockFile: nil, holderFile: nil} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bench, err := c.LoadBenchmark()
	if err != nil {
		t.Fatal(err)
	}
	r := &run{config: c, dir: dir, log: new(bytes.Buffer), back: back, measure: new(measurer), state: state{Started: "2026-01-02T03:04:05Z"}}
	if r.home, err = newHome(dir); err != nil {
		t.Fatal(err)
	}
	if r.loop, err = c.newLoop(back, bench, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.close() })
	return r
}

// at puts a run to a step of a phase as if it had trained.
func (r *run) at(phase, step int) *run {
	total := phase*r.loop.PhaseSteps() + step
	r.loop.Position = cl.Position{Phase: phase, Step: step, Total: total, Optimiser: total}
	r.state.Evaluations, r.state.Losses, r.state.LossCount = nil, nil, total
	for i := range phase {
		r.state.Evaluations = append(r.state.Evaluations, results.Evaluation{AfterTask: i, Step: (i + 1) * r.loop.PhaseSteps(), Tasks: make([]results.TaskMetrics, 2)})
	}
	return r
}

// save is saveCheckpoint of a run that must not fail; it returns the checkpoint's folder.
func save(t *testing.T, r *run) string {
	t.Helper()
	if err := r.saveCheckpoint(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(r.dir, "checkpoints", checkpointName(r.loop.Position))
}

// Names have as many digits as they need: order goes by number, whatever their text, and so does what is kept.
func TestCheckpointsAreOrderedByNumber(t *testing.T) {
	dir := t.TempDir()
	want := []string{"phase00-step000000", "phase00-step999999", "phase00-step1000000", "phase00-step1000001", "phase2-step5", "phase02-step000007",
		"phase99-step000003", "phase100-step000000", "phase1000-step000000"}
	for _, name := range append(slices.Clone(want), atomicfile.Unfinished+"1", damaged+"phase99-step999999", "phase01", "phase01-step000002 (copy)", "phase-1-step000001", "phase0-step99999999999999999999") {
		if err := os.MkdirAll(filepath.Join(dir, "checkpoints", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := checkpoints(dir); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v (%v), want %v", got, err, want)
	}
	if err := rotate(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := checkpoints(dir); err != nil || !slices.Equal(got, want[len(want)-kept:]) {
		t.Errorf("kept %v (%v), want %v", got, err, want[len(want)-kept:])
	}
	if left, err := os.ReadDir(filepath.Join(dir, "checkpoints")); err != nil || len(left) != kept+6 {
		t.Errorf("%v (%v); what is no checkpoint is nobody's to remove", left, err)
	}
}

// A state is taken only where a run could have written it. Sums are no part of this: text may be anything.
func TestStatesAreCheckedForSense(t *testing.T) {
	plan := cl.Plan{Steps: []int{10, 10, 10}}
	good := func() *state {
		return &state{Version: stateVersion, Started: "2026-01-02T03:04:05Z", Position: cl.Position{Phase: 1, Step: 4, Total: 14, Optimiser: 14},
			Evaluations: []results.Evaluation{{Step: 10, Tasks: make([]results.TaskMetrics, 1)}}, Losses: []results.LossPoint{{Step: 10, Loss: 1}}, LossCount: 4,
			Stretches: []results.Stretch{{Cores: 2}}}
	}
	read := func(text []byte) error {
		s, err := parseState(text)
		if err == nil {
			err = s.check(plan)
		}
		return err
	}
	for name, change := range map[string]func(*state){
		"":                     func(*state) {},
		"a phase below 0":      func(s *state) { s.Position.Phase = -1 },
		"a phase too many":     func(s *state) { s.Position.Phase = 4 },
		"a step too many":      func(s *state) { s.Position.Step = 11 },
		"another total":        func(s *state) { s.Position.Total = 15 },
		"no measurements":      func(s *state) { s.Evaluations = nil },
		"too many":             func(s *state) { s.Evaluations = append(s.Evaluations, s.Evaluations[0]) },
		"measured elsewhere":   func(s *state) { s.Evaluations[0].Step = 9 },
		"measured task 1":      func(s *state) { s.Evaluations[0].AfterTask = 1 },
		"measured nothing":     func(s *state) { s.Evaluations[0].Tasks = nil },
		"a loss too late":      func(s *state) { s.Losses[0].Step = 15 },
		"losses out of order":  func(s *state) { s.Losses = append(s.Losses, s.Losses[0]) },
		"losses of no steps":   func(s *state) { s.LossCount = 3 },
		"a negative number":    func(s *state) { s.LossCount = -4 },
		"a task below 0":       func(s *state) { s.Losses[0].Task = -1 },
		"no beginning":         func(s *state) { s.Started = "" },
		"a newer program":      func(s *state) { s.Version = apartVersion + 1 },
		"a later stretch":      func(s *state) { s.Stretches[0].FromStep = 15 },
		"fewer cores than any": func(s *state) { s.Stretches[0].Cores = -1 },
	} {
		s := good()
		change(s)
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := read(text); (err == nil) != (name == "") || err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q gives %v", name, err)
		}
	}
	for _, text := range []string{"", "{", "null", "[]", `{"position": {"phase": 1.5}}`, `{"loss_sum": 1e999}`, `{"version": 1e99}`} {
		if err := read([]byte(text)); err == nil {
			t.Errorf("%q is a state", text)
		}
	}
}

// A checkpoint belongs to the settings that it was made with, by what they mean; it is not damaged because others are asked for.
func TestCheckpointsBelongToTheirSettings(t *testing.T) {
	c := shortConfig()
	written := func(c Config) string {
		text, err := yaml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	now := written(c)
	for name, tc := range map[string]struct {
		settings string
		change   func(*Config)
		want     []string // nil: goes on
	}{
		"the same":                  {now, func(*Config) {}, nil},
		"before settings were kept": {"", func(c *Config) { c.Seed++ }, nil},
		"older than a setting":      {strings.Replace(now, "variant: \"\"\n", "", 1), func(*Config) {}, nil},
		"a default written out": {now, func(c *Config) {
			c.Strategy.Settings = map[string]any{"lambda": 0.5, "buffer": 12, "policy": "reservoir", "draw": "uniform"}
		}, nil},
		"free ones": {now, func(c *Config) { c.Name, c.CheckpointEvery, c.Cores = "mine", 7, 3 }, nil},
		"learning rate and seed": {now, func(c *Config) { c.Train.LearningRate, c.Seed = 0.5, 9 },
			[]string{"seed: there 0, here 9", "train.learning_rate: there 0.001, here 0.5", "set them back"}},
		"a later version's": {now + "wings: 2\n", func(*Config) {}, []string{"wings", "newer program"}},
	} {
		d := c
		tc.change(&d)
		err := (&state{Settings: tc.settings}).sameSettings(d)
		if (err == nil) != (tc.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
		for _, part := range tc.want {
			if err != nil && (!strings.Contains(err.Error(), part) || isDamage(err)) {
				t.Errorf("%s: %v does not say %q, or counts as damage (%v)", name, err, part, isDamage(err))
			}
		}
	}
}

// tree is every file below a folder with its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			files[path] = ""
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// sameTree reports a difference between two answers of tree.
func sameTree(t *testing.T, what string, before, after map[string]string) {
	t.Helper()
	for path := range before {
		if _, ok := after[path]; !ok || before[path] != after[path] {
			t.Errorf("%s changed %s", what, path)
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok {
			t.Errorf("%s made %s", what, path)
		}
	}
}

// Whatever is wrong with the newest checkpoint, a reader takes the one before, says so and changes nothing; who goes on with
// the run sets it aside and loses nothing. Where there is none before it, both refuse and leave everything as it is.
func TestDamagedCheckpointIsPassedOver(t *testing.T) {
	back := backendtest.Open(t)
	change := func(file string, f func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, folder string) {
			path := filepath.Join(folder, file)
			data, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, f(data), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(file string) func(*testing.T, string) {
		return func(t *testing.T, folder string) {
			if err := os.RemoveAll(filepath.Join(folder, file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// summed makes a damage one that the sums do not show.
	summed := func(f func(*testing.T, string)) func(*testing.T, string) {
		return func(t *testing.T, folder string) {
			f(t, folder)
			remove(sumsFile)(t, folder)
			if err := writeSums(folder, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(old, new string) func([]byte) []byte {
		return func(text []byte) []byte { return bytes.Replace(text, []byte(old), []byte(new), 1) }
	}
	earlier := func(text []byte) []byte {
		s, err := parseState(text)
		if err != nil {
			t.Fatal(err)
		}
		p := &s.Position
		p.Step, p.Total, p.Optimiser, s.LossCount = p.Step-1, p.Total-1, p.Optimiser-1, s.LossCount-1
		text, err = json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	flip := func(data []byte) []byte { data[len(data)-3] ^= 16; return data }
	half := func(data []byte) []byte { return data[:len(data)/2] }
	a, b := bareRun(t, back, t.TempDir()), bareRun(t, back, t.TempDir())
	for name, damage := range map[string]func(*testing.T, string){
		"a bit of the weights":     change(diffusion.StateFile, flip),
		"half of the weights":      change(diffusion.StateFile, half),
		"half, as it was written":  summed(change(diffusion.StateFile, half)),
		"no weights":               remove(diffusion.StateFile),
		"half of the state":        change(stateFile, half),
		"a measurement less":       change(stateFile, replace(`"evaluations":[{`, `"evaluations":[],"_":[{`)),
		"one less, as written":     summed(change(stateFile, replace(`"evaluations":[{`, `"evaluations":[],"_":[{`))),
		"phase -1, as written":     summed(change(stateFile, replace(`"phase":1`, `"phase":-1`))),
		"another step, as written": summed(change(stateFile, earlier)),
		"no state":                 remove(stateFile),
		"no sums":                  remove(sumsFile),
		"half of the sums":         change(sumsFile, half),
		"sums of nothing":          change(sumsFile, func([]byte) []byte { return nil }),
		"nothing at all":           remove("."),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, r := range []*run{a, b} {
				r.dir = dir
				for name := range map[string]bool{"config.yaml": true, lockFile: true, holderFile: true} {
					if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				var err error
				if r.home, err = newHome(dir); err != nil {
					t.Fatal(err)
				}
			}
			first := save(t, a.at(1, 2))
			last := save(t, a.at(1, 4))
			if name == "nothing at all" {
				if err := os.RemoveAll(last); err != nil {
					t.Fatal(err)
				}
				if err := os.Mkdir(last, 0o755); err != nil {
					t.Fatal(err)
				}
			} else {
				damage(t, last)
			}
			before := tree(t, dir)
			f, err := b.restore()
			if err != nil || f.name != filepath.Base(first) || len(f.passed) != 1 || f.passed[0].name != filepath.Base(last) || b.loop.Position.Step != 2 {
				t.Fatalf("%+v at step %d, %v", f, b.loop.Position.Step, err)
			}
			sameTree(t, "reading", before, tree(t, dir))
			if err := b.setAside(f.passed); err != nil {
				t.Fatal(err)
			}
			aside := filepath.Join(dir, "checkpoints", damaged+filepath.Base(last))
			if _, err := os.Stat(aside); err != nil {
				t.Error(err)
			}
			if said := b.log.(*bytes.Buffer).String(); !strings.Contains(said, aside) {
				t.Errorf("the log does not say where the damaged checkpoint is: %s", said)
			}
			save(t, b.at(1, 4)) // the run comes by again
			damage = map[bool]func(*testing.T, string){true: damage, false: remove(stateFile)}[name != "nothing at all"]
			damage(t, first)
			damage(t, last)
			before = tree(t, dir)
			if f, err := a.restore(); err == nil || !strings.Contains(err.Error(), last) || !strings.Contains(err.Error(), "name another folder") {
				t.Errorf("all are damaged, and yet %+v, %v", f, err)
			}
			sameTree(t, "refusing", before, tree(t, dir))
		})
	}
}

// What the probe measured before a checkpoint must be there when the run goes on; what it measured since is dropped.
//
// What is not as it was measured is set aside with a warning, and the run goes on with a series of its own from there.
func TestProbeMeasurementsAreNotLostUnnoticed(t *testing.T) {
	r := bareRun(t, backendtest.Open(t), t.TempDir())
	r.config.Probe = ProbeConfig{Every: 2, Images: 2, Timesteps: 3}
	measured := func(n int) *dynamics.Series {
		s := dynamics.NewSeries(r.probe)
		for i := range n {
			snapshot := &dynamics.Snapshot{Axes: s.Axes}
			for k := range len(s.Tasks) * len(s.Timesteps) * s.Images {
				snapshot.Rows = append(snapshot.Rows, float64(1+i+k))
			}
			if err := s.Append(dynamics.Checkpoint{Step: 2 * (i + 1)}, snapshot); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	if err := r.openProbe(); err != nil {
		t.Fatal(err)
	}
	r.series = measured(2)
	save(t, r.at(0, 4))
	path := filepath.Join(r.dir, results.DynamicsFile)
	for name, c := range map[string]struct {
		leave func() error
		good  bool
	}{
		"as it was":   {func() error { return measured(2).Save(path) }, true},
		"measured on": {func() error { return measured(3).Save(path) }, true},
		"one less":    {func() error { return measured(1).Save(path) }, false},
		"removed":     {func() error { return os.Remove(path) }, false},
		"cut short":   {func() error { return os.Truncate(path, 20) }, false},
		"emptied":     {func() error { return os.Truncate(path, 0) }, false},
		"changed": {func() error {
			s := measured(2)
			s.Loss[0]++
			return s.Save(path)
		}, false},
	} {
		if err := measured(2).Save(path); err != nil {
			t.Fatal(err)
		}
		if err := c.leave(); err != nil {
			t.Fatal(err)
		}
		r.warnings = nil
		if err := r.openProbe(); err != nil {
			t.Fatal(err)
		}
		_, gone := os.Stat(path)
		if err := r.checkSeries(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		warned := strings.Join(r.warnings, "\n")
		if n := len(r.series.Checkpoints); c.good != (warned == "") || c.good != (n == 2) || !c.good && (n != 0 || !strings.Contains(warned, path+" are lost up to step 4")) {
			t.Errorf("%s: a series of %d measurements, and the warning %q", name, n, warned)
		}
		aside, err := atomicfile.Glob(r.dir, damaged+"*")
		if err != nil || (len(aside) == 1) != (!c.good && gone == nil) {
			t.Errorf("%s: set aside is %v, %v", name, aside, err)
		}
		for _, file := range aside {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A run whose checkpoints were all set aside does not start again as if it were new.
func TestRunWithDamagedCheckpointsAloneIsNoNewRun(t *testing.T) {
	dir := t.TempDir()
	if err := onlyDamaged(dir); err != nil {
		t.Error(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "checkpoints", damaged+"phase00-step000001"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := onlyDamaged(dir); err == nil || !strings.Contains(err.Error(), damaged) {
		t.Errorf("got %v", err)
	}
}

// Readers beside a writer that saves at every step and keeps two checkpoints: none of them fails or sees a damaged one,
// none goes back in time, and none changes what the writer is at.
func TestReadersBesideAWriter(t *testing.T) {
	back := backendtest.Open(t)
	dir := t.TempDir()
	writer := bareRun(t, back, dir)
	writer.config.Loop.StepsPerTask, writer.loop.Config.StepsPerTask = 200, 200
	save(t, writer.at(0, 1))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wait sync.WaitGroup
	reads := make([]int, 2)
	for i := range reads {
		reader := bareRun(t, back, t.TempDir())
		reader.dir, reader.config.Loop.StepsPerTask, reader.loop.Config.StepsPerTask = dir, 200, 200 // it may build its loop anew
		wait.Go(func() {
			for last := 0; ctx.Err() == nil; reads[i]++ {
				f, err := reader.restore()
				if err != nil || f.name == "" || len(f.passed) > 0 || reader.loop.Position.Total < last {
					t.Errorf("after step %d a reader finds %+v at step %d: %v", last, f, reader.loop.Position.Total, err)
					return
				}
				last = reader.loop.Position.Total
			}
		})
	}
	for step := 2; step <= 60 || slices.Min(reads) < 20 && step <= 200; step++ {
		if err := writer.at(0, step).saveCheckpoint(); err != nil {
			t.Errorf("the writer at step %d: %v", step, err)
			break
		}
	}
	stop()
	wait.Wait()
	t.Logf("%v reads beside %d checkpoints", reads, writer.loop.Position.Step)
	if left, err := os.ReadDir(filepath.Join(dir, "checkpoints")); err != nil || len(left) != kept {
		t.Errorf("%v (%v) are left; want %d checkpoints", left, err, kept)
	}
}

// A checkpoint that is written while training goes on holds the moment at which it was asked for; the next waits for it, and so does
// whoever asks whether it was written, who is told why not.
func TestCheckpointsWrittenBehind(t *testing.T) {
	t.Setenv(diffusion.ApartEnv, "1")
	r := bareRun(t, backendtest.Open(t), filepath.Join(t.TempDir(), "run"))
	if err := r.failedBehind(); err != nil || r.written() != nil {
		t.Fatalf("no checkpoint was asked for, and it failed: %v", err)
	}
	n := r.loop.Network
	weights := map[int][]float32{}
	for _, step := range []int{2, 4} {
		w, err := n.Weights(false)
		if err != nil {
			t.Fatal(err)
		}
		weights[step] = w
		if err := r.at(0, step).saveBehind(); err != nil {
			t.Fatal(err)
		}
		if r.writing == nil {
			t.Fatal("the checkpoint was not written behind")
		}
		r.at(0, step+1) // training goes on
		w = slices.Clone(w)
		w[0]++
		if err := n.SetWeights(w, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.written(); err != nil {
		t.Fatal(err)
	}
	names, err := checkpoints(r.dir)
	if err != nil || !slices.Equal(names, []string{"phase00-step000002", "phase00-step000004"}) {
		t.Fatalf("the checkpoints are %v, %v", names, err)
	}
	for i, step := range []int{2, 4} {
		folder := filepath.Join(r.dir, "checkpoints", names[i])
		if err := n.Load(folder); err != nil {
			t.Fatal(err)
		}
		got, err := n.Weights(false)
		if s, failed := readCheckpoint(folder, r.config, r.loop.Plan()); err != nil || failed != nil || s.Position.Step != step || !slices.Equal(got, weights[step]) {
			t.Errorf("%s is not of its moment (%v, %v)", names[i], err, failed)
		}
	}
	if err := os.Remove(filepath.Join(r.dir, configFile)); err != nil {
		t.Fatal(err)
	}
	for _, ask := range []func() error{r.written, r.at(0, 5).saveCheckpoint, r.saveBehind} {
		if err := r.at(0, 5).saveBehind(); err != nil {
			t.Fatal(err)
		}
		if err := ask(); err == nil || !strings.Contains(err.Error(), "nothing more is written") {
			t.Errorf("a checkpoint that could not be written gives %v", err)
		}
		if r.writing != nil {
			t.Error("its error is told twice")
		}
	}
}

// A run folder that is moved, removed or replaced, or whose lock is taken away, ends the run with the reason; nothing comes
// to be where it was, and what was moved is untouched.
func TestNothingIsWrittenWhereTheRunFolderWas(t *testing.T) {
	back := backendtest.Open(t)
	for name, c := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"moved":          {func(dir string) error { return os.Rename(dir, dir+" elsewhere") }, "moved"},
		"removed":        {os.RemoveAll, "removed"},
		"emptied":        {func(dir string) error { return os.Remove(filepath.Join(dir, "config.yaml")) }, "config.yaml"},
		"lock taken off": {func(dir string) error { return os.Remove(filepath.Join(dir, lockFile)) }, lockFile},
		"taken over": {func(dir string) error {
			path := filepath.Join(dir, holderFile)
			if err := os.Rename(path, path+".away"); err != nil { // so that its place on the disk stays taken
				return err
			}
			return os.WriteFile(path, []byte("{}"), 0o644)
		}, holderFile},
		"replaced": {func(dir string) error {
			if err := os.Rename(dir, dir+" elsewhere"); err != nil {
				return err
			}
			return os.CopyFS(dir, os.DirFS(dir+" elsewhere"))
		}, "replaced"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, "run")
			r := bareRun(t, back, dir)
			save(t, r.at(0, 2))
			if err := c.change(dir); err != nil {
				t.Fatal(err)
			}
			before := tree(t, root)
			for what, write := range map[string]func() error{
				"a checkpoint":     r.at(0, 4).saveCheckpoint,
				"tables":           func() error { return r.home.write(func() error { t.Error("writes"); return nil }) },
				"another at a end": r.at(1, 0).saveCheckpoint,
			} {
				if err := write(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "nothing more is written") {
					t.Errorf("writing %s gives %v", what, err)
				}
			}
			sameTree(t, "the run", before, tree(t, root))
		})
	}
}

// Half-written files and folders go when the lock is held, and nothing else does.
func TestUnfinishedIsClearedAway(t *testing.T) {
	dir := t.TempDir()
	stay := []string{"config.yaml", ".lock", "samples/a.png", "checkpoints/phase00-step000001/state.json", "checkpoints/damaged-phase00-step000002/state.json", "mine.tmp", ".mine.tmp"}
	for _, path := range append([]string{".result.json.12.tmp", "samples/.a.png.1.tmp", "checkpoints/.writing-1/state.json", "snapshots/.writing-removed-x/y", ".log.txt.3.tmp"}, stay...) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := clearUnfinished(dir); err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for path := range tree(t, dir) {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			left[strings.TrimPrefix(path, dir+"/")] = true
		}
	}
	if len(left) != len(stay) {
		t.Errorf("left are %v, want %v", left, stay)
	}
	for _, path := range stay {
		if !left[path] {
			t.Errorf("%s is gone", path)
		}
	}
}

// interruption ends a step after a file is there: a run looks at its context once a step, and progress is told too seldom to
// interrupt it at a certain one.
type interruption struct {
	context.Context
	file string
	left int // looks with the file there before the end
}

func (i *interruption) Err() error {
	if _, err := os.Stat(i.file); err == nil {
		if i.left--; i.left < 0 {
			return context.Canceled
		}
	}
	return i.Context.Err()
}

// interrupted makes the run c in the folder dir up to a step after its checkpoint of the first task's given step, which may be written
// while training goes on, and returns the name and the step of its newest checkpoint.
func interrupted(t *testing.T, c Config, dir string, opt Options, step int) (newest string, total int) {
	t.Helper()
	ctx := &interruption{t.Context(), filepath.Join(dir, "checkpoints", checkpointName(cl.Position{Step: step})), 1}
	if _, err := Run(ctx, c, dir, opt); !errors.Is(err, context.Canceled) {
		t.Fatalf("the run ended with %v; want it interrupted", err)
	}
	names, err := checkpoints(dir)
	if err != nil || len(names) != kept {
		t.Fatal(names, err)
	}
	newest = names[len(names)-1]
	s, err := readState(filepath.Join(dir, "checkpoints", newest))
	if err != nil {
		t.Fatal(err)
	}
	return newest, s.Position.Total
}

// One interrupted run is taken up in every way that must not change its numbers, and in those that must be refused. It is
// begun by a process that is kept to one core from outside and goes on in one that may use all, so that what it is compared
// with is a run that asks for one core. It begins as on a device apart from the processor, and so goes on where an earlier version
// began it.
func TestRunGoesOnAsItBegan(t *testing.T) {
	back := backendtest.Open(t)
	root, c := t.TempDir(), shortConfig()
	begun := filepath.Join(root, "begun")
	opt := Options{Backend: back, Choice: backend.Choice{Name: "user", Config: "one"}}
	_, release, err := backend.UseCores(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(diffusion.ApartEnv, "1")
	newest, total := interrupted(t, c, begun, opt, 4)
	t.Setenv(diffusion.ApartEnv, "0")
	release()
	one := c
	one.Cores = 1
	want, err := Run(t.Context(), one, filepath.Join(root, "whole"), opt)
	if err != nil {
		t.Fatal(err)
	}
	numbers := func(r *results.Run) string {
		text, err := json.Marshal([]any{r.Evaluations, r.Losses})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	weights := func(dir string) string {
		names, err := checkpoints(dir)
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		sum, err := atomicfile.SHA256(filepath.Join(dir, "checkpoints", names[len(names)-1], diffusion.StateFile))
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	if s := want.Provenance.Stretches; len(s) != 1 || s[0].FromStep != 0 || s[0].Cores != 1 || want.Provenance.Machine.Cores != 1 || want.Provenance.ImagesSHA256 == "" {
		t.Errorf("an uninterrupted run of one core has the provenance %+v", want.Provenance)
	}
	// edit changes the state of all of a run's checkpoints, sums included.
	edit := func(t *testing.T, dir string, change func(map[string]any), sums bool) {
		names, err := checkpoints(dir)
		if err != nil || len(names) != kept {
			t.Fatal(names, err)
		}
		for _, name := range names {
			folder := filepath.Join(dir, "checkpoints", name)
			s := map[string]any{}
			text, err := os.ReadFile(filepath.Join(folder, stateFile))
			if err == nil {
				err = json.Unmarshal(text, &s)
			}
			change(s)
			if err == nil {
				text, err = json.Marshal(s)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(folder, stateFile), text, 0o644)
			}
			if err == nil {
				err = os.Remove(filepath.Join(folder, sumsFile))
			}
			if err == nil && sums {
				err = writeSums(folder, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tc := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
		choice  string
		says    []string // in the log
		refused []string // in the error
		first   int      // the step of the first recorded stretch; more than 0: an earlier version began the run
	}{
		{name: "its newest checkpoint damaged, on another backend", choice: "two", says: []string{"is damaged", damaged + newest, "backend two, before: one", "1 core"},
			prepare: func(t *testing.T, dir string) {
				path := filepath.Join(dir, "checkpoints", newest, diffusion.StateFile)
				data, err := os.ReadFile(path)
				if err == nil {
					data[len(data)/2] ^= 1
					err = os.WriteFile(path, data, 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}},
		{name: "from an earlier version", choice: "one", says: []string{"an earlier version"}, first: total,
			prepare: func(t *testing.T, dir string) {
				edit(t, dir, func(s map[string]any) {
					for _, key := range []string{"version", "images_sha256", "extractor_sha256", "stretches"} {
						delete(s, key)
					}
				}, false)
			}},
		{name: "on other images", choice: "one", refused: []string{"abc123", want.Provenance.ImagesSHA256, "other images"},
			prepare: func(t *testing.T, dir string) {
				edit(t, dir, func(s map[string]any) { s["images_sha256"] = "abc123" }, true)
			}},
		{name: "measured by another network", choice: "one", refused: []string{"def456", want.Protocol.ExtractorSHA256},
			prepare: func(t *testing.T, dir string) {
				edit(t, dir, func(s map[string]any) { s["extractor_sha256"] = "def456" }, true)
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(root, tc.name)
			if err := os.CopyFS(dir, os.DirFS(begun)); err != nil {
				t.Fatal(err)
			}
			tc.prepare(t, dir)
			var log bytes.Buffer
			o := opt
			o.Log, o.Choice.Config = &log, tc.choice
			if tc.first > 0 {
				t.Setenv(diffusion.ApartEnv, "1")
				_, release, err := backend.UseCores(1) // nothing tells how many an earlier version had
				if err != nil {
					t.Fatal(err)
				}
				defer release()
			}
			got, err := Run(t.Context(), c, dir, o)
			if tc.refused != nil {
				for _, part := range tc.refused {
					if err == nil || !strings.Contains(err.Error(), part) {
						t.Errorf("got %v; want an error that says %q", err, part)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if numbers(got) != numbers(want) || weights(dir) != weights(filepath.Join(root, "whole")) {
				t.Error("other numbers or weights than those of an uninterrupted run")
			}
			for _, part := range tc.says {
				if !strings.Contains(log.String(), part) {
					t.Errorf("nothing says %q:\n%s", part, log.String())
				}
			}
			stretches := got.Provenance.Stretches
			if last := stretches[len(stretches)-1]; stretches[0].FromStep != tc.first || last.FromStep < 4 || last.Cores != 1 || last.Backend != tc.choice {
				t.Errorf("stretches %+v", stretches)
			}
			if b := got.Provenance.Machine.Backend; tc.choice == "two" && b != "one, then two" {
				t.Errorf("the machine's backend is %q", b)
			}
		})
	}
}

// Everything that can change the last digits is told, and only that.
func TestDifferencesOfStretches(t *testing.T) {
	a := results.Stretch{Backend: "xla:x.so", PluginSHA256: "1", Cores: 1, Arch: "amd64", CPU: "Z80", Commit: "abc", Go: "go1.26", Environment: map[string]string{"XLA_FLAGS": "--a", "XLA_X": "1"}}
	b := a
	b.FromStep = 10
	if d := differencesOf(a, b); len(d) != 0 {
		t.Errorf("equal stretches differ in %q", d)
	}
	b.Backend, b.PluginSHA256, b.Cores, b.Devices, b.CPU, b.Environment = "go", "", 2, 4, "Z8000", map[string]string{"XLA_FLAGS": "--b"}
	want := []string{"backend go, before: xla:x.so", "cores 2, before: 1", "devices 4, before: 1", "processor Z8000, before: Z80", "XLA_FLAGS --b, before: --a", "XLA_X none, before: 1"}
	if d := differencesOf(a, b); fmt.Sprint(d) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", d, want)
	}
	b = a
	b.Dirty, b.PluginSHA256 = true, "2"
	want = []string{"plugin 2, before: 1", "program a changed copy of abc built by go1.26, before: abc built by go1.26"}
	if d := differencesOf(a, b); fmt.Sprint(d) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", d, want)
	}
	b = a
	b.Commit, b.Dirty = "unknown", true
	if d := differencesOf(a, b); len(d) != 0 {
		t.Errorf("of an unknown program it says %q", d)
	}
}

func TestXLAEnvironment(t *testing.T) {
	t.Setenv("XLA_FLAGS", "--xla_x=1 --xla_gpu_cuda_data_dir=/home/me/cuda")
	t.Setenv("XLA_EMPTY", "")
	if got := xlaEnvironment(); got["XLA_FLAGS"] != "--xla_x=1" || got["XLA_EMPTY"] != "" || got["PATH"] != "" {
		t.Errorf("%v", got)
	}
}

// Sums are read as `sha256sum` writes them; anything else is damage.
func TestSumsAreReadAsWritten(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a"), []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeSums(folder, nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, sumsFile))
	// FIPS 180-2, appendix B.1.
	if want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n"; err != nil || string(text) != want {
		t.Errorf("%q (%v), want %q", text, err, want)
	}
	if found, err := checkSums(folder); !found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
	for _, bad := range []string{"", "\n", string(text[1:]), strings.Replace(string(text), "  a", "  ../a", 1), strings.Replace(string(text), "  a", "  ", 1),
		strings.Replace(string(text), "  a", " a", 1), strings.Repeat("x", 1<<20)} {
		if sums, err := parseSums([]byte(bad)); err == nil {
			t.Errorf("%.60q gives %v", bad, sums)
		}
	}
}
