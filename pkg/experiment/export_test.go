package experiment

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/models"
	"palimpsest/pkg/safetensors"
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
	c.Benchmark.Classes = []int{7, 9, 0, 3}
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
	opt := Options{Backend: back, Choice: choice, Command: "the test"}
	if _, err := Run(t.Context(), c, dir, opt); err != nil {
		t.Fatal(err)
	}
	newest := ExportOptions{Format: FormatDiffusers, Task: -1, Command: "the export"}
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
		"steps_per_task: 3", "the export", "Left to the author", "samples.png", "7: Sneaker"} {
		if !strings.Contains(string(card), want) {
			t.Errorf("the card lacks %q", want)
		}
	}
	for what, o := range map[string]ExportOptions{
		"is there already": newest, "tasks 0 to 1": {Format: FormatDiffusers, Task: 2, Overwrite: true}, "autopsy.images": {Format: FormatDiffusers, Task: 0, Overwrite: true},
		"choose": {Format: "onnx", Task: -1}, ".safetensors": {Format: FormatSafetensors, Task: -1},
	} {
		if err := Export(dir, to, o); err == nil || !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v gives %v; need one line with %q", o, err, what)
		}
	}
	if err := Export(dir, dir, ExportOptions{Format: FormatDiffusers, Task: -1, Overwrite: true}); err == nil || !strings.Contains(err.Error(), "not overwritten") {
		t.Errorf("a run folder is overwritten: %v", err)
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
	next, err := OverrideConfig("the test", nil, []string{"network.init=mine", "benchmark.class_order=given", "benchmark.classes=[7, 9, 0, 3]",
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
	fits := []string{"network.init=four", "benchmark.prep.size=8"}
	if _, err := OverrideConfig("the test", nil, fits); err != nil {
		t.Errorf("the model's own size: %v", err)
	}
	for _, tc := range []struct {
		set  []string
		want string
	}{
		{[]string{"network.init=five"}, "there are four"},
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
