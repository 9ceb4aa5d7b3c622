package study

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/results/resultstest"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, r := range resultstest.MadeUp(2) {
		if err := os.MkdirAll(filepath.Join(dir, r.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := r.Save(filepath.Join(dir, r.Name, "result.json")); err != nil {
			t.Fatal(err)
		}
	}
	one := filepath.Join(dir, "joint-seed0")
	for _, tc := range []struct {
		dirs []string
		want int
	}{{[]string{dir}, 8}, {[]string{one}, 1}, {[]string{one, dir}, 8}} {
		s, err := Open(tc.dirs...)
		if err != nil || len(s.Runs) != tc.want || len(s.Dirs) != tc.want {
			t.Errorf("%v: %v, %d runs, want %d", tc.dirs, err, len(s.Runs), tc.want)
		}
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no stored run") {
		t.Errorf("an empty folder gives %v", err)
	}
	// Without Dirs the folder of a run is found by its name.
	s := Set{Dir: dir, Runs: resultstest.MadeUp(1)}
	if got := s.Folder(s.Runs[0]); got != filepath.Join(dir, "finetune-seed0") {
		t.Errorf("folder %q", got)
	}
}
