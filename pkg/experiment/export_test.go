package experiment

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"gopkg.in/yaml.v3"

	"palimpsest/datasets"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/models"
	"palimpsest/pkg/results"
	"palimpsest/pkg/safetensors"
	"palimpsest/pkg/tensorboard"
	"palimpsest/pkg/unet"
)

// pureGo opens the backend that compiles nothing, with a cache folder of the test's own.
func pureGo(t *testing.T) (compute.Backend, backend.Choice) {
	t.Helper()
	t.Setenv(backend.CacheEnv, t.TempDir())
	t.Setenv(compute.ConfigEnvVar, "go")
	back, choice, err := backend.Open()
	if err != nil {
		t.Fatal(err)
	}
	return back, choice
}

// tensorsIn reads the tensors of a file whose names begin with prefix.
func tensorsIn(t *testing.T, path, prefix string) map[string][]float32 {
	t.Helper()
	all, err := safetensors.ReadFilePart(path, prefix)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]float32{}
	for name, v := range all {
		values[name] = tensors.MustCopyFlatData[float32](v)
	}
	return values
}

func sameWeights(t *testing.T, what string, got, want map[string][]float32) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%s: %d weights, want %d", what, len(got), len(want))
	}
	for name, values := range want {
		if !slices.Equal(got[name], values) {
			t.Errorf("%s: %s differs", what, name)
		}
	}
}

// savedWeights are the weights of a network, trained or averaged.
func savedWeights(t *testing.T, n *diffusion.Network, prefix string) map[string][]float32 {
	t.Helper()
	dir := t.TempDir()
	if err := n.Save(dir); err != nil {
		t.Fatal(err)
	}
	return tensorsIn(t, filepath.Join(dir, diffusion.StateFile), prefix)
}

func tinyRun() Config {
	c := smallConfig()
	c.Benchmark.Classes, c.Benchmark.ValFraction = []int{7, 9, 0, 3}, 0.9 // few images, to be quick
	c.Network.Base, c.Network.Mults = 8, []int{1, 2}
	c.Loop.StepsPerTask, c.Loop.LabelDropout = 3, 0.2
	c.Evaluate.SamplesPerTask, c.Evaluate.Batch, c.Evaluate.AllowSmallN = 8, 8, true
	c.Probe, c.BPD, c.Autopsy, c.CheckpointEvery = ProbeConfig{}, BPDConfig{}, AutopsyConfig{}, 2
	return c
}

// A run's averaged weights go out bit for bit, with a card; what is in the way is refused; and imported again they are what
// another run begins with, whenever it begins.
func TestModelGoesOutAndComesIn(t *testing.T) {
	back, choice := pureGo(t)
	c, dir := tinyRun(), filepath.Join(t.TempDir(), "run")
	c.KeepNetworks = true
	opt := Options{Backend: back, Choice: choice, Command: "the test"}
	if _, err := Run(t.Context(), c, dir, opt); err != nil {
		t.Fatal(err)
	}
	newest := ExportOptions{Format: FormatDiffusers, Task: -1, Command: "the export"}
	checkEvents(t, dir)
	to := filepath.Join(t.TempDir(), "models", "fashion")
	if err := Export(dir, to, newest); err != nil {
		t.Fatal(err)
	}
	names, err := checkpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	averaged := tensorsIn(t, filepath.Join(dir, "checkpoints", names[len(names)-1], diffusion.StateFile), "ema/")
	m, notes, err := diffusers.Read(to, diffusers.Options{})
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	sameWeights(t, "the export", m.Weights, averaged)
	card, err := os.ReadFile(filepath.Join(to, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"MIT (c) 2017 Zalando SE", "experience replay", "FID now", "10: no label", "UNet2DModel.from_pretrained", "class_labels=labels",
		"steps_per_task: 3", "the export", "Left to the author", "samples.png", "7: Sneaker", "1: Trouser (not learned", "| 1: "} {
		if !strings.Contains(string(card), want) {
			t.Errorf("the card lacks %q", want)
		}
	}
	earlier := filepath.Join(t.TempDir(), "after the first task.safetensors")
	if err := Export(dir, earlier, ExportOptions{Format: FormatSafetensors, Task: 0}); err != nil {
		t.Fatal(err)
	}
	sameWeights(t, "the first task's", tensorsIn(t, earlier, ""), tensorsIn(t, filepath.Join(snapshotFolder(dir, 0), diffusion.StateFile), "ema/"))
	sameWeights(t, "the last task's", tensorsIn(t, filepath.Join(snapshotFolder(dir, 1), diffusion.StateFile), "ema/"), averaged)
	keptNetworkGoesOut(t, dir, averaged)
	if err := os.RemoveAll(filepath.Join(dir, "snapshots")); err != nil {
		t.Fatal(err)
	}
	for what, o := range map[string]ExportOptions{
		"is there already": newest, "tasks 0 to 1": {Format: FormatDiffusers, Task: 2, Overwrite: true}, "keep_networks=true": {Format: FormatDiffusers, Task: 0, Overwrite: true},
		"choose": {Format: "onnx", Task: -1}, ".safetensors": {Format: FormatSafetensors, Task: -1},
	} {
		if err := Export(dir, to, o); err == nil || !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v gives %v; need one line with %q", o, err, what)
		}
	}
	if err := Export(dir, dir, ExportOptions{Format: FormatDiffusers, Task: -1, Overwrite: true}); err == nil || !strings.Contains(err.Error(), "outside it") {
		t.Errorf("a run folder is overwritten: %v", err)
	}
	if err := Export(dir, "", newest); err == nil || !strings.Contains(err.Error(), "no name") {
		t.Errorf("an export without a name: %v", err)
	}
	raw := ExportOptions{Format: FormatDiffusers, Task: 1, Raw: true, Overwrite: true}
	if err := Export(dir, to, raw); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "w.safetensors")
	if err := Export(dir, file, ExportOptions{Format: FormatSafetensors, Task: -1}); err != nil {
		t.Fatal(err)
	}
	sameWeights(t, "the plain weights", tensorsIn(t, file, ""), averaged)

	info, err := models.Put("mine", to, m, false)
	if err != nil {
		t.Fatal(err)
	}
	next, err := OverrideConfig("the test", nil, []string{"network.init=mine", "benchmark.class_order=given", "benchmark.classes=[7, 9, 0, 3]", "benchmark.val_fraction=0.9",
		"loop.steps_per_task=3", "loop.fresh_rows=4", "evaluate.samples_per_task=8", "evaluate.batch=8", "evaluate.allow_small_n=true", "evaluate.sampler.steps=2"})
	if err != nil {
		t.Fatal(err)
	}
	if next.Diffusion != c.Diffusion {
		t.Errorf("the process is %+v, the model's %+v", next.Diffusion, c.Diffusion)
	}
	bench, err := next.LoadBenchmark()
	if err != nil {
		t.Fatal(err)
	}
	loop, err := next.newLoop(back, bench, nil)
	if err != nil {
		t.Fatal(err)
	}
	sameWeights(t, "the beginning", savedWeights(t, loop.Network, "model/"), averaged)
	if _, err := loop.Step(); err != nil {
		t.Fatal(err)
	}
	if err := loop.Network.Reset(5); err != nil {
		t.Fatal(err)
	}
	sameWeights(t, "begun anew", savedWeights(t, loop.Network, "ema/"), averaged)
	loop.Close()
	loop.Network.Close()

	second := filepath.Join(t.TempDir(), "second")
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(stopped, next, second, opt); err == nil {
		t.Fatal("it did not stop")
	}
	bias := m.Weights["out/biases"]
	was := bias[0]
	bias[0] = 1
	if _, err := models.Put("mine", to, m, true); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(t.Context(), second, opt); err == nil || !strings.Contains(err.Error(), info.SHA256) {
		t.Errorf("it goes on from another model: %v", err)
	}
	bias[0] = was
	if _, err := models.Put("mine", to, m, true); err != nil {
		t.Fatal(err)
	}
	result, err := Resume(t.Context(), second, opt)
	if err != nil {
		t.Fatal(err)
	}
	if i := result.Provenance.Init; i == nil || i.Name != "mine" || i.SHA256 != info.SHA256 {
		t.Errorf("the result says of its beginning %+v", i)
	}
}

// keptNetworkGoesOut exports from copies of a run folder of two tasks with damaged checkpoints: first from the checkpoint before, then
// from the networks that were kept after each task, and says so; what is lost is told with what is left.
func keptNetworkGoesOut(t *testing.T, dir string, last map[string][]float32) {
	t.Helper()
	hurt := filepath.Join(t.TempDir(), "hurt")
	if err := os.CopyFS(hurt, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	names, err := checkpoints(hurt)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(path ...string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(append([]string{hurt}, path...)...), []byte("spoilt"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	first := tensorsIn(t, filepath.Join(snapshotFolder(dir, 0), diffusion.StateFile), "ema/")
	check := func(what string, task int, want map[string][]float32, says string) {
		t.Helper()
		to, said := filepath.Join(t.TempDir(), "w.safetensors"), ""
		err := Export(hurt, to, ExportOptions{Format: FormatSafetensors, Task: task, Warn: func(line string) { said += line }})
		if want == nil {
			if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, want one line with %q", what, err, says)
			}
			return
		}
		if err != nil || !strings.Contains(said, says) {
			t.Fatalf("%s: %v, %q; want %q", what, err, said, says)
		}
		sameWeights(t, what, tensorsIn(t, to, ""), want)
	}
	spoil("checkpoints", names[len(names)-1], diffusion.StateFile)
	check("the checkpoint before", -1, last, "this is the network of "+names[len(names)-2])
	for _, name := range names {
		spoil("checkpoints", name, diffusion.StateFile)
	}
	check("the network kept last", -1, last, "kept after task 2")
	check("the network kept first", 0, first, "kept after task 1")
	for _, name := range names {
		spoil("checkpoints", name, stateFile)
	}
	check("without a state", -1, last, "kept after task 2")
	spoil("snapshots", "after_task_1", diffusion.StateFile)
	check("without the last", -1, nil, "networks kept after task 1 (Task 0), or")
	if err := os.RemoveAll(filepath.Join(hurt, "checkpoints")); err != nil {
		t.Fatal(err)
	}
	check("without checkpoints", 0, first, "kept after task 1")
}

// README.md draws from the export of a run of the quick benchmark by the program on its card.
func TestREADMEHasTheProgramOfTheCard(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```python\n")
	program, _, _ := strings.Cut(rest, "```")
	c := DefaultConfig()
	bench, err := c.LoadBenchmark()
	if err != nil {
		t.Fatal(err)
	}
	e := &export{config: c, bench: bench, model: diffusers.Model{Process: c.Diffusion, Net: unet.Config{Channels: 1, OutChannels: 1, Classes: 10}}}
	if card := e.python(); card != program {
		t.Errorf("the card has\n%s, README.md\n%s", card, program)
	}
}

// What does not fit a model is told with what to do.
func TestInitIsChecked(t *testing.T) {
	t.Setenv(backend.CacheEnv, t.TempDir())
	m, _, err := diffusers.Read(filepath.Join("..", "counterpart", "testdata", "forms", "defaults"), diffusers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := models.Put("four", "", m, false); err != nil {
		t.Fatal(err)
	}
	m.Net.Channels, m.Net.OutChannels = 4, 4 // as earlier versions imported
	for name, dims := range m.Dims() {
		size := 1
		for _, d := range dims {
			size *= d
		}
		m.Weights[name] = make([]float32, size)
	}
	if _, err := models.Put("channels", "", m, false); err != nil {
		t.Fatal(err)
	}
	fits := []string{"network.init=four", "benchmark.prep.size=8"}
	if _, err := OverrideConfig("the test", nil, fits); err != nil {
		t.Errorf("the model's own size: %v", err)
	}
	// The file that `run --defaults` prints is nobody's choice of a process; part of it is.
	printed, err := yaml.Marshal(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := OverrideConfig("the test", printed, fits); err != nil || c.Diffusion != m.Process {
		t.Errorf("the defaults, written out: %+v, %v; want the process %+v", c.Diffusion, err, m.Process)
	}
	for _, tc := range []struct {
		set  []string
		want string
	}{
		{[]string{"network.init=five"}, "there are channels, four"},
		{[]string{"network.init=channels", "benchmark.prep.size=8"}, "of images with 4 channels; need 1 or 3"},
		{[]string{"network.init=four"}, "8×8×1"},
		{append(fits, "network.base=8"), "leave them out"},
		{append(fits, "network.conditional=false"), "set it to true"},
		{append(fits, "diffusion.timesteps=10"), "leave diffusion out"},
	} {
		if _, err := OverrideConfig("the test", nil, tc.set); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v gives %v; need one line with %q", tc.set, err, tc.want)
		}
	}
}

// Labels that a model lacks begin as its "no label"; a model without labels has rows of zeros, which change nothing.
func TestEmbeddingGrows(t *testing.T) {
	values := []float32{9, 9, 9, 9, 9, 9, 9, 9}
	grow(values, []float32{1, 2, 3, 4}, 1, 3) // one class and no label, to three classes and no label
	if want := []float32{1, 2, 3, 4, 3, 4, 3, 4}; !slices.Equal(values, want) {
		t.Errorf("grown to %v, want %v", values, want)
	}
	grow(values, nil, 0, 3)
	if want := make([]float32, 8); !slices.Equal(values, want) {
		t.Errorf("without labels %v, want zeros", values)
	}
}

// checkEvents looks at the event file of a finished run of six steps.
func checkEvents(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, eventsPattern))
	if err != nil || len(files) != 1 {
		t.Fatalf("event files %v (%v), want one", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if whole, err := tensorboard.Whole(bytes.NewReader(content)); err != nil || whole != int64(len(content)) {
		t.Errorf("%d of %d bytes are whole records (%v)", whole, len(content), err)
	}
	for what, want := range map[string]int{"train/loss": 2, "fid/task 0": 2, "fid/task 1": 1, "fid/all": 2, "\n\x07samples": 2, "_hparams_": 1, "steps_per_task": 2} {
		if got := bytes.Count(content, []byte(what)); got != want {
			t.Errorf("%q is there %d times, want %d", what, got, want)
		}
	}
}

// heldFolder makes a run folder that is locked until the test ends.
func heldFolder(t testing.TB) home {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, configFile), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Unlock() })
	h, err := newHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Whatever became of the event file, a run that goes on leaves whole records, each of its steps once after the last restart.
func TestEventsOfAResumedRun(t *testing.T) {
	h := heldFolder(t)
	dir := h.dir
	r := &run{config: tinyRun(), dir: dir, home: h, loop: new(cl.Loop)}
	r.state = state{Started: "2026-01-02T03:04:05Z"}
	content := func() string {
		text, err := os.ReadFile(r.eventsFile())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if err := r.openEvents(); err != nil {
		t.Fatal(err)
	}
	for step := 10; step <= 40; step += 10 {
		r.state.Losses = append(r.state.Losses, results.LossPoint{Step: step, Loss: 1})
		if err := r.logLoss(); err != nil {
			t.Fatal(err)
		}
	}
	full := content()
	// Killed within a record, and gone on with from step 20.
	if err := os.WriteFile(r.eventsFile(), []byte(full[:len(full)-5]), 0o644); err != nil {
		t.Fatal(err)
	}
	r.state.Losses, r.loop.Position.Total = r.state.Losses[:2], 20
	if err := r.openEvents(); err != nil {
		t.Fatal(err)
	}
	after := content()
	if n := strings.Count(after, "train/loss"); n != 4 { // of 10, 20 and 30, and of 20 again
		t.Errorf("%d losses after it went on, want 4", n)
	}
	if whole, err := tensorboard.Whole(strings.NewReader(after)); err != nil || whole != int64(len(after)) || !strings.HasPrefix(after, full[:len(full)/2]) {
		t.Errorf("%d of %d bytes are whole (%v)", whole, len(after), err)
	}
	// Removed while the run is at work.
	if err := os.Remove(r.eventsFile()); err != nil {
		t.Fatal(err)
	}
	r.state.Losses = append(r.state.Losses, results.LossPoint{Step: 30, Loss: 1})
	if err := r.logLoss(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(content(), "train/loss"); n != 3 {
		t.Errorf("%d losses in the file written anew, want 3", n)
	}
}

// A task that the model knows is measured and remembered but not trained, by real images or by the model's own; interrupted, the
// run ends as it would have.
func TestKnownTask(t *testing.T) {
	back, choice := pureGo(t)
	c := tinyRun()
	bench, err := c.LoadBenchmark()
	if err != nil {
		t.Fatal(err)
	}
	loop, err := c.newLoop(back, bench, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := &diffusers.Model{Net: loop.Network.Net.(unet.Config), Process: c.Diffusion, Weights: savedWeights(t, loop.Network, "model/")}
	loop.Close()
	loop.Network.Close()
	if _, err := models.Put("mine", "", m, false); err != nil {
		t.Fatal(err)
	}
	c.Network = NetworkConfig{Size: "tiny", Conditional: true, Init: "mine", Knows: KnowsSamples}
	c.Strategy.Settings = map[string]any{"lambda": 1.0, "buffer": 6, "policy": "reservoir"}
	opt := Options{Backend: back, Choice: choice}
	dir := filepath.Join(t.TempDir(), "whole")
	whole, err := Run(t.Context(), c, dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	if whole.Cost.Steps != 3 || len(whole.Evaluations) != 2 || whole.Evaluations[0].Step != 3 || whole.Losses[0].Step != 6 {
		t.Errorf("%d steps, evaluations %d at %d, losses from step %d; want 3 steps, 2 from 3 on, losses at 6", whole.Cost.Steps, len(whole.Evaluations), whole.Evaluations[0].Step, whole.Losses[0].Step)
	}
	parted := filepath.Join(t.TempDir(), "parted")
	ctx, cancel := context.WithCancel(t.Context())
	stop := opt
	stop.Progress = func(p Progress) {
		if p.Stage == "measure" { // which is always reported
			cancel()
		}
	}
	if _, err := Run(ctx, c, parted, stop); err == nil {
		t.Fatal("it did not stop")
	}
	again, err := Resume(t.Context(), parted, opt)
	if err != nil {
		t.Fatal(err)
	}
	newest := func(dir string) map[string][]float32 {
		names, err := checkpoints(dir)
		if err != nil {
			t.Fatal(err)
		}
		return tensorsIn(t, filepath.Join(dir, "checkpoints", names[len(names)-1], diffusion.StateFile), "ema/")
	}
	sameWeights(t, "in two parts", newest(parted), newest(dir))
	if whole.Provenance.ImagesSHA256 != again.Provenance.ImagesSHA256 {
		t.Error("in two parts it was trained on other images")
	}
	real := c
	real.Network.Knows = KnowsReal
	hash, err := bench.ContentHash()
	if err != nil || hash == whole.Provenance.ImagesSHA256 {
		t.Errorf("samples of the model are the real images (%v)", err)
	}
	// What is rehearsed of the known task: images of the set by one name, of the model by the other, of its classes by both.
	rehearsed := func(dir string) (images, ofTask, inSet int) {
		trained, err := OpenTrained(back, dir)
		if err != nil {
			t.Fatal(err)
		}
		defer trained.Close()
		first, kept := bench.Tasks[0], trained.loop.Strategy.Stored().Images
		for i := range kept.N {
			if !slices.Contains(first.Classes, int(kept.Labels[i])) {
				continue
			}
			ofTask++
			for k := range first.Train.N {
				if first.Train.Labels[k] == kept.Labels[i] && bytes.Equal(first.Train.Image(k), kept.Image(i)) {
					inSet++
					break
				}
			}
		}
		return kept.N, ofTask, inSet
	}
	realDir := filepath.Join(t.TempDir(), "real")
	known, err := Run(t.Context(), real, realDir, opt)
	if err != nil {
		t.Fatal(err)
	}
	if known.Cost.Steps != 3 || known.Losses[0].Step != 6 || known.Provenance.ImagesSHA256 != hash {
		t.Errorf("known by real images: %d steps, losses from step %d on, images %s; want 3, 6, the set's %s", known.Cost.Steps, known.Losses[0].Step, known.Provenance.ImagesSHA256, hash)
	}
	if n, ofTask, inSet := rehearsed(realDir); n != 6 || ofTask == 0 || inSet != ofTask {
		t.Errorf("known by real images: of %d kept %d are of the known task, %d of these in the set; want 6, some, all", n, ofTask, inSet)
	}
	if n, ofTask, inSet := rehearsed(dir); n != 6 || ofTask == 0 || inSet != 0 {
		t.Errorf("known by samples: of %d kept %d are of the known task, %d of these in the set; want 6, some, none", n, ofTask, inSet)
	}
	// Until the second task begins nothing was trained: the model draws what it drew.
	if !reflect.DeepEqual(known.Evaluations[0].Tasks[0].FID, whole.Evaluations[0].Tasks[0].FID) {
		t.Error("known by real images and by samples, the model itself is measured otherwise")
	}
	joint := real
	joint.Strategy = cl.Spec{Name: "joint"}
	for name, bad := range map[string]func(*Config){
		"network.init": func(c *Config) { c.Network.Init = "" },
		"choose":       func(c *Config) { c.Network.Knows = "all" },
	} {
		wrong := real
		bad(&wrong)
		if err := wrong.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("it says %v, want %q", err, name)
		}
	}
	l, err := joint.newLoop(back, bench, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { l.Close(); l.Network.Close() }()
	if p := l.Plan(); p.Known || p.Trained() != 6 {
		t.Errorf("joint training has the plan %+v; it learns all tasks", p)
	}
}

// The adapters of a task go out within the kernels: the plain network that comes in again predicts what the run's does for the
// task, and not what it does for another.
func TestAdaptersGoOutMerged(t *testing.T) {
	back, choice := pureGo(t)
	c, dir := tinyRun(), filepath.Join(t.TempDir(), "run")
	c.Strategy, c.Loop.ReplayRows = cl.Spec{Name: "lora", Settings: map[string]any{"rank": 2}}, 0
	c.Train.LearningRate = 0.05 // so that three steps move an adapter
	if _, err := Run(t.Context(), c, dir, Options{Backend: back, Choice: choice}); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	o := ExportOptions{Format: FormatDiffusers, Task: 1, Backend: func() (compute.Backend, error) { return back, nil }}
	if err := Export(dir, out, o); err != nil {
		t.Fatal(err)
	}
	m, _, err := diffusers.Read(out, diffusers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	run, err := OpenTrained(back, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	plain, err := diffusion.NewNetwork(back, run.Network.Process, m.Net, c.Train, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := plain.StartFrom(func(name string, values []float32) error { copy(values, m.Weights[name]); return nil }); err != nil {
		t.Fatal(err)
	}
	x := make([]float32, run.Network.Shape.Values())
	for i := range x {
		x[i] = float32(math.Sin(float64(i)))
	}
	got, err := plain.Denoiser(false).Output(x, []int32{20}, []int32{0})
	if err != nil {
		t.Fatal(err)
	}
	far := func(task int) (most float64) {
		err := run.AtTask(task, func() error {
			want, err := run.Network.Denoiser(true).Output(x, []int32{20}, []int32{0})
			for i := range want {
				most = max(most, math.Abs(float64(want[i]-got[i])))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return most
	}
	if own, other := far(1), far(0); !(own < 1e-5) || !(other > 1e-3) {
		t.Errorf("the export is %g from the network of its task and %g from that of another; need less than 1e-5, more than 1e-3", own, other)
	}
}

// What is overwritten is an export as it was written: a file that somebody added or changed is named and stays.
func TestOnlyExportsAreOverwritten(t *testing.T) {
	m := &diffusers.Model{Net: unet.Config{ImageSize: 8, Channels: 1, OutChannels: 1, Base: 8, Mults: []int{1}, ResBlocks: 1, Groups: 4, Heads: 1},
		Process: DefaultConfig().Diffusion, Weights: map[string][]float32{}}
	for name, dims := range m.Dims() {
		size := 1
		for _, d := range dims {
			size *= d
		}
		m.Weights[name] = make([]float32, size)
	}
	run := t.TempDir()
	for what, tc := range map[string]struct {
		change func(dir string) error
		want   string // "" where it is overwritten
	}{
		"as it was":   {func(string) error { return nil }, ""},
		"its card":    {func(dir string) error { return os.WriteFile(filepath.Join(dir, "README.md"), []byte("mine"), 0o644) }, "README.md, changed since"},
		"a file":      {func(dir string) error { return os.WriteFile(filepath.Join(dir, "unet", "notes.txt"), nil, 0o644) }, "unet/notes.txt, which no export wrote"},
		"no list":     {func(dir string) error { return os.Remove(filepath.Join(dir, sumsFile)) }, "no export of this program with a " + sumsFile},
		"a file gone": {func(dir string) error { return os.Remove(filepath.Join(dir, "README.md")) }, ""},
	} {
		dir := t.TempDir()
		if err := m.Write(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("a card"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := writeSums(dir, nil); err != nil {
			t.Fatal(err)
		}
		if err := tc.change(dir); err != nil {
			t.Fatal(err)
		}
		err := ExportOptions{Format: FormatDiffusers, Overwrite: true}.free(dir)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", what, err, tc.want)
		}
	}
	if at, err := runAbove(filepath.Join(run, "a", "b")); err != nil || at != "" {
		t.Errorf("a folder without a run is taken for one's: %q, %v", at, err)
	}
	for _, name := range []string{"checkpoints", configFile} {
		if err := os.Mkdir(filepath.Join(run, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range []string{run, filepath.Join(run, "a", "b")} {
		if err := Export(t.TempDir(), to, ExportOptions{Format: FormatDiffusers}); err == nil || !strings.Contains(err.Error(), "within the run folder "+run) {
			t.Errorf("an export to %s, of another run, gives %v", to, err)
		}
	}
	// A file of weights of another program stays too.
	other := filepath.Join(t.TempDir(), "w.safetensors")
	if err := safetensors.WriteFile(other, map[string]string{"format": "pt"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := (ExportOptions{Format: FormatSafetensors, Overwrite: true}).free(other); err == nil || !strings.Contains(err.Error(), "not overwritten") {
		t.Errorf("another program's file is overwritten: %v", err)
	}
}

// The card and the note of samples tell of each label who has learned it: this run, the model it began with, or nobody.
func TestLabelsSayWhoLearnedThem(t *testing.T) {
	t.Setenv(backend.CacheEnv, t.TempDir())
	m, _, err := diffusers.Read(filepath.Join("..", "counterpart", "testdata", "forms", "defaults"), diffusers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m.Labels.Names = []string{"cat", "dog"}
	origin, err := models.Put("four", "", m, false)
	if err != nil {
		t.Fatal(err)
	}
	known := origin.Net.Classes
	names := make([]string, known+1)
	for k := range names {
		names[k] = string(rune('a' + k))
	}
	bench := &datasets.Benchmark{ClassNames: names, Tasks: []datasets.Task{{Classes: []int{0}}, {Classes: []int{2}}}}
	e := export{bench: bench, model: diffusers.Model{Labels: diffusers.Labels{NoLabel: known + 2, Names: names}}}
	for _, tc := range []struct {
		origin *models.Info
		task   int
		within bool
		label  int
		want   string
	}{
		{nil, 0, false, 0, "a"},
		{nil, -1, false, 0, "a (not learned: do not use it)"},
		{nil, 0, false, 2, "c (not learned: do not use it)"},
		{nil, 0, true, 2, "c"},
		{nil, 1, false, known + 1, "room for a class to come (`network.classes`), not learned: do not use it"},
		{&origin, 1, false, 2, "c"},
		{&origin, 1, false, 1, `not learned in this run; it means what it meant in the data of the model four, which training began with, there "dog"`},
		{&origin, 1, false, known, names[known] + " (not learned: do not use it)"},
	} {
		e.origin, e.task, e.within = tc.origin, tc.task, tc.within
		if got := e.label(tc.label); got != tc.want {
			t.Errorf("label %d after task %d: %q, want %q", tc.label, tc.task, got, tc.want)
		}
	}
	strategy, err := cl.New(cl.Spec{Name: "finetune"})
	if err != nil {
		t.Fatal(err)
	}
	trained := &Trained{Benchmark: bench, Position: cl.Position{Phase: 1, Total: 3}, loop: &cl.Loop{Strategy: strategy, Benchmark: bench}}
	trained.Config.Network.Conditional, trained.Config.Network.Init = true, "four"
	if got := trained.note([]int32{0, 1}, true); !strings.Contains(got, `class 1 (b): not learned in this run; it means what it meant`) || strings.Contains(got, "shows nothing") {
		t.Errorf("the note of a label that the model knew: %q", got)
	}
	if got := trained.note([]int32{int32(known)}, true); !strings.Contains(got, "shows nothing of that class") {
		t.Errorf("the note of a label that nobody learned: %q", got)
	}
}
