package experiment

import (
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestDefaultConfigIsValid(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatal(err)
	}
}

// A stored configuration must read back as itself, or a run folder would refuse its own run.
func TestConfigRoundTrip(t *testing.T) {
	c := DefaultConfig()
	c.Seed, c.Strategy.Name, c.Strategy.Settings = 7, "er", map[string]any{"lambda": 0.3}
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	back, err := OverrideConfig("stored", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := yaml.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(text) {
		t.Errorf("read back as\n%s\nnot\n%s", again, text)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string // parts of the error
	}{
		{"misspelt key", "lop: {fresh_rows: 3}", []string{`"lop"`, `did you mean "loop"?`, "x.yaml:1"}},
		{"misspelt nested key", "loop:\n  steps_per_tsk: 3", []string{`"loop.steps_per_tsk"`, `did you mean "steps_per_task"?`, "x.yaml:2"}},
		{"misspelt strategy", "strategy: {name: finetun}", []string{`"finetun"`, `did you mean "finetune"?`}},
		{"misspelt strategy setting", "strategy: {name: er, lamda: 0.3}", []string{`"lamda"`, `did you mean "lambda"?`}},
		{"misspelt set", "benchmark: {datasets: [fashion-mnst]}", []string{`"fashion-mnst"`, "did you mean"}},
		{"wrong type", "loop: {fresh_rows: many}", []string{"x.yaml", "loop.fresh_rows", `"many"`, "whole number"}},
		{"two documents", "seed: 1\n---\nseed: 2", []string{"x.yaml:2", "second YAML document"}},
		{"one long word", "variant: " + strings.Repeat("x", 100<<20), []string{"x.yaml", "bytes"}},
		{"one setting twice", "seed: 1\nseed: 2", []string{"x.yaml", "seed", "already defined"}},
		{"no value", "seed:", []string{"x.yaml", "seed has no value"}},
		{"a list for a number", "seed: [1]", []string{"x.yaml", "seed is a list of 1"}},
		{"a cycle", "benchmark: &a {prep: *a}", []string{"x.yaml"}},
		{"sampler visits more than there is", "evaluate: {sampler: {steps: 1001}}", []string{"evaluate.sampler.steps is 1001", "1000"}},
		{"section as a number", "loop: 3", []string{"x.yaml:1: ", `loop is "3"`, "mapping", "as loop.fresh_rows"}},
		{"a section in a section as a word", "evaluate:\n  sampler: ddim", []string{"x.yaml:2: ", `evaluate.sampler is "ddim"`, "evaluate.sampler.clip"}},
		{"a section as a list", "strategy: [er]", []string{"strategy is a list", "as strategy.name"}},
		{"not YAML", "loop: [", []string{"x.yaml", "YAML"}},
		{"no rows", "loop: {fresh_rows: 0}", []string{"fresh_rows is 0"}},
		{"guidance without label dropout", "evaluate: {guidance: 2}", []string{"label_dropout"}},
		{"probe of one image", "probe: {every: 5, images: 1}", []string{"probe.images 1"}},
		{"unknown schedule", "diffusion: {schedule: quadratic}", []string{`"quadratic"`, `"linear"`}},
		{"unknown sampler", "evaluate: {sampler: {name: rk4}}", []string{`"rk4"`}},
		{"an architecture there is none of", "network: {architecture: vit}", []string{`"vit"`, `"dit"`}},
		{"a U-Net's size of a DiT", "network: {architecture: dit, size: small}", []string{`"small"`, "S/2"}},
		{"levels of a DiT", "network: {architecture: dit, mults: [1, 2]}", []string{"network.mults is [1 2]", "dit"}},
		{"patches of a U-Net", "network: {patch: 4}", []string{"network.patch is 4", "unet"}},
		{"a DiT in bfloat16", "network: {architecture: dit}\nbackend: {compute: bfloat16}", []string{"backend.compute"}},
		{"a DiT from a U-Net", "network: {architecture: dit, init: celeba}", []string{"network.init"}},
		{"a flow's sampler for another prediction", "evaluate: {sampler: {name: euler}}", []string{"evaluate.sampler", `"euler"`, `"ddim"`}},
		{"a flow with a noise schedule", "diffusion: {prediction: flow}", []string{`set schedule to "flow"`}},
		{"a flow's schedule for another prediction", "diffusion: {schedule: flow}", []string{`set prediction to "flow"`}},
		{"a flow by another sampler", "diffusion: {prediction: flow, schedule: flow}", []string{"evaluate.sampler", `choose one of ["euler" "heun"]`}},
		{"a flow's bound by parts", "diffusion: {prediction: flow, schedule: flow}\nevaluate: {sampler: {name: heun}}\nbpd: {images: 4}", []string{"set bpd.images=0", "--ode"}},
		{"a flow trained by the bound", "diffusion: {prediction: flow, schedule: flow}\nevaluate: {sampler: {name: heun}}\ntrain: {objective: vlb}", []string{"train", `set objective to "simple"`}},
		{"a variance that nothing trains", "diffusion: {variance: learned-range}", []string{"learned-range", "train.vlb_weight is 0", "0.001", "train.objective=vlb"}},
		{"a flow with a variance", "diffusion: {prediction: flow, schedule: flow, variance: learned-range}", []string{"set variance"}},
		{"no set", "benchmark: {datasets: []}", []string{"names no set", "needs one"}},
		{"a set of another colour that follows", "benchmark: {datasets: [mnist, cifar-10]}", []string{"benchmark.prep.channels"}},
		{"one set of which all are parted", "benchmark: {part_all: true}", []string{"part_all", "two or more"}},
		{"sets parted that are a task each", "benchmark: {scenario: domain-incremental, datasets: [mnist, fashion-mnist], part_all: true}", []string{"part_all", "class-incremental"}},
		{"sets parted in a given order", "benchmark: {datasets: [mnist, fashion-mnist], part_all: true, class_order: given, classes: [1]}", []string{"part_all parts all sets"}},
		{"a set that follows with shared labels", "benchmark: {datasets: [mnist, fashion-mnist], shared_labels: true}", []string{"shared_labels is for domain-incremental"}},
		{"room for labels of a network without", "network: {conditional: false, classes: 20}", []string{"network.classes", "network.conditional is false"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := OverrideConfig("x.yaml", []byte(tc.text), nil)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error %q does not say %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 2000 {
				t.Errorf("the error has %d bytes on several lines", len(err.Error()))
			}
		})
	}
}

// What an option said is told of the option, not of the file.
func TestErrorsNameTheOption(t *testing.T) {
	for _, tc := range []struct {
		text string
		set  []string
		want string
	}{
		{"seed: 1", []string{"train.learning_rate=.nan"}, "set train.learning_rate=.nan: train.learning_rate is NaN"},
		{"seed: 1", []string{"seed=2", "loop.steps_per_task=x"}, "set loop.steps_per_task=x: loop.steps_per_task is"},
		{"seed: 1", []string{"seed=x", "loop.steps_per_task=x"}, "set seed=x: seed is"},
		{"seed: x", []string{"loop.steps_per_task=2"}, "d.yaml: seed is"},
		{"seed: 1", []string{"strategy.name="}, "set strategy.name=: strategy.name has no value"},
		{"seed: 1", []string{"variant="}, "variant has no value"},
		{"seed: 1", []string{"benchmark.datasets="}, "benchmark.datasets has no value"},
		{"strategy: {name: }", nil, "strategy.name has no value"},
		{"strategy: {name: er, buffer: 1000000000000}", nil, "buffer is 1000000000000; need 1 to 1000000000"},
	} {
		if _, err := OverrideConfig("d.yaml", []byte(tc.text), tc.set); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s with %v gives %v, want %q", tc.text, tc.set, err, tc.want)
		}
	}
	g := Grid{Strategies: []string{"finetune"}, Seeds: 1, Set: []string{"strategy.lambda=2"}, Flags: true}
	if _, err := g.Configs("the quick benchmark", nil); err == nil || !strings.HasPrefix(err.Error(), "--set strategy.lambda=2: ") {
		t.Errorf("a grid says %v", err)
	}
	g = Grid{Strategies: []string{"finetune"}, Seeds: 1, Sweeps: []string{"loop.steps_per_task=x,3"}, Flags: true}
	if _, err := g.Configs("the quick benchmark", nil); err == nil || !strings.Contains(err.Error(), "--sweep loop.steps_per_task=x,3: ") {
		t.Errorf("a swept grid says %v", err)
	}
}

// Folder names are legal on every system and differ where the settings do.
func TestRunNames(t *testing.T) {
	name := func(settings map[string]any) string {
		c := DefaultConfig()
		c.Strategy.Name, c.Strategy.Settings = "er", settings
		return c.RunName()
	}
	if got, want := name(map[string]any{"timesteps": "low:0.25", "lambda": 0.3}), "er-lambda0.3-timestepslow0.25-seed0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	long := make([]any, 100)
	for i := range long {
		long[i] = 0.125
	}
	a := name(map[string]any{"timestep_weights": long})
	long[99] = 0.25
	b := name(map[string]any{"timestep_weights": long})
	if a == b || len(a) > 64 || strings.ContainsAny(a, ":/\\ []") {
		t.Errorf("two lists of weights give the names %q and %q", a, b)
	}
}

func TestOverrides(t *testing.T) {
	c, err := OverrideConfig("x", []byte("seed: 3\nloop: {fresh_rows: 4}"), []string{"loop.steps_per_task=9", "strategy.name=er", "strategy.lambda=0.25"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Seed != 3 || c.Loop.FreshRows != 4 || c.Loop.StepsPerTask != 9 || c.Strategy.Settings["lambda"] != 0.25 {
		t.Errorf("got %+v", c)
	}
	if want := "er-lambda0.25-seed3"; c.RunName() != want {
		t.Errorf("the run is named %s, want %s", c.RunName(), want)
	}
	for _, bad := range []string{"loop.steps_per_task", "=3", "loop.step=3", "loop.steps_per_task=12.7", "seed=-0.5", "seed=18446744073709551616",
		"seed=", "seed=1\n---\n2", "seed.x=1", "loop=3", "strategy.buffer=20.9"} {
		if _, err := OverrideConfig("x", nil, []string{bad}); err == nil {
			t.Errorf("%q is taken without an error", bad)
		}
	}
}

// TestTasksOfAllSets: with part_all ten classes and ten digits are twenty tasks of one, and a network of twenty labels; without it the
// digits are a task.
func TestTasksOfAllSets(t *testing.T) {
	for all, want := range map[bool]int{true: 20, false: 11} {
		c, err := OverrideConfig("test", nil, []string{"benchmark.datasets=[fashion-mnist-sample,mnist-10k]", "benchmark.classes_per_task=1", fmt.Sprint("benchmark.part_all=", all)})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.tasks(); err != nil || got != want {
			t.Errorf("part_all %v: %d tasks (%v), want %d", all, got, err, want)
		}
	}
}
