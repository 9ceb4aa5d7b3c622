package command

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/experiment"
)

// Where pure Go computes, commands say so before they begin, and what makes no sense without XLA is refused in a line.
func TestPureGoIsSaid(t *testing.T) {
	t.Setenv(compute.ConfigEnvVar, "go")
	config := experiment.DefaultConfig()
	config.Benchmark.Prep.Size = 8 // there is no classifier for it, so nothing is trained
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "small.yaml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ line, note, want string }{
		{"run " + file + " --dir " + filepath.Join(t.TempDir(), "run"), "note: pure Go computes here", "images of 8×8"},
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
