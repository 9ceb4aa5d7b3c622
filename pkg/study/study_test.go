package study

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/errors"

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
	if _, err := Open(filepath.Join(t.TempDir(), "nope")); err == nil || !strings.Contains(err.Error(), "there is no folder") {
		t.Error(err)
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no stored run") {
		t.Errorf("an empty folder gives %v", err)
	}
	if _, err := Open(); err == nil || !strings.Contains(err.Error(), "no folder of runs") {
		t.Errorf("no folder at all gives %v", err)
	}
	// Without Dirs the folder of a run is found by its name.
	s := Set{Dir: dir, Runs: resultstest.MadeUp(1)}
	if got := s.Folder(s.Runs[0]); got != filepath.Join(dir, "finetune-seed0") {
		t.Errorf("folder %q", got)
	}
}

// A run folder without a result is a run that goes on: nothing in it is taken for a stored run, or to be removed.
func TestOpenUnfinished(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b")
	run := filepath.Join(dir, "er-seed0")
	if err := os.MkdirAll(run, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.yaml", "dynamics.json", "metrics.json", "autopsy.json", "other.json"} {
		if err := os.WriteFile(filepath.Join(run, name), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := "the run in " + run + " is not finished; `go run . resume '" + run + "'` goes on with it"
	for _, at := range []string{run, dir} {
		_, err := Open(at)
		var unfinished *Unfinished
		if !errors.As(err, &unfinished) || unfinished.Dir != run || err.Error() != want {
			t.Errorf("%s gives %v, want %s", at, err, want)
		}
	}
	// Beside one that is finished it is named.
	if err := resultstest.NewRun("joint", "joint", 0, 2).Save(filepath.Join(dir, "joint-seed0.json")); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(dir); err != nil || len(s.Runs) != 1 || !slices.Equal(s.Unfinished, []string{run}) {
		t.Errorf("%v, %v; want one run, and %s unfinished", s, err, run)
	}
	// One that has lost its configuration is none, and its measurements are no stored runs either.
	for _, name := range []string{"config.yaml", "other.json"} {
		if err := os.Remove(filepath.Join(run, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(run); err == nil || !strings.Contains(err.Error(), "no stored run") {
		t.Errorf("measurements alone give %v", err)
	}
}

// A link that leads nowhere is told as one, with what to do about it; an editor's own, which no run is called like, is passed over.
func TestOpenDanglingLinks(t *testing.T) {
	for _, link := range []string{"old.json", "old-seed0/result.json", ".#old.json"} {
		dir := t.TempDir()
		r := resultstest.NewRun("joint", "joint", 0, 2)
		if err := r.Save(filepath.Join(dir, r.Name+".json")); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(link))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/no/where.json", path); err != nil {
			t.Skip(err)
		}
		set, err := Open(dir)
		if strings.HasPrefix(link, ".") {
			if err != nil || len(set.Runs) != 1 {
				t.Errorf("%s: %v", link, err)
			}
			continue
		}
		if want := path + " is a link to /no/where.json, where nothing is; bring that back, or remove the link"; err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", link, err, want)
		}
	}
}
