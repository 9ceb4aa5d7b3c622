package experiment

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An error says where the value stands that it is about: in the file, or with the option that gave it, whatever else is wrong.
func TestErrorsBlameWhereTheValueStands(t *testing.T) {
	for _, tc := range []struct {
		text, set, begins string
		refused           bool
	}{
		{"loop: {steps_per_task: \"150\"}", "loop.steps_per_task=0", "set loop.steps_per_task=0: ", true},
		{"loop: {steps_per_task: \"150\"}", "loop.fresh_rows=0", "my.yaml: ", false},
		{"loop: {fresh_rows: 0}", "loop.steps_per_task=much", "set loop.steps_per_task=much: ", true},
		{"loop: {fresh_rows: 0}", "loop.steps_per_task=5", "my.yaml: ", false},
		{"loop: 5", "loop.steps_per_task=1", "my.yaml:1: ", false},
		{"benchmark: {prep: 5}", "benchmark.prep.size=8", "my.yaml:1: ", false},
	} {
		_, err := OverrideConfig("my.yaml", []byte(tc.text), []string{tc.set})
		if err == nil || !strings.HasPrefix(err.Error(), tc.begins) || errors.As(err, new(Refused)) != tc.refused {
			t.Errorf("%s with %s: %v; want one that begins with %q", tc.text, tc.set, err, tc.begins)
		}
	}
}

// What a network would refuse once it is built is refused by the settings alone.
func TestSettingsThatContradictEachOther(t *testing.T) {
	g := Grid{Strategies: []string{"finetune"}, Seeds: 1, Set: []string{"loop.label_dropout=0.1", "network.conditional=false"}}
	_, err := g.Configs("the quick benchmark", nil)
	if err == nil || !errors.As(err, new(Refused)) || !strings.Contains(err.Error(), "loop.label_dropout") || !strings.Contains(err.Error(), "network.conditional") {
		t.Error(err)
	}
	c := DefaultConfig()
	c.Benchmark.ClassesPerTask = 10
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	c.Benchmark.ClassesPerTask = 11
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "take 10 for one task of them all") {
		t.Error(err)
	}
}

// A file that cannot judge a run's images is refused while there is nothing of the run, on this machine or another; one that can passes.
func TestExtractorsAreOpenedEarly(t *testing.T) {
	folder := t.TempDir()
	net, err := os.ReadFile("../metrics/testdata/onnx-nchw.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"text.onnx": "no network", "text.json": `{"colours": "rgb", "range": [0, 1]}`,
		"other.onnx": strings.ReplaceAll(string(net), "Sigmoid", "Sigmoit"), "other.json": `{"colours": "rgb", "range": [0, 1]}`,
		"cut.safetensors": "no weights",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	more := filepath.Join(folder, "more")
	pictureFolder(t, more, 150, "flower")
	for _, tc := range []struct{ extractor, set, want string }{
		{"../metrics/testdata/onnx-nchw.onnx", "seed=0", ""},
		{"../metrics/weights/fashion-mnist-area16.safetensors", "seed=0", ""},
		{filepath.Join(folder, "none.onnx"), "seed=0", "no such file"},
		{filepath.Join(folder, "text.onnx"), "seed=0", "text.onnx: it is no ONNX file"},
		{filepath.Join(folder, "other.onnx"), "seed=0", "Sigmoit"},
		{filepath.Join(folder, "cut.safetensors"), "seed=0", "taken for Inception it does not load"},
		{"../metrics/testdata/inception-tiny.safetensors", "seed=0", "inception-tiny.safetensors takes colour images of any size"},
		{"../metrics/weights/fashion-mnist-area16.safetensors", "benchmark.prep.size=24", "classifier fashion-mnist-area16 takes grey images of 16×16"},
		{"../metrics/weights/fashion-mnist-area16.safetensors", "evaluate.samples_per_task=63", "fewer than the 64 features of the extractor"},
		{"../metrics/weights/fashion-mnist-area16.safetensors",
			"benchmark.prep.channels=1 benchmark.datasets=[fashion-mnist-sample," + more + "]", "knows 10 classes"},
	} {
		c, err := OverrideConfig("", nil, append(strings.Fields(tc.set), "evaluate.extractor="+tc.extractor))
		if err != nil {
			t.Fatal(err)
		}
		study := Study{Dir: filepath.Join(t.TempDir(), "study"), Runs: []Config{c}, Elsewhere: true}
		for name, err := range map[string]error{"of a run": CheckRun(c, filepath.Join(study.Dir, c.RunName())), "of a study": study.Check()} {
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s %s, %s: %v; want %q", tc.extractor, tc.set, name, err, tc.want)
			}
		}
		if _, err := os.Stat(study.Dir); err == nil {
			t.Errorf("%s: something was made", tc.extractor)
		}
	}
}

// What no machine trains is refused before anything of it is built.
func TestTooLarge(t *testing.T) {
	for _, tc := range []struct {
		set  []string
		want string
	}{
		{[]string{"network.res_blocks=1000000"}, "need at most 1000"},
		{[]string{"network.base=1048576"}, "weights"},
		{[]string{"network.mults=[1000000,1,1]"}, "weights"},
		{[]string{"loop.fresh_rows=1048576"}, "rows or fewer"},
		{[]string{"loop.replay_rows=1048576"}, "rows or fewer"},
		{[]string{"strategy.name=er", "strategy.rows=1000000"}, "the rows that er replays 1000000"},
		{[]string{"strategy.name=er", "strategy.rows=1000000000000"}, "er: rows is 1000000000000; need 0 to 1048576"},
		{[]string{"strategy.name=der", "strategy.targets=1001"}, "der: targets is 1001; need 1000 at most, the timesteps"},
		{[]string{"strategy.name=gr", "strategy.pool=1000000000000"}, "gr: pool is 1000000000000; need 0 to 1000000000"},
		{[]string{"strategy.name=lora", "strategy.rank=1000000"}, "lora: rank is 1000000; need 1 to 16384"},
		{[]string{"strategy.name=mir", "strategy.candidates=1000000000000"}, "mir: candidates is 1000000000000; need 1 to 1048576"},
		{[]string{"strategy.name=ewc", "strategy.fisher_rows=1000000000000"}, "ewc: fisher_rows is 1000000000000; need 1 to 1000000000"},
		{[]string{"evaluate.samples_per_task=1000000000000"}, "need 1 to 16777216"},
		{[]string{"evaluate.samples_per_task=10000000"}, "take 8388608 or fewer"}, // 2^31 values of 16×16 each
		{[]string{"evaluate.samples_per_task=1000000", "evaluate.batch=1000000"}, "evaluate.batch is 1000000"},
		{[]string{"bpd.images=201"}, "bpd.images is 201, but task 1 (T-shirt/top + Trouser) has 200 test images"},
		{[]string{"bpd.images=1000000000000"}, "has 200 test images"},
		{[]string{"network.architecture=dit", "network.depth=1000000"}, "at most 1000"},
		{[]string{"network.architecture=dit", "network.hidden=1048576"}, "weights"},
		{[]string{"network.architecture=dit", "loop.fresh_rows=1048576"}, "rows or fewer"},
	} {
		c, err := OverrideConfig("", nil, tc.set)
		if err == nil {
			err = c.Check()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v gives %v, not %q", tc.set, err, tc.want)
		}
	}
}

// A model to start from has a size of its own. A run that was stored with another is read all the same.
func TestSizeBesideInit(t *testing.T) {
	c := DefaultConfig()
	c.Network.Init = "model"
	if err := c.checkInitSize(); err != nil {
		t.Error(err)
	}
	c.Network.Size = "small"
	if err := c.checkInitSize(); err == nil || !strings.Contains(err.Error(), "network.size") {
		t.Error(err)
	}
	if _, err := OverrideConfig("my.yaml", []byte("network: {init: none-such, size: small}"), nil); err == nil || !strings.Contains(err.Error(), "network.size") {
		t.Error(err)
	}
}

// A study in which runs would be made twice is refused: they would be one, or equal to the last digit.
func TestRunsTwice(t *testing.T) {
	grid := func(g Grid) Grid {
		g.Seeds = 1
		if g.Strategies == nil {
			g.Strategies = []string{"er"}
		}
		return g
	}
	for name, g := range map[string]Grid{
		"a variant of the usual settings": grid(Grid{Variants: []string{"a: loop.steps_per_task=150"}}),
		"two variants alike":              grid(Grid{Variants: []string{"a: loop.steps_per_task=15", "b: loop.steps_per_task=15.0"}}),
	} {
		if _, err := g.Configs("", nil); err == nil || !errors.As(err, new(Refused)) || !strings.Contains(err.Error(), "made twice") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, g := range map[string]Grid{
		"a value twice":    grid(Grid{Sweeps: []string{"lambda=1,1"}}),
		"a strategy twice": grid(Grid{Strategies: []string{"er", "er"}}),
	} {
		configs, err := g.Configs("", nil)
		if err == nil {
			err = Study{Dir: t.TempDir(), Runs: configs}.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), "given twice") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a process says before it ends is the error, without how it ended; where it fell, that is told.
func TestErrorsOfProcesses(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip(err)
	}
	for script, want := range map[string]string{
		"echo error: another process is at work >&2; exit 1": "another process is at work",
		"echo error: no such thing >&2; exit 2":              "no such thing",
		"echo error: memory >&2; exit 4":                     "its process ended (exit status 4): error: memory",
		"echo odd >&2; exit 1":                               "its process ended (exit status 1): odd",
	} {
		err := Processes(1, "sh", "-c", script)(t.Context(), t.TempDir(), 0, nil)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
}

// What has no name, and what is not there, is refused before anything is made.
func TestNothingToWorkWith(t *testing.T) {
	t.Chdir(t.TempDir())
	for want, try := range map[string]func() error{
		"the run has no folder":   func() error { _, err := Run(t.Context(), DefaultConfig(), "", Options{}); return err },
		"a folder without a name": func() error { _, err := LockFolder(""); return err },
		"nothing to start":        func() error { _, err := CalibrateApart(t.Context(), DefaultConfig(), nil); return err },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want an error with %q", err, want)
		}
	}
	if made, err := os.ReadDir("."); err != nil || len(made) > 0 {
		t.Errorf("%v (%v) is left in the folder at hand", made, err)
	}
	if text := Told(nil); text != "" {
		t.Errorf("of no error %q is told", text)
	}
}

// Errors call what was given by its field, and where the command line filled it by its flag: each error of one form has its like in the other.
func TestErrorsCallFieldsOrFlags(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := Run(t.Context(), briefConfig(0), dir, Options{}); err != nil {
		t.Fatal(err)
	}
	grid := func(g Grid) func(bool) error {
		return func(flags bool) error {
			if g.Flags = flags; g.Seeds == 0 {
				g.Seeds = 1
			}
			if g.Strategies == nil {
				g.Strategies = []string{"er"}
			}
			_, err := g.Configs("the test", nil)
			return err
		}
	}
	search := func(s Search) func(bool) error {
		return func(flags bool) error { s.Flags = flags; _, err := s.Trials(); return err }
	}
	extension := func(x Extension) func(bool) error {
		return func(flags bool) error { x.Flags = flags; _, err := x.Of(dir); return err }
	}
	folder := t.TempDir()
	taken := func(format string) func(bool) error {
		return func(flags bool) error { return ExportOptions{Format: format, Flags: flags}.free(folder) }
	}
	for _, tc := range []struct {
		try          func(flags bool) error
		field, flags string
	}{
		{grid(Grid{Seeds: -1}), "Seeds is -1; need", "--seeds is -1; need"},
		{grid(Grid{Sweeps: []string{"seed=1,2"}}), "Sweeps seed=1,2: the seed is not swept; Seeds N", "--sweep seed=1,2: the seed is not swept; --seeds N"},
		{grid(Grid{Sweeps: []string{"x"}}), `Sweeps "x"; need SETTING=`, `--sweep "x"; need SETTING=`},
		{grid(Grid{Sweeps: []string{"strategy.name=er"}}), "name them by Strategies", "name them by --strategies"},
		{grid(Grid{Sweeps: []string{"nothing.x=1"}}), `Sweeps nothing.x=1: there is no setting "nothing"`, `--sweep nothing.x=1: there is no setting "nothing"`},
		{grid(Grid{Strategies: []string{"finetune"}, Sweeps: []string{"lambda=1"}}), `Sweeps lambda=1: none of [finetune] has a setting "lambda", or any; leave it out`, "--sweep lambda=1: none of"},
		{grid(Grid{Set: []string{"lambda=0.5"}}), `Set lambda=0.5: "lambda" is a setting of strategies and not of the configuration; write Sweeps lambda=0.5`, "write --sweep lambda=0.5"},
		{grid(Grid{Variants: []string{"x: lambda=3"}, Sweeps: []string{"lambda=1"}, UsualSweeps: true}), `variant "x": Variants lambda=3: "lambda" is`, `variant "x": --variant lambda=3: "lambda" is`},
		{grid(Grid{Variants: []string{"x"}}), `Variants "x"; need`, `--variant "x"; need`},
		{grid(Grid{Set: []string{"strategy.buffer=3"}}), "for those of Strategies write Sweeps buffer=3", "for those of --strategies write --sweep buffer=3"},
		{grid(Grid{Strategies: []string{"er", ""}}), "the name of a strategy is empty", "the name of a strategy is empty"},
		{search(Search{}), "Seeds is 0; need", "--seeds is 0; need"},
		{search(Search{Seeds: 1, Set: []string{"loop.x=1"}}), "Set loop.x=1: there is no", "--set loop.x=1: there is no"},
		{extension(Extension{}), "(Tasks '[[8, 9]]') or a set (Datasets NAME)", "(--tasks '[[8, 9]]') or a set (--dataset NAME)"},
		{extension(Extension{Tasks: "x"}), `Tasks is "x"; need`, `--tasks is "x"; need`},
		{extension(Extension{Datasets: []string{"nosuch"}}), "Datasets: no set is named", "--dataset: no set is named"},
		{taken(FormatDiffusers), "is there already; name another, or give Overwrite", "is there already; name another, or give --overwrite"},
		{taken(FormatSafetensors), "is to be a file of Format safetensors", "is to be a file of --format safetensors"},
		{extension(Extension{Datasets: []string{"mnist"}, Tasks: "[[1]]"}), "Tasks names classes of the run's own set and Datasets sets", "--tasks names classes of the run's own set and --dataset sets"},
	} {
		for flags, want := range map[bool]string{false: tc.field, true: tc.flags} {
			if err := tc.try(flags); err == nil || !strings.Contains(err.Error(), want) || !flags && strings.Contains(err.Error(), "--") {
				t.Errorf("flags %t: %v; want %q", flags, err, want)
			}
		}
	}
}
