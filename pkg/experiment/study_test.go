package experiment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gopkg.in/yaml.v3"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/likelihood"
	"palimpsest/pkg/results/resultstest"
)

// smallStudy is two runs of a second or two each.
func smallStudy(dir string) Study {
	c := smallConfig()
	c.Benchmark.Classes, c.Loop.StepsPerTask, c.CheckpointEvery = []int{7, 9, 0, 3}, 6, 3
	c.Probe, c.BPD, c.Autopsy = ProbeConfig{}, BPDConfig{}, AutopsyConfig{} // programs that each number of cores compiles anew
	other := c
	other.Strategy = cl.Spec{Name: "finetune"}
	return Study{Dir: dir, Runs: []Config{c, other}}
}

// A study runs in processes of its own, tries a run that died once more, gives the results in order, and does not
// repeat what is finished.
func TestStudyInProcesses(t *testing.T) {
	t.Setenv(childEnv, "last argument")
	s := smallStudy(t.TempDir())
	var log bytes.Buffer
	var spawned, died atomic.Int32
	processes := Processes(2, os.Args[0])
	opt := StudyOptions{Workers: 2, Log: &log, Command: "test", Spawn: func(ctx context.Context, dir string, w int, out io.Writer) error {
		if spawned.Add(1); strings.Contains(dir, "finetune") && died.Add(1) == 1 {
			return errors.New("struck by lightning")
		}
		return processes(ctx, dir, w, out)
	}}
	last := StudyProgress{}
	opt.Progress = func(p StudyProgress) { last = p }
	runs, err := s.Do(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if len(runs) != 2 || runs[0].Strategy.Name != "er" || runs[1].Strategy.Name != "finetune" {
		t.Fatalf("got %d runs in another order than asked for", len(runs))
	}
	if n := spawned.Load(); n != 3 {
		t.Errorf("%d processes for two runs one of which died once; want 3", n)
	}
	if !strings.Contains(log.String(), "struck by lightning") {
		t.Errorf("the log does not tell of the death: %s", log.String())
	}
	if last.Done != 2 || last.Fraction != 1 {
		t.Errorf("the last progress is %+v; want 2 runs done", last)
	}
	for _, e := range runs[0].Evaluations {
		if _, err := os.Stat(filepath.Join(s.Dir, runs[0].Name, e.Sheet)); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Do(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	if n := spawned.Load(); n != 3 {
		t.Errorf("a finished study started %d more processes", n-3)
	}
}

// The network of a finished run draws images and measures likelihoods, and the estimate of a bound agrees with the whole.
func TestTrained(t *testing.T) {
	t.Setenv(childEnv, "")
	s := smallStudy(t.TempDir())
	back := backendtest.Open(t)
	dir := filepath.Join(s.Dir, s.Runs[0].RunName())
	if _, err := OpenTrained(back, dir); err == nil || !strings.Contains(err.Error(), "there is no folder "+dir) {
		t.Errorf("no folder gives %v", err)
	}
	if _, err := OpenTrained(back, s.Dir); err == nil || !strings.Contains(err.Error(), "no run folder") {
		t.Errorf("a folder without a run gives %v", err)
	}
	if _, err := Run(t.Context(), s.Runs[0], dir, Options{Backend: back}); err != nil {
		t.Fatal(err)
	}
	trained, err := OpenTrained(back, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer trained.Close()
	sampler := s.Runs[0].Evaluate.Sampler
	a, err := trained.Draw(t.Context(), []int{9, 7}, 3, sampler, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := 2 * 3 * 16 * 16; len(a.Images) != want || !slices.Equal(a.Labels, []int{9, 9, 9, 7, 7, 7}) || a.Note != "" {
		t.Errorf("%d values for six images of 16×16, want %d; labels %v, note %q", len(a.Images), want, a.Labels, a.Note)
	}
	// A class that the run has no task for is drawn, and said to be none of its own.
	if never, err := trained.Draw(t.Context(), []int{9, 2}, 1, sampler, 0); err != nil || !strings.Contains(never.Note, "not learned: class 2 (Pullover); at step 12 of 12 the network has learned the classes") {
		t.Errorf("a class that was never learned: %+v (%v)", never, err)
	}
	// So is one whose task is still to come.
	early := *trained
	early.Position = cl.Position{Phase: 0, Step: 3, Total: 3}
	first := trained.Benchmark.Tasks[0].Classes
	if learned := early.Learned(); !slices.Equal(learned, first) {
		t.Errorf("in the first task %v are learned, want %v", learned, first)
	}
	for position, want := range map[cl.Position]int{{}: 0, {Phase: 1, Total: 24}: 1, {Phase: 1, Step: 1, Total: 25}: 2, {Phase: 2, Total: 48}: 2} {
		early.Position = position
		if learned := early.Learned(); len(learned) != want*len(first) {
			t.Errorf("at %+v %v are learned; want those of %d tasks", position, learned, want)
		}
	}
	guided := func(guidance float64) error {
		b := trained.Benchmark
		_, err := trained.Denoiser(guidance).Output(make([]float32, b.H*b.W*b.C), []int32{0}, []int32{9})
		return err
	}
	for what, bad := range map[string]struct {
		try  func() error
		want string
	}{
		"a class beyond all":       {func() error { _, err := trained.Draw(t.Context(), []int{10}, 1, sampler, 0); return err }, "class 10; need 0 to 9"},
		"its number":               {func() error { _, err := trained.Classes([]string{"9", "10"}); return err }, "class 10; need 0 to 9"},
		"a negative one":           {func() error { _, err := trained.Classes([]string{"-1"}); return err }, "class -1; need 0 to 9"},
		"no images":                {func() error { _, err := trained.Draw(t.Context(), nil, 0, sampler, 0); return err }, "0 images of each class"},
		"guidance without dropout": {func() error { _, err := trained.Draw(t.Context(), nil, 1, sampler, 2); return err }, "guidance is 2"},
		"infinite guidance":        {func() error { _, err := trained.Draw(t.Context(), nil, 1, sampler, math.Inf(1)); return err }, "guidance is +Inf"},
		"a denoiser guided by NaN": {func() error { return guided(math.NaN()) }, "guidance is NaN"},
		"by less than nothing":     {func() error { return guided(-1) }, "guidance is -1"},
		"by what it cannot":        {func() error { return guided(1) }, "loop.label_dropout"},
		"too many terms": {func() error {
			_, err := trained.BPD(t.Context(), "", BPDOptions{Images: 1, Batch: 4, Terms: 1001})
			return err
		}, "1001 timesteps an image (terms)"},
		"the ODE beside an estimate": {func() error {
			_, err := trained.BPD(t.Context(), "", BPDOptions{Images: 1, Batch: 4, Terms: 3, ODE: 1})
			return err
		}, "with 0 timesteps an image (terms)"},
		"no backend": {func() error { _, err := OpenTrained(nil, dir); return err }, "no backend"},
	} {
		if err := bad.try(); err == nil || !strings.Contains(err.Error(), bad.want) || strings.Contains(err.Error(), "--") {
			t.Errorf("%s: %v; want an error with %q, and no option of the command line", what, err, bad.want)
		}
	}
	whole, err := trained.BPD(t.Context(), dir, BPDOptions{Images: 6, Batch: 64})
	if err != nil {
		t.Fatal(err)
	}
	// The ODE has a compiled graph of its own, which is closed afterwards: the network is not.
	byODE, err := trained.BPD(t.Context(), "", BPDOptions{Images: 2, Batch: 64, ODE: 1})
	if err != nil {
		t.Fatal(err)
	}
	if byODE[0].ODEImages != 1 || !(byODE[0].ODEBPD > 0) {
		t.Errorf("the likelihood by the ODE is %+v", byODE[0])
	}
	if again, err := trained.Draw(t.Context(), []int{9, 7}, 3, sampler, 0); err != nil || !slices.Equal(again.Images, a.Images) {
		t.Errorf("after the ODE the network draws other images, or none (%v)", err)
	}
	estimate, err := trained.BPD(t.Context(), "", BPDOptions{Images: 6, Batch: 64, Terms: 25})
	if err != nil {
		t.Fatal(err)
	}
	for k, w := range whole {
		// Half of the 50 terms, stratified: 5 standard errors hold but for one run in a million.
		if diff := math.Abs(w.BPD - estimate[k].BPD); !(diff <= 5*estimate[k].SE) || !(w.BPD > 0) {
			t.Errorf("task %d: the whole bound is %g bits, its estimate %g ± %g", k, w.BPD, estimate[k].BPD, estimate[k].SE)
		}
		if sum := w.Parts.PriorBPD + w.Parts.DiffuseBPD + w.Parts.DecoderBPD; math.Abs(sum-w.BPD) > 1e-9*w.BPD {
			t.Errorf("task %d: the parts sum to %g, the bound is %g", k, sum, w.BPD)
		}
		if _, err := likelihood.Load(filepath.Join(dir, "likelihood", fmt.Sprintf("task_%d.safetensors", k))); err != nil {
			t.Error(err)
		}
	}
}

// A run that fails ends the study with the reason its process gave.
func TestStudyTellsWhyARunFailed(t *testing.T) {
	t.Setenv(childEnv, "last argument")
	s := smallStudy(t.TempDir())
	folder := filepath.Join(s.Dir, s.Runs[0].RunName())
	storedConfig(t, folder, s.Runs[0])
	begun(t, folder)
	s.Runs = s.Runs[:1]
	_, err := s.Do(t.Context(), StudyOptions{Workers: 1, Spawn: Processes(1, os.Args[0])})
	if err == nil || !strings.Contains(err.Error(), s.Runs[0].RunName()) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v; want an error that names the run and the damaged checkpoint", err)
	}
}

func TestStudyRefusesTwoRunsOfOneName(t *testing.T) {
	s := smallStudy(t.TempDir())
	s.Runs[1] = s.Runs[0]
	if _, err := s.Do(t.Context(), StudyOptions{}); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("got %v", err)
	}
}

// What a strategy cannot begin with is told before any folder is claimed, of every run; a study found sound is not looked at
// again.
func TestStudyChecksStrategies(t *testing.T) {
	s := smallStudy(filepath.Join(t.TempDir(), "study"))
	s.Runs[1].Strategy = cl.Spec{Name: "gr", Settings: map[string]any{"sampler_steps": s.Runs[1].Diffusion.T + 1}}
	want := fmt.Sprintf("but the process has %d timesteps", s.Runs[1].Diffusion.T)
	if _, err := s.Do(t.Context(), StudyOptions{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), s.Runs[1].RunName()) {
		t.Errorf("got %v, want %q", err, want)
	}
	if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("the folder of the study was made: %v", err)
	}
	s = smallStudy(s.Dir)
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	s.Runs[1].Evaluate.Extractor = "no such file"
	if err := s.Check(); err != nil {
		t.Errorf("a sound study was looked at again: %v", err)
	}
}

// A run, begun or finished, is still that of its images when their folder was moved, which a line says; of other images in another
// place it is not.
func TestMovedImages(t *testing.T) {
	set, moved, other := filepath.Join(t.TempDir(), "mine"), filepath.Join(t.TempDir(), "moved"), filepath.Join(t.TempDir(), "other")
	pictureFolder(t, set, 30, "red", "green", "blue", "grey")
	pictureFolder(t, other, 31, "red", "green", "blue", "grey")
	c := smallConfig()
	c.Benchmark.Datasets, c.Benchmark.ClassOrder, c.Benchmark.Classes = []string{set}, "natural", nil
	c.Evaluate.AllowSmallN = true
	bench, err := c.LoadBenchmark()
	if err != nil {
		t.Fatal(err)
	}
	saw, err := bench.ContentHash()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(set, moved); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"begun", "finished"} {
		s := Study{Dir: t.TempDir(), Runs: []Config{c}}
		dir := filepath.Join(s.Dir, c.RunName())
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		storedConfig(t, dir, c)
		if what == "finished" {
			r := resultstest.NewRun("er", "er", 0, 2)
			r.Provenance.ImagesSHA256 = saw
			err = r.Save(filepath.Join(dir, "result.json"))
		} else {
			begun(t, dir)
			err = os.WriteFile(filepath.Join(dir, "checkpoints", "phase00-step000003", stateFile), []byte(`{"version": 1, "started": "2026-01-02T03:04:05Z", "images_sha256": "`+saw+`"}`), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := StoredConfig(dir); err == nil || !strings.Contains(err.Error(), set) || !strings.Contains(err.Error(), "if it was moved") {
			t.Errorf("%s, where nothing is any more: %v", what, err)
		}
		there := c
		there.Benchmark.Datasets = []string{other}
		if err := (&Study{Dir: s.Dir, Runs: []Config{there}}).Check(); err == nil || !strings.Contains(err.Error(), saw) {
			t.Errorf("%s, other images: %v", what, err)
		}
		there.Benchmark.Datasets = []string{moved}
		s.Runs = []Config{there}
		if err := s.Check(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var log strings.Builder
		if _, err := s.claim(&log); err != nil || !strings.Contains(log.String(), set+", are now read from "+moved) {
			t.Errorf("%s: %v, said %q", what, err, log.String())
		}
		if now, err := StoredConfig(dir); err != nil || now.Benchmark.Datasets[0] != moved {
			t.Errorf("%s: stored %v, %v", what, now.Benchmark.Datasets, err)
		}
		text, err := yaml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := (&state{Settings: string(text)}).sameSettings(there); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A finished run that saw other images than there are now is refused before any other is begun, by both hashes. One of the same
// images and one that does not say are read as they are.
func TestStudyRefusesFinishedRunsOfOtherImages(t *testing.T) {
	set := filepath.Join(t.TempDir(), "mine")
	pictureFolder(t, set, 12, "red", "green", "blue", "grey")
	c := smallConfig()
	c.Benchmark.Datasets, c.Benchmark.ClassOrder, c.Benchmark.Classes = []string{set}, "natural", nil
	bench, err := c.LoadBenchmark()
	if err != nil {
		t.Fatal(err)
	}
	now, err := bench.ContentHash()
	if err != nil {
		t.Fatal(err)
	}
	finished := func(saw string, c Config) Study {
		s := Study{Dir: t.TempDir(), Runs: []Config{c}}
		dir := filepath.Join(s.Dir, c.RunName())
		text, err := yaml.Marshal(c)
		if err == nil {
			err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, configFile), text, 0o644))
		}
		r := resultstest.NewRun("er", "er", 0, 2)
		r.Provenance.ImagesSHA256 = saw
		if err = errors.Join(err, r.Save(filepath.Join(dir, "result.json"))); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for what, s := range map[string]Study{"the same images": finished(now, c), "no hash": finished("", c)} {
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	s := finished("abc123", c)
	other := c
	other.Strategy = cl.Spec{Name: "finetune"}
	s.Runs = append([]Config{other}, s.Runs...)
	_, err = s.Do(t.Context(), StudyOptions{})
	if err == nil || ExitCode(err) != ExitFailed {
		t.Fatalf("other images: %v", err)
	}
	for _, want := range []string{filepath.Join(s.Dir, c.RunName()), "abc123", now, set, "name another folder"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
	if _, err := os.Stat(filepath.Join(s.Dir, other.RunName())); !os.IsNotExist(err) {
		t.Errorf("the folder of the new run was made: %v", err)
	}
}
