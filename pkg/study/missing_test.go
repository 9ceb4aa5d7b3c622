package study

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

// What a run lacks is said with why, many things of a kind as one, and no longer where an autopsy has been made since.
func TestMissingNotes(t *testing.T) {
	r := resultstest.NewRun("er", "er λ=1", 2, 2)
	methods := []Method{{Label: "er λ=1", Runs: []*results.Run{r}}}
	if got := MissingNotes(methods); len(got) > 0 {
		t.Errorf("a whole run: %q", got)
	}
	r.Missing = map[string]string{results.MissingAutopsy: "the network is gone", "losses: step 10": "loss came out as NaN", "losses: step 20": "loss came out as NaN"}
	want := []string{"Missing from er λ=1, seed 2: autopsy (the network is gone); losses: step 10 (loss came out as NaN), and 1 more."}
	if got := MissingNotes(methods); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	r.Missing, r.Folder = map[string]string{results.MissingAutopsy: "the network is gone"}, t.TempDir()
	if err := os.WriteFile(filepath.Join(r.Folder, results.AutopsyFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := MissingNotes(methods); len(got) > 0 {
		t.Errorf("with an autopsy made since: %q", got)
	}
}
