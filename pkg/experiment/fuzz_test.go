package experiment

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/fuzztest"
	"palimpsest/pkg/results"
)

// rewrites checks that a configuration is written as something that reads back as the same.
func rewrites(t *testing.T, c Config) {
	t.Helper()
	again := fuzztest.Rereads(t, c, fuzztest.YAML, func(text []byte) (Config, error) { return OverrideConfig("f.yaml", text, nil) })
	if c.RunName() != again.RunName() || strings.ContainsAny(c.RunName(), "/\\\n") {
		t.Fatalf("the run's name is %q, and %q when it is read again", c.RunName(), again.RunName())
	}
}

// FuzzConfig reads arbitrary configurations.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{"", "seed: 1", "name: a/b", "loop: {steps_per_task: 12.7}", "seed: 18446744073709551616", "train: {clip_norm: .nan}",
		"benchmark: {scenario: domain-incremental, datasets: [mnist, fashion-mnist], shared_labels: true}", "strategy: {name: er+gd, buffer: 20}",
		"a: 1\n---\nb: 2", "evaluate: &e {batch: 3}\nbpd: *e", "network: [", "loop:\n\tsteps: 1", "variant: \"a\\nb\"", "strategy: {name: er, lambda: [1, 2]}",
		"evaluate: {sampler: {name: ddim, steps: 5000}}", "strategy: {name: er, timesteps: \"low:0.5\"}", "network: {mults: [-1]}", "cores: 1", "? {a: b}\n: 1"} {
		f.Add([]byte(text))
	}
	old, err := os.ReadFile("testdata/config-777311d.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(old)
	f.Fuzz(func(t *testing.T, text []byte) {
		var c Config
		if fuzztest.Read(t, len(text), func() (err error) { c, err = OverrideConfig("f.yaml", text, nil); return err }) == nil {
			rewrites(t, c)
		}
	})
}

// FuzzSet puts arbitrary settings over a configuration, as --set does.
func FuzzSet(f *testing.F) {
	for _, set := range []string{"seed=1", "loop.steps_per_task=300", "strategy.lambda=0.3", "strategy={name: er}", "benchmark.classes=[0, 1]", "loop=1", "=", "a", "a.b.c=d",
		"train.ema=.5", "..=1", "seed=-0.5", "name=..", "strategy=", "evaluate.sampler.steps=&a [*a]", "loop.steps_per_task=\"3\n\"", "strategy.name=er+lwf"} {
		f.Add("seed: 3\nstrategy: {name: er}", set)
	}
	f.Add("- 1", "seed=1")
	f.Add("x: &a {b: 1}\nloop: *a", "loop.steps_per_task=3")
	f.Fuzz(func(t *testing.T, text, set string) {
		var c Config
		if fuzztest.Read(t, len(text)+len(set), func() (err error) { c, err = OverrideConfig("f.yaml", []byte(text), []string{set}); return err }) == nil {
			rewrites(t, c)
		}
	})
}

// FuzzSweep makes the runs of arbitrary sweeps and variants, as --sweep and --variant do.
func FuzzSweep(f *testing.F) {
	for _, sweep := range []string{"lambda=0.1,0.3", "buffer=20,20", "lamda=1", "loop.steps_per_task=3,6", "benchmark.classes=[0, 1],[1, 0]", "lambda=[", "lambda='a,b'", "=", "lambda=",
		"lambda=1,,2", "seed=1", "strategy.lambda=1", "policy=\"x\ny\"", "buffer=20.9", "benchmark.datasets=[mnist]", "lambda=}", "timesteps=low:0.25,high:0.25"} {
		f.Add(sweep, "")
	}
	f.Add("lambda=1", "short: loop.steps_per_task=3")
	f.Add("", "a: b=c d")
	f.Add("lambda=1,2", ": =")
	f.Add("", "s\x86ork: lambda=1")
	f.Add("", "a\x00b: lambda=1")
	f.Fuzz(func(t *testing.T, sweep, variant string) {
		if strings.Contains(sweep, "measured:") || strings.Contains(variant, "measured:") {
			t.Skip("it names a folder to read")
		}
		g := Grid{Strategies: []string{"er"}, Sweeps: []string{sweep}, Seeds: 2}
		if variant != "" {
			g.Variants = []string{variant}
		}
		var configs []Config
		// Each value of a sweep is a configuration, of some thousand bytes.
		if fuzztest.Read(t, 64*(len(sweep)+len(variant)), func() (err error) { configs, err = g.Configs("f.yaml", nil); return err }) != nil {
			return
		}
		for _, c := range configs {
			if c.Validate() == nil {
				rewrites(t, c)
			}
		}
	})
}

// FuzzState reads arbitrary states of checkpoints. What is accepted is written as something that reads back as the same.
func FuzzState(f *testing.F) {
	plan := cl.Plan{Steps: []int{3, 3}}
	fid := 3.5
	good, err := json.Marshal(state{Version: stateVersion, Position: cl.Position{Phase: 1, Step: 1, Total: 4, Optimiser: 4}, Strategy: []byte{1, 2},
		Evaluations: []results.Evaluation{{AfterTask: 0, Step: 3, Tasks: []results.TaskMetrics{{N: 4, FID: &fid}}}}, Losses: []results.LossPoint{{Step: 3, Loss: 0.5}},
		LossSum: 0.25, LossCount: 1, Started: "2026-01-02T03:04:05Z", Stretches: []results.Stretch{{Cores: 2}}})
	if err != nil {
		f.Fatal(err)
	}
	for _, change := range []struct{ from, to string }{{"", ""}, {`"phase":1`, `"phase":-1`}, {`"version":1`, `"version":9`}, {`"version":1`, `"version":0`},
		{"2026", "2026\\n"}, {`"strategy":"`, `"strategy":"!`}, {`"loss_count":1`, `"loss_count":-1`}, {`"evaluations":[`, `"evaluations":[{},`}, {"}", ""}} {
		f.Add([]byte(strings.Replace(string(good), change.from, change.to, 1)))
	}
	f.Add([]byte("null"))
	f.Add([]byte(`{"position":`))
	read := func(text []byte) (*state, error) {
		s, err := parseState(text)
		if err == nil {
			err = s.check(plan)
		}
		return s, err
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s *state
		err := fuzztest.Read(t, len(text), func() (err error) { s, err = read(text); return err })
		if errors.Is(err, errVersion) && !strings.Contains(err.Error(), "newer") {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		fuzztest.Rereads(t, s, fuzztest.JSON, read)
	})
}

// FuzzSums reads arbitrary lists of a checkpoint's sums.
func FuzzSums(f *testing.F) {
	line := strings.Repeat("0a", 32) + "  state.json\n"
	for _, text := range []string{line, line + strings.ToUpper(line), line[:60], "../" + line, strings.Replace(line, "state", "../state", 1), strings.Replace(line, "  ", " ", 1), ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var sums map[string]string
		if fuzztest.Read(t, len(text), func() (err error) { sums, err = parseSums(text); return err }) != nil {
			return
		}
		for name, sum := range sums {
			if !filepath.IsLocal(name) || strings.Contains(name, "\n") || len(sum) != 64 {
				t.Fatalf("%q has the sum %q", name, sum)
			}
		}
	})
}
