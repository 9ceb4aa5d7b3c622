package experiment

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/errors"

	"palimpsest/pkg/cards"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/results"
)

func TestGrid(t *testing.T) {
	for _, tc := range []struct {
		name                    string
		names, sweeps, variants []string
		seeds                   int
		want                    []string
		err                     string
	}{
		{name: "a sweep touches strategies that have the setting", names: []string{"finetune", "er"}, sweeps: []string{"lambda=1,0.1"}, seeds: 1,
			want: []string{"finetune-seed0", "er-lambda1-seed0", "er-lambda0.1-seed0"}},
		{name: "two sweeps multiply", names: []string{"er"}, sweeps: []string{"lambda=1,2", "buffer=10,20"}, seeds: 1,
			want: []string{"er-buffer10-lambda1-seed0", "er-buffer20-lambda1-seed0", "er-buffer10-lambda2-seed0", "er-buffer20-lambda2-seed0"}},
		{name: "seeds come together", names: []string{"finetune", "joint"}, seeds: 2,
			want: []string{"finetune-seed0", "joint-seed0", "finetune-seed1", "joint-seed1"}},
		{name: "a sweep over the configuration holds for all", names: []string{"finetune", "er"}, sweeps: []string{"loop.replay_rows=4,8", "lambda=2"}, seeds: 1,
			want: []string{"finetune-replayrows4-seed0", "finetune-replayrows8-seed0", "er-lambda2-replayrows4-seed0", "er-lambda2-replayrows8-seed0"}},
		{name: "variants come beside the plain runs", names: []string{"joint"}, variants: []string{"T=50: diffusion.timesteps=50 evaluate.batch=10"}, seeds: 1,
			want: []string{"joint-seed0", "joint-T50-seed0"}},
		{name: "variant without settings", names: []string{"joint"}, variants: []string{"T=50"}, seeds: 1, err: "NAME: KEY=VALUE"},
		{name: "variant with an unknown setting", names: []string{"joint"}, variants: []string{"x: diffusion.steps=50"}, seeds: 1, err: "diffusion.steps"},
		{name: "a study that is not there", names: []string{"er"}, sweeps: []string{"timesteps=measured:nowhere"}, seeds: 1, err: "nowhere"},
		{name: "data sets and class orders", names: []string{"er"}, sweeps: []string{"benchmark.datasets=[fashion-mnist-sample],[mnist]", "benchmark.class_order=seeded", "benchmark.order_seed=1,2"}, seeds: 1,
			want: []string{"er-fashion-mnist-sample-classorderseeded-orderseed1-seed0", "er-fashion-mnist-sample-classorderseeded-orderseed2-seed0",
				"er-mnist-classorderseeded-orderseed1-seed0", "er-mnist-classorderseeded-orderseed2-seed0"}},
		{name: "lists of classes", names: []string{"er"}, sweeps: []string{"benchmark.class_order=given", "benchmark.classes=[0,1,2,3],[9, 8]"}, seeds: 1,
			want: []string{"er-classordergiven-classes0+1+2+3-seed0", "er-classordergiven-classes9+8-seed0"}},
		{name: "a seed of the order where the order is fixed", names: []string{"er"}, sweeps: []string{"benchmark.order_seed=1,2"}, seeds: 1, err: "class_order=seeded"},
		{name: "open bracket", names: []string{"er"}, sweeps: []string{"benchmark.datasets=[mnist,[fashion-mnist]"}, seeds: 1, err: "bracket"},
		{name: "closed bracket", names: []string{"er"}, sweeps: []string{"benchmark.datasets=mnist],[fashion-mnist"}, seeds: 1, err: "bracket"},
		{name: "unknown strategy", names: []string{"jont"}, seeds: 1, err: "joint"},
		{name: "sweep without values", names: []string{"er"}, sweeps: []string{"lambda"}, seeds: 1, err: "SETTING=VALUE"},
		{name: "a setting that no strategy has", names: []string{"er", "finetune"}, sweeps: []string{"lamda=1,2"}, seeds: 1, err: `did you mean "lambda"?`},
		{name: "a setting of nobody", names: []string{"er"}, sweeps: []string{"nosuch=1"}, seeds: 1, err: `"nosuch"`},
		{name: "a setting of another strategy", names: []string{"er"}, sweeps: []string{"rank=1"}, seeds: 1, err: `"rank"`},
		{name: "the seed", names: []string{"er"}, sweeps: []string{"seed=1,2"}, seeds: 1, err: "--seeds"},
		{name: "a setting of the configuration without a dot", names: []string{"er"}, sweeps: []string{"checkpoint_every=1,2"}, seeds: 1, err: "--variant"},
		{name: "the strategy", names: []string{"er"}, sweeps: []string{"strategy.name=er,joint"}, seeds: 1, err: "--strategies"},
		{name: "a strategy's setting by its long name", names: []string{"er"}, sweeps: []string{"strategy.lambda=1,2"}, seeds: 1, err: "--sweep lambda=1,2"},
		{name: "a fraction of a row", names: []string{"er"}, sweeps: []string{"loop.replay_rows=4.5"}, seeds: 1, err: "loop.replay_rows is 4.5"},
		{name: "an empty value", names: []string{"er"}, sweeps: []string{"lambda=1,,2"}, seeds: 1, err: "empty value"},
		{name: "no setting", names: []string{"er"}, sweeps: []string{"=1"}, seeds: 1, err: "SETTING=VALUE"},
		{name: "a negative number of seeds", names: []string{"er"}, seeds: -1, err: "--seeds is -1"},
		{name: "too many seeds", names: []string{"er"}, seeds: 1 << 40, err: "--seeds"},
		{name: "no strategy", seeds: 1, err: "no strategy"},
		{name: "no seeds", names: []string{"er"}, seeds: 0, err: "need 1 to"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			configs, err := Grid{Strategies: tc.names, Sweeps: tc.sweeps, Variants: tc.variants, Seeds: tc.seeds, Flags: true}.Configs("test", nil)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("got %v; want an error that says %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var have []string
			for _, c := range configs {
				have = append(have, c.RunName())
			}
			slices.Sort(have)
			want := slices.Clone(tc.want)
			slices.Sort(want)
			if !slices.Equal(have, want) {
				t.Errorf("got %v, want %v", have, want)
			}
		})
	}
}

// The usual sweep is left out where no strategy has the setting: nobody asked for it.
func TestUsualSweepIsLeftOut(t *testing.T) {
	configs, err := Grid{Strategies: []string{"finetune"}, Sweeps: []string{"lambda=1,0.1"}, Seeds: 1, UsualSweeps: true}.Configs("test", nil)
	if err != nil || len(configs) != 1 {
		t.Errorf("got %d runs, %v; want one", len(configs), err)
	}
}

// Who names strategies by --strategies is told how to give their settings, not of a strategy nobody named.
func TestGridSaysHowAStrategysSettingIsGiven(t *testing.T) {
	for set, want := range map[string]string{
		"strategy.policy=high-loss": "for those of --strategies write --sweep policy=high-loss",
		"strategy.noised=true":      "--set strategy.noised=true: strategy.… is the configuration's own strategy, finetune, which has no noised",
		"strategy.polic=herding":    `none of [er] has a setting "polic" (did you mean "policy"?)`,
	} {
		_, err := Grid{Set: []string{"seed=1", set}, Strategies: []string{"er"}, Seeds: 1, Flags: true}.Configs("test", nil)
		if !errors.As(err, new(Refused)) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "seed=1") {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
	if _, err := (Grid{Set: []string{"strategy.policy=herding"}, Strategies: []string{"er"}, Seeds: 1}).Configs("test", []byte("strategy: {name: er}")); err != nil {
		t.Errorf("a setting of the configuration's strategy is refused: %v", err)
	}
}

// An error names the settings that make it, and no others.
func TestErrorsNameTheSettingsAtFault(t *testing.T) {
	set := []string{"seed=3", "benchmark.stream=offline", "loop.fresh_rows=4", "benchmark.part_all=true", "benchmark.scenario=domain-incremental", "benchmark.datasets=[fashion-mnist,mnist]"}
	_, err := OverrideConfig("test", nil, set)
	if err == nil || !strings.HasPrefix(err.Error(), "set benchmark.part_all=true set benchmark.scenario=domain-incremental: benchmark.part_all ") {
		t.Error(err)
	}
}

// A setting of a strategy that is not run would change nothing, and seeds are not to begin anew at 0.
func TestGridRefusesSettingsWithoutEffect(t *testing.T) {
	for _, set := range []string{"strategy.name=er", "seed=18446744073709551615"} {
		if _, err := (Grid{Set: []string{set}, Strategies: []string{"joint"}, Seeds: 2}).Configs("test", nil); err == nil {
			t.Errorf("%s passes", set)
		}
	}
}

// A run has one name whether its strategy is abbreviated or not, tuned settings and all.
func TestShortNamesAreWrittenOut(t *testing.T) {
	names := func(strategy string) []string {
		configs, err := Grid{Strategies: []string{strategy}, Sweeps: []string{"er_lambda=0.3,1"}, Tuned: true, Seeds: 1}.Configs("test", nil)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range configs {
			names = append(names, c.RunName())
		}
		return names
	}
	if short, full := names("er+ewc_rank1+gd"), names("er+ewc_rank1+generative_distillation"); len(full) != 2 || !slices.Equal(short, full) {
		t.Errorf("runs %v, want %v", short, full)
	}
}

// Settings that a search stored in a folder of its own are those of the runs.
func TestTunedFromAFolder(t *testing.T) {
	store := t.TempDir()
	if err := (&cards.Tuning{Settings: map[string]any{"lambda": 0.77}}).Save(store, "er"); err != nil {
		t.Fatal(err)
	}
	configs, err := Grid{Strategies: []string{"er"}, Tuned: true, TunedFrom: store, Seeds: 1}.Configs("test", nil)
	if err != nil || len(configs) != 1 || configs[0].Strategy.Settings["lambda"] != 0.77 {
		t.Errorf("%v (%v), want er at lambda 0.77", configs, err)
	}
}

func TestVariantsChangeTheirSettingsOnly(t *testing.T) {
	configs, err := Grid{Strategies: []string{"joint"}, Variants: []string{"short: diffusion.timesteps=50"}, Sweeps: []string{"evaluate.batch=10"}, Seeds: 1}.Configs("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(configs) != 2 || configs[0].Diffusion.T != 1000 || configs[1].Diffusion.T != 50 || configs[0].Evaluate.Batch != 10 || configs[1].Evaluate.Batch != 10 ||
		configs[0].Variant != "batch=10" || configs[1].Variant != "short batch=10" {
		t.Errorf("got %+v", configs)
	}
}

func TestSeveralSetsInASweep(t *testing.T) {
	configs, err := Grid{Set: []string{"benchmark.scenario=domain-incremental"}, Strategies: []string{"joint"},
		Sweeps: []string{"benchmark.datasets=[mnist, fashion-mnist],[fashion-mnist-sample,mnist]"}, Seeds: 1}.Configs("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(configs) != 2 || configs[0].Variant != "mnist+fashion-mnist" || !slices.Equal(configs[1].Benchmark.Datasets, []string{"fashion-mnist-sample", "mnist"}) {
		t.Errorf("got %+v", configs)
	}
}

// The measured weights are the mean relative rise over old tasks, 0 where the loss fell, scaled to a largest value of 1
// and interpolated between the middles of the strata; at both ends the outermost value holds.
func TestMeasuredTimesteps(t *testing.T) {
	dir := t.TempDir()
	// Two tasks and, with v-prediction at these log-SNR, equal relative rises in any loss: -50 %, 0, +100 %, +200 %.
	series := dynamics.Series{Axes: dynamics.Axes{Tasks: []string{"a", "b"}, Images: 2, Timesteps: []int{12, 37, 62, 87}, LogSNR: []float64{3, 1, -1, -3},
		Prediction: diffusion.PredictVelocity, Probe: "test"},
		Checkpoints: []dynamics.Checkpoint{{Step: 1, Task: 0}, {Step: 2, Task: 1}},
		Loss:        []float32{2, 2, 2, 2, 1, 1, 1, 1, 1, 2, 4, 6, 1, 1, 1, 1}, SE: make([]float32, 16)}
	if err := os.MkdirAll(filepath.Join(dir, "dynamics"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := series.Save(filepath.Join(dir, "dynamics", "finetune-seed0.json")); err != nil {
		t.Fatal(err)
	}
	run := results.Run{Schema: results.Schema, Name: "finetune-seed0", Strategy: results.Strategy{Name: "finetune", Label: "finetune"},
		Benchmark: results.Benchmark{ImageSize: 16, Channels: 1, Tasks: []results.Task{{Name: "a"}, {Name: "b"}}}}
	if err := run.Save(filepath.Join(dir, "finetune-seed0.json")); err != nil {
		t.Fatal(err)
	}
	weights, err := MeasuredTimesteps(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(weights) != 21 || weights[0] != 0 || weights[20] != 1 || weights[19] != 1 {
		t.Errorf("ends: %v", weights)
	}
	// The process has 87+12 = 99 as its last timestep: knot 10 lies at 49.4, between 37 (0) and 62 (half of the largest).
	if want := (49.0 - 37) / 25 / 2; math.Abs(weights[10]-want) > 0.011 {
		t.Errorf("the middle is %g, want %g", weights[10], want)
	}
	if _, err := MeasuredTimesteps(t.TempDir()); err == nil {
		t.Error("an empty folder passes")
	}
	configs, err := Grid{Strategies: []string{"er"}, Sweeps: []string{"timesteps=measured:" + dir}, Seeds: 1}.Configs("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := configs[0].Validate(); err != nil {
		t.Error(err)
	}
}

// A setting that somebody asks for stands before the sweeps that nobody did.
func TestSetBeforeUsualSweeps(t *testing.T) {
	g := Grid{Set: []string{"strategy.name=er", "strategy.lambda=0.5"}, Strategies: []string{"finetune", "er"}, Sweeps: []string{"lambda=1,0.3"}, UsualSweeps: true, Seeds: 1}
	configs, err := g.Configs("the test", nil)
	if err != nil || len(configs) != 2 || configs[1].Strategy.Settings["lambda"] != 0.5 {
		t.Errorf("got %v, %v; want finetune, and er with λ = 0.5 alone", configs, err)
	}
}

// A swept path goes by its last part, and by all of them where two values would be one.
func TestSweptPaths(t *testing.T) {
	for _, tc := range []struct{ key, values, want string }{
		{"benchmark.datasets", "[/data/red flowers];[/data/birds, mnist];[mnist]", "redflowers;birds+mnist;mnist"},
		{"benchmark.datasets", "[/a/flowers];[/b/flowers]", "a-flowers;b-flowers"},
		{"evaluate.extractor", "/a/net.onnx;auto", "extractor=net.onnx;extractor=auto"},
		{"evaluate.extractor", `C:\a\net.onnx;C:\b\net.onnx`, "extractor=C:-a-net.onnx;extractor=C:-b-net.onnx"},
		{"loop.steps_per_task", "100;300", "steps_per_task=100;steps_per_task=300"},
	} {
		if got := strings.Join(sweptNames(tc.key, strings.Split(tc.values, ";")), ";"); got != tc.want {
			t.Errorf("%s=%s: %q, want %q", tc.key, tc.values, got, tc.want)
		}
	}
}
