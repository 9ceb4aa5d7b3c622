package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The targets are found by their text, and every one that the repository has is run.
func TestTargets(t *testing.T) {
	root := filepath.Join("..", "..")
	all, err := targets(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []target{{"datasets", "FuzzParseIDX"}, {"pkg/memory", "FuzzUnmarshal"}, {"pkg/safetensors", "FuzzRead"}} {
		if !slices.Contains(all, want) {
			t.Errorf("%v is not among %v", want, all)
		}
	}
	for _, target := range all {
		if strings.Contains(target.dir, "testdata") {
			t.Errorf("%v is no package", target)
		}
	}
}

func TestProgress(t *testing.T) {
	out := `fuzz: elapsed: 0s, gathering baseline coverage: 9/9 completed, now fuzzing with 1 workers
fuzz: elapsed: 3s, execs: 5753 (1918/sec), new interesting: 32 (total: 41)
fuzz: elapsed: 8s, execs: 22836 (5233/sec), new interesting: 65 (total: 74)
PASS
`
	if n, found := progress(out); n != 22836 || found != 65 {
		t.Errorf("%d executions and %d inputs; want 22836 and 65", n, found)
	}
}

// A record replaces the target's own and leaves the others.
func TestRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fuzz.json")
	for _, r := range []record{{Package: "b", Target: "FuzzB", Executions: 1}, {Package: "a", Target: "FuzzA", Executions: 2}, {Package: "b", Target: "FuzzB", Executions: 3}} {
		if err := r.store(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); strings.Count(s, "FuzzB") != 1 || !strings.Contains(s, `"executions": 3`) || strings.Index(s, "FuzzA") > strings.Index(s, "FuzzB") {
		t.Errorf("the file holds %s", s)
	}
}
