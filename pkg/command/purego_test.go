package command

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofrs/flock"
	"github.com/gomlx/compute"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/experiment"
)

// Where pure Go computes, commands say so before they begin, and what makes no sense without XLA is refused in a line.
func TestPureGoIsSaid(t *testing.T) {
	t.Setenv(compute.ConfigEnvVar, "go")
	text, err := yaml.Marshal(experiment.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	file, dir := filepath.Join(t.TempDir(), "run.yaml"), t.TempDir()
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(filepath.Join(dir, ".lock")) // another process is at work there, so nothing is trained
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	defer lock.Unlock()
	for _, tc := range []struct{ line, note, want string }{
		{"run " + file + " --dir " + dir, "note: pure Go computes here", "another process is at work"},
		{"perf --networks tiny --sizes 16 --store " + t.TempDir(), "", "XLA would not run"},
	} {
		var said bytes.Buffer
		root := newRoot(func() {})
		root.SetArgs(strings.Fields(tc.line))
		root.SetOut(io.Discard)
		root.SetErr(&said)
		err := root.Execute()
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want one line with %q", tc.line, err, tc.want)
		}
		if !strings.Contains(said.String(), tc.note) {
			t.Errorf("%s says %q; want %q in it", tc.line, said.String(), tc.note)
		}
	}
}
