//go:build unix

package command

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
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
		{"lab --port -1", "--port is -1"},
		{"import one", "import needs DIR and NAME; given were 1: one"},
		{`lab --notebook=`, "--notebook is empty"},
	} {
		words := strings.Fields(tc.line)
		if words[0] != "lab" && words[0] != "import" {
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
