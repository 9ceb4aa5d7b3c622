package experiment

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/results"
)

// extensible is a short run of the given tasks, under strategies that keep something in every place: a buffer, a penalty in the
// network, and a teacher with its pool.
func extensible(tasks ...[]string) Config {
	c := smallConfig()
	b := &c.Benchmark
	b.ClassOrder, b.Classes, b.Tasks = "natural", nil, tasks
	c.Loop.StepsPerTask = 6
	c.Strategy = cl.Spec{Name: "er+ewc+generative_distillation", Settings: map[string]any{"buffer": 12, "fisher_rows": 8, "pool": 8}}
	c.Probe.Every, c.BPD = 0, BPDConfig{}
	return c
}

// lastNetwork is the file of the network in the newest checkpoint.
func lastNetwork(t *testing.T, dir string) []byte {
	t.Helper()
	names, err := checkpoints(dir)
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "checkpoints", names[len(names)-1], "network.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A finished run that goes on with a class that came later, and is stopped on the way, ends as the run that knew of all from the
// start: in weights, losses and in everything measured from the end of the first run on. That stays as it is.
func TestExtendedEqualsOneRun(t *testing.T) {
	dir := t.TempDir()
	base, later, whole := filepath.Join(dir, "base"), filepath.Join(dir, "base-3tasks"), filepath.Join(dir, "whole")
	first := [][]string{{"Sneaker", "Ankle boot"}, {"T-shirt/top"}}
	before, err := Run(t.Context(), extensible(first...), base, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := Run(t.Context(), extensible(append(first, []string{"Bag", "Dress"})...), whole, Options{})
	if err != nil {
		t.Fatal(err)
	}
	was := filesOf(t, base)
	c, err := Extension{Tasks: "[[8, Dress]]"}.Of(base)
	if err != nil {
		t.Fatal(err)
	}
	if c.Folder(base+"/") != later {
		t.Errorf("it goes to %s", c.Folder(base))
	}
	if err := CheckRun(c, later); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err = Run(ctx, c, later, Options{Progress: func(p Progress) {
		if p.Step >= 14 {
			cancel()
		}
	}}); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped: %v", err)
	}
	moved := base + "-moved" // it has a checkpoint of its own now
	if err := os.Rename(base, moved); err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(was, filesOf(t, moved), bytes.Equal) {
		t.Error("the finished run has changed")
	}
	got, err := Resume(t.Context(), later, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(lastNetwork(t, later), lastNetwork(t, whole)) {
		t.Error("the weights are not those of one run")
	}
	if !reflect.DeepEqual(got.Losses, want.Losses) || !reflect.DeepEqual(got.Benchmark, want.Benchmark) || !reflect.DeepEqual(got.Protocol, want.Protocol) {
		t.Error("losses, benchmark or protocol are not those of one run")
	}
	if len(got.Evaluations) != 3 {
		t.Fatalf("%d measurements, want 3", len(got.Evaluations))
	}
	gotText, wantText := written(t, got.Evaluations[1:]), written(t, want.Evaluations[1:])
	if !bytes.Equal(gotText, wantText) {
		t.Errorf("what was measured from the end of the first run on is not that of one run:\n%s\n%s", gotText, wantText)
	}
	// Of the first task, which was measured when nobody knew of the third.
	if e := got.Evaluations[0]; len(e.Tasks) != 2 || !reflect.DeepEqual(e.Tasks[0].FID, want.Evaluations[0].Tasks[0].FID) || e.Tasks[0].Copies != nil {
		t.Errorf("after the first task: %+v", e)
	}
	if x := got.Provenance.Extends; x == nil || x.Name != before.Name || x.Tasks != 2 || x.Step != 12 || x.SHA256 != c.Extends.SHA256 {
		t.Errorf("it says that it extends %+v", x)
	}
	if got.Name != before.Name+"-3tasks" || got.Strategy.Label != want.Strategy.Label {
		t.Errorf("it is called %s, %s", got.Name, got.Strategy.Label)
	}
	autopsies := map[string][]byte{}
	for _, d := range []string{later, whole} { // over networks that both runs kept
		if autopsies[d], err = os.ReadFile(filepath.Join(d, results.AutopsyFile)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(autopsies[later], autopsies[whole]) {
		t.Errorf("the autopsy is not that of one run:\n%s\n%s", autopsies[later], autopsies[whole])
	}
	// Extended again, the name counts on.
	again, err := Extension{Tasks: "[[Coat]]"}.Of(later)
	if err != nil || again.Name != before.Name+"-4tasks" || again.Folder(later) != base+"-4tasks" || again.Extends.Tasks != 3 {
		t.Errorf("extended again: %s in %s, %+v, %v", again.Name, again.Folder(later), again.Extends, err)
	}
}

// written is a value as JSON.
func written(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// filesOf are all files below a folder by their paths.
func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Sets that come later bring labels, for which the network grows unless it has room: with room it is bit for bit the run that knew
// of them.
func TestExtendedBySets(t *testing.T) {
	dir := t.TempDir()
	flowers := filepath.Join(t.TempDir(), "flowers")
	pictureFolder(t, flowers, 30, "daisy", "lily")
	set := func(c *Config, sets ...string) {
		c.Benchmark.Datasets, c.Network.Classes, c.Benchmark.Prep.Channels = sets, 12, 1
		c.Evaluate.Extractor, c.Evaluate.AllowSmallN = "../metrics/weights/fashion-mnist+mnist-area16.safetensors", true
		c.Strategy, c.Autopsy = cl.Spec{Name: "ewc", Settings: map[string]any{"fisher_rows": 8}}, AutopsyConfig{}
		c.Loop.ReplayRows, c.Loop.LabelDropout = 0, 0.2
	}
	base, whole := extensible([]string{"Sneaker", "Bag"}), extensible([]string{"Sneaker", "Bag"})
	set(&base, "fashion-mnist-sample")
	set(&whole, "fashion-mnist-sample", flowers)
	for folder, c := range map[string]Config{"base": base, "whole": whole} {
		if _, err := Run(t.Context(), c, filepath.Join(dir, folder), Options{}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Extension{Datasets: []string{flowers}}.Of(filepath.Join(dir, "base"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Run(t.Context(), c, filepath.Join(dir, "later"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(lastNetwork(t, filepath.Join(dir, "later")), lastNetwork(t, filepath.Join(dir, "whole"))) {
		t.Error("the weights are not those of one run")
	}
	if n := len(got.Evaluations[0].Tasks); n != 2 {
		t.Errorf("the end of the first task is measured on %d tasks", n)
	}
}

// What cannot be extended, or not by what is asked for, is refused in one line, and no folder is made.
func TestExtensionsRefused(t *testing.T) {
	dir := t.TempDir()
	finished := func(name string, change func(*Config)) string {
		c := extensible([]string{"Sneaker"}, []string{"Bag"})
		c.Strategy, c.Autopsy = cl.Spec{Name: "finetune"}, AutopsyConfig{}
		change(&c)
		folder := filepath.Join(dir, name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := claim(c, folder, nil); err != nil {
			t.Fatal(err)
		}
		return folder
	}
	result := func(folder string) {
		r := &results.Run{Schema: results.Schema, Name: "finetune-seed0", Strategy: results.Strategy{Name: "finetune", Label: "finetune"},
			Benchmark: results.Benchmark{ClassNames: []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
				Tasks: []results.Task{{Name: "Sneaker", Classes: []int{7}, Train: 601}, {Name: "Bag", Classes: []int{8}, Train: 600}}, ImageSize: 16, Channels: 1}}
		if err := r.Save(filepath.Join(folder, "result.json")); err != nil {
			t.Fatal(err)
		}
	}
	unfinished := finished("unfinished", func(*Config) {})
	plain := finished("plain", func(*Config) {})
	blurred := finished("blurred", func(c *Config) { c.Benchmark.Blur = 0.1 })
	online := finished("online", func(c *Config) { c.Benchmark.Stream = StreamOnline })
	wide := finished("wide", func(c *Config) { c.Benchmark.Prep = datasets.Prep{Method: "none"} })
	packed := finished("packed", func(c *Config) { c.Strategy.Name = "packnet" })
	for _, folder := range []string{plain, blurred, online, packed, wide} {
		result(folder)
	}
	tasks := Extension{Tasks: "[[Dress]]"}
	for _, tc := range []struct {
		dir  string
		x    Extension
		want string
	}{
		{dir, tasks, "is no run folder"},
		{filepath.Join(dir, "nosuch"), tasks, "there is no folder"},
		{unfinished, tasks, "is not finished, and only a finished one is extended"},
		{blurred, tasks, "blurred borders"},
		{online, tasks, "a stream that ended within a batch, 1 of 4 images"},
		{packed, tasks, "2 tasks have shared out all weights among themselves"},
		{plain, tasks, "keeps no checkpoint of the end of its last task"},
		{plain, Extension{}, "nothing is there to learn"},
		{plain, Extension{Tasks: "[[Dress]]", Datasets: []string{"mnist"}}, "give one of them"},
		{plain, Extension{Tasks: "[[Bag]]"}, `the class "Bag" is learned already, in task 2`},
		{plain, Extension{Tasks: "[[Dress], [3]]"}, `the class "Dress" is listed twice`},
		{plain, Extension{Tasks: "[[Dres]]"}, `did you mean "Dress"`},
		{plain, Extension{Tasks: "[[10]]"}, "there is no class 10"},
		{plain, Extension{Tasks: "[[]]"}, "lists no class"},
		{plain, Extension{Tasks: "Dress"}, "need the classes of each task to come"},
		{plain, Extension{Datasets: []string{"fashion-mnist-sample"}}, "learned already"},
		{plain, Extension{Datasets: []string{"mnist-10"}}, `did you mean "mnist-10k"`},
		{wide, Extension{Datasets: []string{"cifar-10"}}, "images of cifar-10 are 32×32×3 once prepared, those of the run"},
		{plain, Extension{Tasks: "[[Dress]]", Set: []string{"loop.fresh_rows=8"}}, "loop.fresh_rows: an extended run goes on with the settings"},
	} {
		to := filepath.Join(dir, "to")
		c, err := tc.x.Of(tc.dir)
		if err == nil {
			err = CheckRun(c, to)
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s, %+v: %v, want %q", filepath.Base(tc.dir), tc.x, err, tc.want)
		}
		if _, err := os.Stat(to); err == nil {
			t.Fatalf("%+v: the folder was made", tc.x)
		}
	}
	c, err := Extension{Tasks: "[[Dress]]", Set: []string{"probe.every=5", "cores=1"}}.Of(plain)
	if err != nil || c.Probe.Every != 5 || c.Cores != 1 || !slices.EqualFunc(c.Benchmark.Tasks, [][]string{{"Sneaker"}, {"Bag"}, {"Dress"}}, slices.Equal[[]string]) {
		t.Errorf("%+v, %v", c, err)
	}
	extensionHasCores(t, plain, 1)
}

// extensionHasCores gives the finished run in dir a stretch on so many cores, and sees that one that extends it is kept to them.
func extensionHasCores(t *testing.T, dir string, cores int) {
	t.Helper()
	path := filepath.Join(dir, "result.json")
	r, err := results.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	r.Provenance.Stretches = []results.Stretch{{Backend: "go", Cores: cores, Commit: "unknown", Go: "go1"}}
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "checkpoints", checkpointName(cl.Position{Phase: 1, Step: 6})), 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := Extension{Tasks: "[[Dress]]"}.Of(dir)
	if err != nil {
		t.Fatal(err)
	}
	next := &run{config: c, dir: t.TempDir()}
	got, err := next.useCores()
	if err != nil || got != cores {
		t.Errorf("it runs on %d cores (%v), want %d", got, err, cores)
	}
	next.release()
}

// A run that was moved is the same to the one that extends it, by its result; and that one is found when the other is gone.
func TestExtendedRunMoves(t *testing.T) {
	dir := t.TempDir()
	to, old := filepath.Join(dir, "run-3tasks"), filepath.Join(dir, "run")
	c := extensible([]string{"Sneaker"}, []string{"Bag"})
	c.Extends = ExtendsConfig{Run: old, SHA256: strings.Repeat("0", 64), Tasks: 1}
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := claim(c, to, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(to, "samples"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "samples", "a.png"), nil, 0o644); err != nil { // it has begun
		t.Fatal(err)
	}
	bag := Extension{Tasks: "[[Bag]]"}
	if got, _, _ := bag.Begun(old, ""); got != "" {
		t.Errorf("%s is to go on without a checkpoint", got)
	}
	if err := os.MkdirAll(filepath.Join(to, "checkpoints", checkpointName(cl.Position{Step: 1})), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"", to} {
		if got, began, same := bag.Begun(old, folder); got != to || !same || !slices.EqualFunc(began.Benchmark.Tasks, c.Benchmark.Tasks, slices.Equal[[]string]) {
			t.Errorf("%q goes on, the same %t, with tasks %v; want %s", got, same, began.Benchmark.Tasks, to)
		}
	}
	for _, tc := range []struct {
		x    Extension
		same bool
	}{
		{Extension{Tasks: "[[8]]"}, true}, {Extension{Tasks: "[[Bag]]", Set: []string{"probe.every=7"}}, true},
		{Extension{Tasks: "[[7]]"}, false}, {Extension{Tasks: "[[Bag], [Dress]]"}, false}, {Extension{Tasks: "[[Bag, Dress]]"}, false},
		{Extension{Tasks: "Bag"}, false}, {Extension{}, false}, {Extension{Datasets: []string{"mnist"}}, false},
		{Extension{Tasks: "[[Bag]]", Datasets: []string{"mnist"}}, false}, {Extension{Tasks: "[[Bag]]", Set: []string{"seed=7"}}, false},
	} {
		if got, _, same := tc.x.Begun(old, ""); got != to || same != tc.same {
			t.Errorf("%+v: %q goes on, the same %t; want %s, %t", tc.x, got, same, to, tc.same)
		}
	}
	if got, _, _ := bag.Begun(filepath.Join(dir, "other"), ""); got != "" {
		t.Errorf("%s is to go on for a run that it does not extend", got)
	}
	c.Extends.Run = filepath.Join(dir, "moved")
	if _, claimed, err := claimable(c, to); err != nil || !claimed {
		t.Errorf("the run that was moved is another: %v", err)
	}
	c.Extends.SHA256 = strings.Repeat("1", 64)
	if _, _, err := claimable(c, to); err == nil {
		t.Error("a run of another result is the same")
	}
}

// A set that is named twice is told from one that is learned already.
func TestSetsToComeAreNamedOnce(t *testing.T) {
	for want, names := range map[string][]string{"is named twice": {"mnist-10k", "mnist-10k"}, "is learned already": {DefaultConfig().Benchmark.Datasets[0]}} {
		c := DefaultConfig()
		if err := (Extension{Datasets: names}).addSets(&c, nil, "here"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", names, err, want)
		}
	}
}

// Classes that came to the run's own folder are learned where they are asked for, and not beside a set that is; one whose name comes before
// the others is told why it cannot be.
func TestClassesThatCameSince(t *testing.T) {
	dir := t.TempDir()
	flowers, birds := filepath.Join(dir, "flowers"), filepath.Join(dir, "birds")
	pictureFolder(t, flowers, 5, "daisy", "lily", "rose", "tulip")
	pictureFolder(t, birds, 4, "a", "b", "c", "d", "owl")
	for _, class := range []string{"a", "b", "c", "d"} { // whose colours are those of flowers
		if err := os.RemoveAll(filepath.Join(birds, class)); err != nil {
			t.Fatal(err)
		}
	}
	c := DefaultConfig()
	c.Benchmark.Datasets, c.Benchmark.Prep.Channels, c.Strategy = []string{flowers}, 1, cl.Spec{Name: "finetune"}
	run := filepath.Join(dir, "run")
	if err := os.MkdirAll(run, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := claim(c, run, nil); err != nil {
		t.Fatal(err)
	}
	r := &results.Run{Schema: results.Schema, Name: "finetune-seed0", Strategy: results.Strategy{Name: "finetune", Label: "finetune"},
		Benchmark: results.Benchmark{ClassNames: []string{"daisy", "lily", "rose", "tulip"}, ImageSize: 16, Channels: 1,
			Tasks: []results.Task{{Name: "daisy + lily", Classes: []int{0, 1}, Train: 8}, {Name: "rose + tulip", Classes: []int{2, 3}, Train: 8}}}}
	if err := r.Save(filepath.Join(run, "result.json")); err != nil {
		t.Fatal(err)
	}
	extended := func(x Extension) (int, string) {
		c, err := x.Of(run)
		if err != nil {
			return 0, err.Error()
		}
		n, err := c.tasks()
		return n, fmt.Sprint(err)
	}
	pictureFolder(t, flowers, 5, "violet")
	for name, tc := range map[string]struct {
		x    Extension
		want int
	}{"a set": {Extension{Datasets: []string{birds}}, 3}, "the class": {Extension{Tasks: "[[violet]]"}, 3}} {
		if n, err := extended(tc.x); n != tc.want {
			t.Errorf("%s: %d tasks (%s), want %d", name, n, err, tc.want)
		}
	}
	pictureFolder(t, flowers, 5, "aster")
	if _, err := extended(Extension{Tasks: "[[aster]]"}); !strings.Contains(err, `give it a name that comes after "tulip"`) {
		t.Errorf("a class before the others: %s", err)
	}
	if _, err := extended(Extension{Datasets: []string{birds}}); !strings.Contains(err, "3 tasks now, where it learned 2") {
		t.Errorf("a set beside a class before the others: %s", err)
	}
}
