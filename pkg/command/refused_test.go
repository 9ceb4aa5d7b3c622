//go:build unix

package command

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/experiment"
)

// What a command line cannot mean is refused in one line that names it, before anything is made or installed.
func TestSettingsOfCommandsAreRefused(t *testing.T) {
	dir := t.TempDir()
	pipe, two, long := filepath.Join(dir, "pipe"), filepath.Join(dir, "two.yaml"), filepath.Join(dir, "long.yaml")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(two, []byte("seed: 1\n---\nseed: 2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(long, []byte("variant: "+strings.Repeat("x", 100<<20)), 0o644); err != nil {
		t.Fatal(err)
	}
	runs := filepath.Join(dir, "runs")
	for _, tc := range []struct{ line, want string }{
		{"bench --sweep lamda=1,2", `did you mean "lambda"?`},
		{"bench --sweep seed=1,2", "--seeds"},
		{"bench --sweep lambda=1,NaN", `lambda is "NaN"`},
		{"bench --sweep lambda=1,.nan", "lambda is NaN"},
		{"bench --sweep buffer=20.9", "buffer is 20.9"},
		{"bench --sweep loop.steps_per_task=12.7", "loop.steps_per_task is 12.7"},
		{"bench --seeds -1", "--seeds is -1"},
		{"bench --workers -1", "--workers is -1"},
		{"bench --set seed=18446744073709551616", "seed is 1.8446744073709552e+19"},
		{"bench --set network.base=-8", "network.base is -8"},
		{"bench --set evaluate.samples_per_task=20", "samples_per_task is 20"},
		{"bench --set evaluate.sampler.steps=2000", "evaluate.sampler.steps is 2000"},
		{"bench --set train.clip_norm=.nan", "train.clip_norm is NaN"},
		{"bench --config " + pipe, "is a pipe"},
		{"bench --config " + two, "second YAML document"},
		{"bench --config " + long, "more than"},
		{"bench --config " + dir, "is a folder"},
		{"search --seeds 0", "--seeds is 0"},
		{"search --workers -1", "--workers is -1"},
		{"search --set evaluate.guidance=.inf", "evaluate.guidance is +Inf"},
		{"run " + pipe, "is a pipe"},
		{"run " + two, "second YAML document"},
		{"run " + os.DevNull, "is a device"},
		{"resume " + dir + " --progress xml", "--progress is \"xml\""},
		{"lab --port -1", "--port is -1"},
		{"import one", "import needs DIR and NAME; given were 1: one"},
		{`lab --notebook=`, "--notebook is empty"},
	} {
		words := strings.Fields(tc.line)
		if words[0] != "lab" && words[0] != "import" && words[0] != "resume" {
			words = append(words, "--dir", runs)
		}
		root := newRoot(func() {})
		root.SetArgs(words)
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		err := root.ExecuteContext(t.Context())
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s gives %.300v; want one line that says %q", tc.line, err, tc.want)
		}
		if _, err := os.Stat(runs); !os.IsNotExist(err) {
			t.Fatalf("%s leaves a folder", tc.line)
		}
	}
}

// A mistake in the words of a command, or a path at which there is nothing of the kind, ends with the code of usage, and leaves nothing.
func TestMistakesOfUse(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv(backend.CacheEnv, t.TempDir())
	for name, text := range map[string]string{"text.txt": "hello\n", "page.md": "hello\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("empty", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"bench --config empty", "bench --store text.txt", "bench --store text.txt/x", "bench --status --dir text.txt", "bench --on slurm --slurm foo --dry-run",
		"bench --set network.init=./empty", "bench --set network.init=./text.txt",
		"search --store text.txt --dry-run",
		"run empty", "run --defaults --dir x", "run --defaults --set seed=1",
		"resume empty", "resume text.txt", "resume empty --progress foo",
		"extend empty --tasks [[8]]", "extend text.txt --tasks [[8]]",
		"sample empty", "sample text.txt", "sample empty -o text.txt/x.png",
		"export empty x", "export text.txt x", "export empty text.txt/x",
		"import empty x", "import text.txt x",
		"counterpart --python nosuch", "counterpart draw empty --python nosuch", "counterpart draw empty", "counterpart draw text.txt", "counterpart draw empty --sheet x.jpg",
		"bpd empty", "calibrate empty", "dynamics empty", "dynamics text.txt", "autopsy empty", "autopsy text.txt", "report empty", "report text.txt",
		"data fashion-mnist-sample --size 3", "data get mnist --from nosuch", "data get mnist --from text.txt",
		"data train-classifier fashion-mnist-sample --size 0", "data train-classifier fashion-mnist-sample -o text.txt",
		"setup --plugin nosuch", "setup --plugin empty", "lab --notebook nosuch.ipynb",
		"perf --device --growth", "perf --device --limit -1s", "perf --compute float32", "perf --rows-of-steps 4", "perf --python nosuch", "perf --store text.txt",
		"perf check", "perf check --write a --against b", "perf check --against nosuch", "perf check --against empty", "perf check --write empty", "perf check --write x --networks foo",
		"perf show --store text.txt", "perf show --table nosuch.md:perf", "perf show --table page.md:perf",
	} {
		root := newRoot(func() {})
		root.SetArgs(strings.Fields(line))
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		err := root.ExecuteContext(t.Context())
		if code := experiment.ExitCode(err); code != experiment.ExitUsage || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: exit code %d, %.300v; want %d and one line", line, code, err, experiment.ExitUsage)
		}
	}
	for _, name := range []string{"x", "a", "runs"} {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}
