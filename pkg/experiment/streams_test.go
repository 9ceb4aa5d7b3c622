package experiment

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
)

// onlineConfig is a small run through unequal tasks with blurred borders in one stream without borders.
func onlineConfig() Config {
	c := smallConfig()
	b := &c.Benchmark
	b.ClassOrder, b.Classes = "natural", nil
	b.Tasks = [][]string{{"Sneaker", "Ankle boot"}, {"Bag"}}
	b.Blur, b.Stream = 0.1, StreamOnline
	c.Loop.FreshRows, c.CheckpointEvery = 100, 4
	c.Strategy.Settings = map[string]any{"lambda": 0.5, "buffer": 12, "policy": "class-balanced"}
	c.Probe.Every, c.BPD, c.Autopsy = 7, BPDConfig{}, AutopsyConfig{}
	return c
}

// A run through a stream without borders that is interrupted twice and goes on is the uninterrupted one, and its result says how the
// images came.
func TestOnlineRunResumes(t *testing.T) {
	c := onlineConfig()
	whole, parts := t.TempDir(), t.TempDir()
	want, err := Run(t.Context(), c, whole, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range []int{5, 13} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Run(ctx, c, parts, Options{Progress: func(p Progress) {
			if p.Step >= stop {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at step %d: %v", stop, err)
		}
	}
	got, err := Resume(t.Context(), parts, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written(t, got.Evaluations), written(t, want.Evaluations)) || !reflect.DeepEqual(got.Losses, want.Losses) {
		t.Error("measurements or losses of the interrupted run differ")
	}
	var weights [2]string
	for i, dir := range []string{whole, parts} {
		names, err := checkpoints(dir)
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "checkpoints", names[len(names)-1], "network.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		weights[i] = string(text)
	}
	if weights[0] != weights[1] {
		t.Error("the weights of the interrupted run differ")
	}
	b := want.Benchmark
	if b.Scenario != "class-incremental, a share of 0.1 at blurred borders, online" || !strings.Contains(b.Dataset, "2 tasks of 2 and 1 classes") {
		t.Errorf("the result tells of %q, %q", b.Dataset, b.Scenario)
	}
	// 600 images of a class. Of each, 60 are at home in one task and come with the other.
	if len(b.Tasks) != 2 || b.Tasks[0].Name != "Sneaker + Ankle boot" || !slices.Equal(b.Tasks[1].Classes, []int{8}) || b.Tasks[0].Train != 1140 || b.Tasks[1].Train != 660 || b.Tasks[1].Test != 100 {
		t.Errorf("the result tells of tasks %+v", b.Tasks)
	}
	if steps := []int{want.Evaluations[0].Step, want.Evaluations[1].Step}; want.Cost.Steps != 18 || !slices.Equal(steps, []int{12, 18}) {
		t.Errorf("%d steps, measured after %v; 1,800 images in batches of 100, of which 1,140 come first", want.Cost.Steps, steps)
	}
	if work, err := c.Work(); err != nil || work.Train != 18*(100+4)*backwardRows {
		t.Errorf("the work is %+v, %v", work, err)
	}
}

// What a stream cannot be, or a strategy cannot learn from, is refused before anything is trained.
func TestStreamsRefused(t *testing.T) {
	for want, set := range map[string][]string{
		"benchmark.blur is 0.7":             {"benchmark.blur=0.7"},
		"benchmark.blur is -0.1":            {"benchmark.blur=-0.1"},
		`benchmark.stream is "offline"`:     {"benchmark.stream=offline"},
		"loop.reset_optimizer starts":       {"benchmark.stream=online", "loop.reset_optimizer=true"},
		"class_order and benchmark.classes": {"benchmark.tasks=[[Bag]]", "benchmark.class_order=seeded"},
		"each set is a task":                {"benchmark.tasks=[[Bag]]", "benchmark.scenario=domain-incremental", "benchmark.datasets=[mnist-10k,fashion-mnist]"},
		`benchmark.tasks is "Bag"`:          {"benchmark.tasks=Bag"},
		`benchmark.tasks[0] is "Bag"`:       {"benchmark.tasks=[Bag]"},
		`did you mean "Bag"`:                {"benchmark.tasks=[[Shirt],[Bags]]"},
		`"Bag" is listed in task 1 and`:     {"benchmark.tasks=[[Bag],[Bag]]"},
		"is for class-incremental":          {"benchmark.scenario=domain-incremental", "benchmark.datasets=[mnist-10k,fashion-mnist]", "benchmark.part_all=true"},
		`"mnist" is named twice`:            {"benchmark.datasets=[mnist,mnist]", "benchmark.part_all=true"},
		`of "mnist-10k" are among those of`: {"benchmark.datasets=[mnist-10k,mnist]", "benchmark.scenario=domain-incremental"},
	} {
		if _, err := OverrideConfig("test", nil, set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", set, err, want)
		}
	}
	for want, set := range map[string][]string{
		"the borders of 1 task cannot":       {"benchmark.tasks=[[Bag]]", "benchmark.blur=0.1"},
		"gdumb works at the borders between": {"benchmark.stream=online", "strategy.name=gdumb"},
		"er works at the borders between":    {"benchmark.stream=online", "strategy.name=er", "strategy.policy=low-loss"},
		"agem works at the borders between":  {"benchmark.stream=online", "strategy.name=agem", "strategy.policy=high-loss"},
	} {
		c, err := OverrideConfig("test", nil, set)
		if err != nil {
			t.Fatal(err)
		}
		err = c.Check()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", set, err, want)
		}
		var missing *cl.BordersMissing
		if errors.As(err, &missing) != strings.Contains(want, "works at the borders") {
			t.Errorf("%v: the error is a %T", set, errors.Cause(err))
		}
	}
	// Names that YAML reads as numbers are names.
	c, err := OverrideConfig("test", nil, []string{"benchmark.datasets=[mnist-10k]", "benchmark.tasks=[[0, 1], [2]]"})
	if err != nil || !reflect.DeepEqual(c.Benchmark.Tasks, [][]string{{"0", "1"}, {"2"}}) {
		t.Errorf("%v, %v", c.Benchmark.Tasks, err)
	}
	other := c
	other.Benchmark.Tasks = [][]string{{"0 1"}, {"2"}}
	if len(differences(c, other)) == 0 {
		t.Error("the tasks [[0, 1], [2]] pass for [[0 1], [2]]")
	}
}

func TestProbeCount(t *testing.T) {
	for _, tc := range []struct {
		every, done int
		ends        []int
		want        int
	}{
		{10, 0, []int{24, 48}, 6}, // 10, 20, 24, 30, 40, 48
		{10, 24, []int{24, 48}, 3},
		{12, 0, []int{24, 48}, 4},
		{0, 0, []int{24}, 0},
		{5, 0, []int{3, 3, 5}, 2}, // 3, 5; the second phase has no step
		{5, 5, []int{3, 3, 5}, 0},
	} {
		if got := (ProbeConfig{Every: tc.every}).count(tc.done, tc.ends); got != tc.want {
			t.Errorf("%+v: %d measurements", tc, got)
		}
	}
}

// Tasks of too few images to measure them by are refused in one line, before a backend is opened.
func TestFewImagesRefused(t *testing.T) {
	for tasks, want := range map[string]string{
		"[[Bag]]": "task 1 (Bag) has 3 validation images; precision",
		// Of 600 images of a class, 0.005 are three.
		"[[Bag, Shirt, Coat], [Dress]]": "task 1 (Bag + Shirt + Coat) has 9 validation images, fewer than the 64 features",
	} {
		c, err := OverrideConfig("test", nil, []string{"benchmark.tasks=" + tasks, "benchmark.val_fraction=0.005", "evaluate.reference=validation"})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", tasks, err, want)
		}
	}
}

// The first images of a task are those of its own classes, evenly, and all of them where there are fewer than asked for.
func TestFirstImages(t *testing.T) {
	im := &datasets.Images{N: 7, H: 1, W: 1, C: 1, Pixels: []uint8{0, 1, 2, 3, 4, 5, 6}, Labels: []int32{9, 4, 9, 4, 4, 2, 9}}
	for _, tc := range []struct {
		classes []int
		n       int
		want    []int
	}{
		{[]int{4, 9}, 3, []int{1, 0, 3}},
		{[]int{4, 9}, 100, []int{1, 0, 3, 2, 4, 6}}, // not the image of class 2, which came with a neighbour
		{[]int{2}, 2, []int{5}},
		{[]int{8}, 2, nil},
	} {
		if got := firstImages(im, tc.classes, tc.n).IDs; !slices.Equal(got, tc.want) {
			t.Errorf("%d images of classes %v: %v, want %v", tc.n, tc.classes, got, tc.want)
		}
	}
}
