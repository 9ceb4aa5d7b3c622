package experiment

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/results"
)

// stoppedInSecondTask makes the run c as far as into its second task.
func stoppedInSecondTask(t *testing.T, c Config, dir string, opt Options) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	opt.Progress = func(p Progress) {
		if p.Step > c.Loop.StepsPerTask {
			stop()
		}
	}
	if _, err := Run(ctx, c, dir, opt); !errors.As(err, new(Stopped)) {
		t.Fatalf("%v; the run was to be interrupted", err)
	}
}

// Whatever opens a run's networks refuses a config.yaml that was edited since, by name: a network read by other settings than it was
// trained with is another one, and nothing in the weights says so.
func TestEditedSettingsAreRefusedByAllWhoOpenTheRun(t *testing.T) {
	back, choice := pureGo(t)
	c, dir := tinyRun(), filepath.Join(t.TempDir(), "run")
	c.KeepNetworks, c.Loop.LabelDropout = true, 0
	opt := Options{Backend: back, Choice: choice}
	stoppedInSecondTask(t, c, dir, opt)
	path := filepath.Join(dir, configFile)
	refused := func(state string) {
		t.Helper()
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		defer os.WriteFile(path, whole, 0o644)
		for key, change := range map[string][2]string{
			"diffusion.prediction": {"prediction: " + c.Diffusion.Prediction, "prediction: x0"},
			"diffusion.schedule":   {"schedule: " + c.Diffusion.Schedule, "schedule: linear"},
			"train.learning_rate":  {"learning_rate: ", "learning_rate: 1"},
			"network.conditional":  {"conditional: true", "conditional: false"},
			"loop.steps_per_task":  {"steps_per_task: 3", "steps_per_task: 4"},
			"evaluate.ema":         {"ema: true", "ema: false"},
		} {
			if strings.Count(string(whole), change[0]) != 1 {
				t.Fatalf("%q is there %d times in\n%s", change[0], strings.Count(string(whole), change[0]), whole)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(whole), change[0], change[1], 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			errs := map[string]error{"CheckTrained": CheckTrained(dir, nil)}
			_, errs["OpenTrained"] = OpenTrained(back, dir)
			_, errs["Extension"] = Extension{Tasks: "[[5]]"}.Of(dir)
			errs["CheckAutopsy"] = CheckAutopsy(dir)
			for what, task := range map[string]int{"Export": -1, "Export after task 1": 0} {
				to := filepath.Join(t.TempDir(), "out")
				errs[what] = Export(dir, to, ExportOptions{Format: FormatDiffusers, Task: task})
				if _, err := os.Stat(to); err == nil {
					t.Errorf("%s, %s of an edited %s is written", state, what, key)
				}
			}
			for what, err := range errs {
				if err == nil || !strings.Contains(err.Error(), key+": there ") || !strings.Contains(err.Error(), "set them back in config.yaml") {
					t.Errorf("%s, %s of an edited %s: %v", state, what, key, err)
				}
			}
		}
	}
	refused("interrupted")
	if _, err := Resume(t.Context(), dir, opt); err != nil {
		t.Fatal(err)
	}
	refused("finished")
	if err := Export(dir, filepath.Join(t.TempDir(), "out"), ExportOptions{Format: FormatDiffusers, Task: -1}); err != nil {
		t.Error(err)
	}
}

// Damage to what a run keeps beside its checkpoints costs what is made of that, and nothing else: the run is finished, and says at once
// what it will be without.
func TestDamageBesideCheckpointsCostsNoRun(t *testing.T) {
	back, choice := pureGo(t)
	c, dir := tinyRun(), filepath.Join(t.TempDir(), "run")
	c.Probe, c.Autopsy = ProbeConfig{Every: 2, Images: 2, Timesteps: 2}, AutopsyConfig{Images: 4, Timesteps: 2, Steps: 2, Thresholds: 2}
	opt := Options{Backend: back, Choice: choice}
	stoppedInSecondTask(t, c, dir, opt)
	whole := filepath.Join(t.TempDir(), "whole")
	if err := os.CopyFS(whole, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	want, err := Resume(t.Context(), whole, opt)
	if err != nil {
		t.Fatal(err)
	}
	empty := func(name string) func(string) error {
		return func(dir string) error { return os.Truncate(filepath.Join(dir, name), 0) }
	}
	remove := func(name string) func(string) error {
		return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
	}
	kept := "snapshots/after_task_0/"
	for name, tc := range map[string]struct {
		damage           func(dir string) error
		warning          string
		autopsy, dynamic bool
	}{
		"an emptied network":     {empty(kept + diffusion.StateFile), "the network kept after task 1 is gone or damaged", false, true},
		"a network that is gone": {remove(kept + diffusion.StateFile), "the network kept after task 1 is gone or damaged", false, true},
		"emptied sums":           {empty(kept + sumsFile), "the network kept after task 1 is gone or damaged", false, true},
		"sums that are gone":     {remove(kept + sumsFile), "", true, true},
		"emptied losses":         {empty(results.DynamicsFile), "dynamics.json are lost up to step", true, false},
		"losses that are gone":   {remove(results.DynamicsFile), "dynamics.json are lost up to step", true, false},
		"an autopsy that is none": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, results.AutopsyFile), []byte("{"), 0o644)
		}, "", true, true},
	} {
		at := filepath.Join(t.TempDir(), "run")
		if err := os.CopyFS(at, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := tc.damage(at); err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		first := -1 // the step at which a warning came
		o := opt
		o.Log, o.Progress = &said, func(p Progress) {
			if first < 0 && len(p.Warnings) > 0 {
				first = p.Step
			}
		}
		got, err := Resume(t.Context(), at, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		log, err := os.ReadFile(filepath.Join(at, logName))
		if err != nil {
			t.Fatal(err)
		}
		for where, text := range map[string]string{"log": string(log), "user": said.String()} {
			if tc.warning != "" && !strings.Contains(text, tc.warning) || tc.warning == "" && strings.Contains(text, "warning: ") {
				t.Errorf("%s: the %s is told %s; want %q", name, where, text, tc.warning)
			}
		}
		if tc.warning != "" && first >= got.Cost.Steps-1 {
			t.Errorf("%s: the warning comes at step %d of %d", name, first, got.Cost.Steps)
		}
		if !reflect.DeepEqual(got.Losses, want.Losses) || !reflect.DeepEqual(got.Evaluations, want.Evaluations) {
			t.Errorf("%s: the run is another one", name)
		}
		lacks := map[string]string{}
		if !tc.autopsy {
			lacks[results.MissingAutopsy] = "the network kept after task 1 is gone or damaged"
		}
		if !tc.dynamic {
			lacks[results.MissingDynamics] = "those up to step 3 were gone or damaged when the run went on there"
		}
		if !maps.Equal(got.Missing, lacks) {
			t.Errorf("%s: the result lacks %v, want %v", name, got.Missing, lacks)
		}
		for file, same := range map[string]bool{results.AutopsyFile: tc.autopsy, results.DynamicsFile: tc.dynamic} {
			a, errA := os.ReadFile(filepath.Join(whole, file))
			b, errB := os.ReadFile(filepath.Join(at, file))
			if errA != nil || same != (errB == nil && len(a) == len(b)) {
				t.Errorf("%s: %s is as of a whole run: %t, %v, %v", name, file, !same, errA, errB)
			}
		}
	}
}

// Networks go out and draw where the images that they learned from are gone, as they did beside them; what looks at the images is refused.
func TestNetworksNeedNoImages(t *testing.T) {
	back, choice := pureGo(t)
	pictures := filepath.Join(t.TempDir(), "pictures")
	pictureFolder(t, pictures, 40, "daisy", "lily", "rose", "tulip")
	for _, strategy := range []string{"er", "packnet"} {
		c, dir := tinyRun(), filepath.Join(t.TempDir(), "run")
		c.Benchmark.Datasets, c.Benchmark.ClassOrder, c.Benchmark.Classes, c.Benchmark.ValFraction = []string{pictures}, "natural", nil, 0
		c.Benchmark.Prep.Channels = 1
		c.Strategy.Name, c.Strategy.Settings = strategy, nil
		opt := Options{Backend: back, Choice: choice}
		stoppedInSecondTask(t, c, dir, opt)
		look := func() (weights map[string][]float32, images []float32) {
			t.Helper()
			to := filepath.Join(t.TempDir(), "out.safetensors")
			o := ExportOptions{Format: FormatSafetensors, Task: -1, Backend: func() (compute.Backend, error) { return back, nil }}
			if strategy == "packnet" {
				o.Task = 0
			}
			if err := Export(dir, to, o); err != nil {
				t.Fatal(err)
			}
			trained, err := OpenToDraw(back, dir)
			if err != nil {
				t.Fatal(err)
			}
			defer trained.Close()
			drawn, err := trained.Draw(t.Context(), []int{1, 0}, 1, diffusion.SamplerConfig{Name: diffusion.DDIM, Steps: 2, Clip: true}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if want := []string{"daisy", "lily", "rose", "tulip"}; !slices.Equal(trained.Benchmark.ClassNames, want) {
				t.Errorf("the classes are %v, want %v", trained.Benchmark.ClassNames, want)
			}
			_, bpd := trained.BPD(t.Context(), "", BPDOptions{Images: 1, Terms: 3, Batch: 1})
			for _, err := range []error{bpd, trained.WriteFeatures(filepath.Join(t.TempDir(), "f.npz"), drawn)} {
				if err == nil || !strings.Contains(err.Error(), "without the images") {
					t.Errorf("what looks at images gives %v", err)
				}
			}
			return tensorsIn(t, to, ""), drawn.Images
		}
		check := func(finished bool) {
			t.Helper()
			weights, images := look()
			full, err := OpenTrained(back, dir)
			if err != nil {
				t.Fatal(err)
			}
			drawn, err := full.Draw(t.Context(), []int{1, 0}, 1, diffusion.SamplerConfig{Name: diffusion.DDIM, Steps: 2, Clip: true}, 0)
			full.Close()
			if err != nil || !slices.Equal(drawn.Images, images) {
				t.Errorf("%s, finished %t: without images others are drawn (%v)", strategy, finished, err)
			}
			away := pictures + "-away"
			if err := os.Rename(pictures, away); err != nil {
				t.Fatal(err)
			}
			defer os.Rename(away, pictures)
			gone, same := look()
			sameWeights(t, strategy, gone, weights)
			if !slices.Equal(same, images) {
				t.Errorf("%s, finished %t: others are drawn where the images are gone", strategy, finished)
			}
			if err := CheckTrained(dir, nil); err != nil {
				t.Error(err)
			}
			if trained, err := OpenTrained(back, dir); err == nil {
				trained.Close()
				t.Errorf("%s: a network is opened with images that are gone", strategy)
			}
		}
		check(false)
		if _, err := Resume(t.Context(), dir, opt); err != nil {
			t.Fatal(err)
		}
		check(true)
	}
}
