package experiment

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/cl"
)

// storedConfig writes a configuration into a folder as a version of the program would that lacks the settings named.
func storedConfig(t *testing.T, dir string, c Config, without ...string) {
	t.Helper()
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	for _, path := range without {
		keys := strings.Split(path, ".")
		node := tree
		for _, key := range keys[:len(keys)-1] {
			node = node[key].(map[string]any)
		}
		if _, ok := node[keys[len(keys)-1]]; !ok {
			t.Fatalf("there is no setting %s to leave out", path)
		}
		delete(node, keys[len(keys)-1])
	}
	if text, err = yaml.Marshal(tree); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, configFile), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// begun makes a folder look like one of a run that has begun.
func begun(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "checkpoints", "phase00-step000003"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// A folder is a configuration's by what the settings mean, not by how they are written.
func TestFoldersAreClaimedByMeaning(t *testing.T) {
	c := smallConfig()
	c.Probe, c.Autopsy = DefaultConfig().Probe, DefaultConfig().Autopsy
	for name, store := range map[string]func(dir string){
		"the same": func(dir string) { storedConfig(t, dir, c) },
		"older than some settings": func(dir string) {
			storedConfig(t, dir, c, "probe", "autopsy", "loop.timestep_sampler", "benchmark.prep.border", "variant")
		},
		"a default setting written out": func(dir string) {
			d := c
			d.Strategy.Settings = map[string]any{"lambda": 0.5, "buffer": 12, "policy": "reservoir", "draw": "uniform"}
			storedConfig(t, dir, d)
		},
		"a whole number with a point": func(dir string) {
			d := c
			d.Strategy.Settings = map[string]any{"lambda": 0.5, "buffer": 12.0, "policy": "reservoir"}
			storedConfig(t, dir, d)
		},
	} {
		dir := t.TempDir()
		store(dir)
		begun(t, dir)
		if over, claimed, err := claimable(c, dir); err != nil || !claimed || over != "" {
			t.Errorf("%s: claimed %v, taken over %q, %v", name, claimed, over, err)
		}
		if _, err := StoredConfig(dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The configuration that the commit 777311d wrote for the first run of the quick benchmark belongs to that run for good.
func TestFixtureOfAnOlderConfigurationIsStillItsOwn(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "config-777311d.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, configFile), text, 0o644); err != nil {
		t.Fatal(err)
	}
	begun(t, dir)
	c := DefaultConfig()
	c.Strategy = cl.Spec{Name: "er", Settings: map[string]any{"lambda": 0.3}}
	if _, claimed, err := claimable(c, dir); err != nil || !claimed {
		t.Errorf("claimed %v, %v", claimed, err)
	}
}

// A refusal lists every setting that differs, with both values.
func TestRefusalsNameTheSettings(t *testing.T) {
	c := smallConfig()
	c.Benchmark.Classes = []int{9, 2, 5}
	dir := t.TempDir()
	storedConfig(t, dir, c)
	begun(t, dir)
	d := c
	d.Benchmark.Classes, d.Loop.StepsPerTask = []int{9, 2, 5, 0}, 25
	d.Strategy.Settings = map[string]any{"lambda": 0.25, "buffer": 12, "policy": "reservoir"}
	_, _, err := claimable(d, dir)
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"benchmark.classes: there [9 2 5], here [9 2 5 0]", "loop.steps_per_task: there 24, here 25",
		"strategy.lambda: there 0.5, here 0.25", "name another folder"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q does not say %q", err, part)
		}
	}
	d.Strategy = cl.Spec{Name: "joint"}
	d.Seed, d.Evaluate.Batch, d.Evaluate.SamplesPerTask = 5, 7, 80
	if _, _, err = claimable(d, dir); err == nil || !strings.Contains(err.Error(), "more") {
		t.Errorf("%v does not count what is left out", err)
	}
	// What a later version wrote is named, not overlooked.
	text, err := os.ReadFile(filepath.Join(dir, configFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, configFile), append(text, "wings: 2\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err = claimable(c, dir); err == nil || !strings.Contains(err.Error(), `"wings"`) {
		t.Errorf("an unknown setting gives %v", err)
	}
}

// Nobody's files are written over, nor is anything put beside them.
func TestFoldersOfOthersAreLeftAlone(t *testing.T) {
	c := smallConfig()
	for name, tc := range map[string]struct {
		files map[string]string
		want  string // "": may be had
	}{
		"nothing":                 {nil, ""},
		"leftovers":               {map[string]string{lockFile: "", "log.txt": "x\n", ".config.yaml.123.tmp": "na", atomicfile.Unfinished + "1": ""}, ""},
		"another's configuration": {map[string]string{configFile: "my: own\n"}, `there is no setting "my"`},
		"text":                    {map[string]string{configFile: "dear diary\n"}, "cannot read"},
		"half a YAML":             {map[string]string{configFile: "benchmark: {prep\n"}, "cannot read"},
		"a later version's":       {map[string]string{configFile: "seed: 0\nwings: 2\n"}, "wings"},
		"a repository":            {map[string]string{".git": "", "go.mod": "", "main.go": "", "README.md": ""}, "it holds .git, README.md, go.mod and 1 more"},
		"a run without its own":   {map[string]string{"result.json": "{}"}, "it holds result.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			before := tree(t, dir)
			over, claimed, err := claimable(c, dir)
			if claimed || over != "" {
				t.Errorf("claimed %v, taken over %q", claimed, over)
			}
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, err := range []error{err, claim(c, dir, nil), Study{Dir: filepath.Dir(dir), Runs: []Config{named(c, filepath.Base(dir))}}.Prepare(nil)} {
				if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "remove") {
					t.Errorf("got %v, want an error that says %q and not to remove anything", err, tc.want)
				}
			}
			if _, err := Run(t.Context(), c, dir, Options{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("a run gives %v, want an error that says %q", err, tc.want)
			}
			sameTree(t, name, before, tree(t, dir))
		})
	}
}

// named is c with the name of its folder.
func named(c Config, name string) Config {
	c.Name = name
	return c
}

// A configuration that is taken over is kept, and so is the one before it.
func TestConfigurationsTakenOverAreKept(t *testing.T) {
	c := smallConfig()
	dir := t.TempDir()
	path := filepath.Join(dir, configFile)
	for i, file := range []string{"", replaced, replaced + "-2"} {
		var before []byte
		if file != "" {
			var err error
			if before, err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
		}
		c.Seed = uint64(i)
		said := ""
		if err := claim(c, dir, func(line string) { said = line }); err != nil {
			t.Fatal(err)
		}
		if file == "" {
			continue
		}
		if kept, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(kept) != string(before) {
			t.Errorf("%s holds %q (%v), want %q", file, kept, err, before)
		}
		if !strings.Contains(said, "taking over") {
			t.Errorf("said %q", said)
		}
	}
}

// What cannot be known by looking at the settings alone is found out before a run's folder is made, and a claim that came to
// nothing can be taken over.
func TestRefusedRunLeavesNoFolder(t *testing.T) {
	back := backendtest.Open(t)
	root := t.TempDir()
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"too few samples for FID":  {func(c *Config) { c.Evaluate.SamplesPerTask = 20 }, "samples_per_task is 20"},
		"too few samples for PRDC": {func(c *Config) { c.Evaluate.SamplesPerTask, c.Evaluate.AllowSmallN = 5, true }, "samples_per_task is 5"},
		"fewer samples than classes": {func(c *Config) {
			c.Benchmark.ClassesPerTask, c.Evaluate.SamplesPerTask, c.Evaluate.AllowSmallN = 6, 5, true
		}, "samples_per_task is 5"},
		"images of another kind": {func(c *Config) {
			c.BPD.Outside, c.Network.Conditional, c.Autopsy.Images = []string{"cifar-10"}, false, 0
		}, "bpd.outside"},
		"no extractor":               {func(c *Config) { c.Evaluate.Extractor = filepath.Join(root, "none") }, "evaluate.extractor"},
		"few validation images":      {func(c *Config) { c.Evaluate.Reference, c.Benchmark.ValFraction = "validation", 0.01 }, "validation images"},
		"more steps than timesteps":  {func(c *Config) { c.Strategy = cl.Spec{Name: "gr", Settings: map[string]any{"sampler_steps": 51}} }, "50 timesteps"},
		"no network of that shape":   {func(c *Config) { c.Network.Mults = []int{1, 1, 1, 1, 1, 1} }, "cannot be halved"},
		"timesteps that are no part": {func(c *Config) { c.Strategy = cl.Spec{Name: "er", Settings: map[string]any{"timesteps": "low:0.001"}} }, "none of the process's 50"},
	} {
		c := smallConfig()
		tc.change(&c)
		dir := filepath.Join(root, "above", "run")
		_, err := Run(t.Context(), c, dir, Options{Backend: back})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v; want an error that says %q", name, err, tc.want)
		}
		if _, err := os.Stat(filepath.Join(root, "above")); !os.IsNotExist(err) {
			t.Fatalf("%s: a folder was left (%v)", name, err)
		}
	}
}

// A folder that a run claimed but never began is the corrected run's, with a line that says so; one whose configuration is
// older than a setting goes on, and is read once it is finished.
func TestFoldersAreTakenOverAndGoOn(t *testing.T) {
	back := backendtest.Open(t)
	c := smallStudy("").Runs[0]
	d := DefaultConfig()
	c.Probe, c.BPD, c.Autopsy = d.Probe, d.BPD, d.Autopsy
	dir := filepath.Join(t.TempDir(), "run")
	wrong := c
	wrong.Loop.StepsPerTask = 7
	storedConfig(t, dir, wrong)
	var log strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{Backend: back, Log: &log, Progress: func(p Progress) {
		if p.Stage == "compile" { // so after the first step
			cancel()
		}
	}}
	if _, err := Run(ctx, c, dir, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the context's error", err)
	}
	if !strings.Contains(log.String(), "taking over") || !strings.Contains(log.String(), "loop.steps_per_task: there 7, here 6") {
		t.Errorf("the log does not tell of the folder taken over: %s", log.String())
	}
	if _, err := Run(t.Context(), wrong, dir, Options{Backend: back}); err == nil || !strings.Contains(err.Error(), "loop.steps_per_task: there 6, here 7") {
		t.Errorf("a run that has begun is taken over: %v", err)
	}
	storedConfig(t, dir, c, "probe", "autopsy", "bpd", "benchmark.prep.border")
	for _, what := range []string{"begun", "finished"} {
		r, err := Run(t.Context(), c, dir, Options{Backend: back})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if len(r.Evaluations) != 2 {
			t.Errorf("%s: %d evaluations, want 2", what, len(r.Evaluations))
		}
	}
}

// Who comes too early is told to wait, and makes nothing in the folder.
func TestReadersAreToldOfARunAtWork(t *testing.T) {
	dir := t.TempDir()
	if AtWork(dir) {
		t.Error("a run is at work in an empty folder")
	}
	sameTree(t, "asking", map[string]string{dir: ""}, tree(t, dir))
	lock, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := StoredConfig(dir); !AtWork(dir) || err == nil || !strings.Contains(err.Error(), "wait for its first checkpoint") {
		t.Errorf("at work %v, %v", AtWork(dir), err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := StoredConfig(dir); AtWork(dir) || err == nil || !strings.Contains(err.Error(), "no run folder") {
		t.Errorf("at work %v, %v", AtWork(dir), err)
	}
}

// A new run makes nothing within the folder of another; a configuration alone makes no run folder.
func TestNoRunWithinAnother(t *testing.T) {
	own := t.TempDir()
	if err := os.WriteFile(filepath.Join(own, configFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	sub := filepath.Join(own, "runs", "first")
	if _, _, err := claimable(DefaultConfig(), sub); err != nil {
		t.Errorf("beside a configuration: %v", err)
	}
	if err := os.Mkdir(filepath.Join(own, "checkpoints"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := claimable(DefaultConfig(), sub); err == nil || !strings.Contains(err.Error(), "is within the run folder "+own) {
		t.Errorf("within a run folder: %v", err)
	}
	// A symbolic link leads there too: to a folder in it that is there, or to one above the path that is asked for.
	if err := os.Mkdir(filepath.Join(own, "runs"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(own, "runs"), link); err != nil {
		t.Skip("this system makes no symbolic links: ", err)
	}
	for _, dir := range []string{link, filepath.Join(link, "a", "b")} {
		if _, _, err := claimable(DefaultConfig(), dir); err == nil || !strings.Contains(err.Error(), dir+" is within the run folder ") {
			t.Errorf("by the symbolic link %s: %v", dir, err)
		}
	}
}

// A run under way goes on with other settings of those that change no image and no weight; a finished one stays as it was made.
func TestFreeSettingsMayChange(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"checkpoint_every": func(c *Config) { c.CheckpointEvery = 7 },
		"keep_networks":    func(c *Config) { c.KeepNetworks = true },
		"cores":            func(c *Config) { c.Cores = 1 },
		"backend.devices":  func(c *Config) { c.Backend.Devices = "2" },
		"name":             func(c *Config) { c.Name = "other" },
	} {
		c := smallConfig()
		for _, finished := range []bool{false, true} {
			study := t.TempDir()
			d := c
			change(&d)
			dir := filepath.Join(study, d.RunName())
			storedConfig(t, dir, c)
			begun(t, dir)
			if finished {
				if err := os.WriteFile(filepath.Join(dir, "result.json"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if over, claimed, err := claimable(d, dir); err != nil || !claimed || over != "" {
				t.Errorf("%s: claimed %v, taken over %q, %v", name, claimed, over, err)
			}
			var said strings.Builder
			if _, err := (Study{Dir: study, Runs: []Config{d}}).claim(&said); err != nil {
				t.Fatal(err)
			}
			have, err := StoredConfig(dir)
			if err != nil {
				t.Fatal(err)
			}
			want := d
			if finished {
				want = c
			}
			if left := differences(have, want); len(left) != 0 {
				t.Errorf("%s, finished %v: the folder has %s", name, finished, writeDifferences(left))
			}
			if says := strings.Contains(said.String(), "goes on with "+name+" "); says == finished {
				t.Errorf("%s, finished %v: it says %q", name, finished, said.String())
			}
			d.Seed++
			if _, _, err := claimable(d, dir); err == nil || !strings.Contains(err.Error(), "seed: ") || strings.Contains(err.Error(), name+": ") {
				t.Errorf("%s and another seed give %v", name, err)
			}
		}
	}
}

// Of a study whose first run is refused no folder stays.
func TestRefusedStudyLeavesNoFolder(t *testing.T) {
	for name, refusal := range map[string]error{"refused": permanent{Refusef("backend.devices is 9")}, "failed": permanent{errors.New("bad luck")}} {
		dir := filepath.Join(t.TempDir(), "study")
		s := Study{Dir: dir, Runs: []Config{smallConfig()}, checked: true}
		_, err := s.Do(t.Context(), StudyOptions{Spawn: func(_ context.Context, dir string, _ int, _ io.Writer) error {
			if err := os.WriteFile(filepath.Join(dir, logName), []byte("stopped\n"), 0o644); err != nil {
				return err
			}
			return refusal
		}})
		if err == nil {
			t.Fatal("no error")
		}
		if _, err := os.Stat(dir); os.IsNotExist(err) != (name == "refused") {
			t.Errorf("%s: the folder of the study: %v", name, err)
		}
	}
}

// Networks that keep_networks kept are enough for an autopsy.
func TestAutopsyOfKeptNetworks(t *testing.T) {
	c := smallConfig()
	c.Autopsy = DefaultConfig().Autopsy
	c.KeepNetworks = true
	dir := t.TempDir()
	storedConfig(t, dir, c)
	if err := os.WriteFile(filepath.Join(dir, "result.json"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := checkAutopsy(dir); err == nil || !strings.Contains(err.Error(), "kept no networks") {
		t.Errorf("without networks: %v", err)
	}
	if err := os.MkdirAll(snapshotFolder(dir, 0), 0o755); err != nil {
		t.Fatal(err)
	}
	if have, err := checkAutopsy(dir); err != nil || have.Autopsy.Images != usualAutopsy {
		t.Errorf("an autopsy of %d images, %v; want %d", have.Autopsy.Images, err, usualAutopsy)
	}
}
