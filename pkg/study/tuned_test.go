package study

import (
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/words"
)

// Below the tables of methods at searched settings stands how they were chosen, and what stands at an end of its range. Today's
// er has λ = 3 of 0.1 to 3, from one seed.
func TestTunedNotes(t *testing.T) {
	found := searches("er")[""]
	if found == nil {
		t.Fatal("er has not been searched")
	}
	er, plain, moved := resultstest.NewRun("er", "er λ=3", 0, 2), resultstest.NewRun("er", "er", 1, 2), resultstest.NewRun("er", "er λ=77", 0, 2)
	er.Provenance.Command, moved.Provenance.Command = "go run . bench --tuned --seeds 3", "go run . bench --tuned"
	er.Strategy.Settings, moved.Strategy.Settings = map[string]any{}, map[string]any{"lambda": 77.0}
	for key, v := range found.Settings {
		er.Strategy.Settings[key] = v
		if n, ok := v.(int); ok { // as JSON reads it
			er.Strategy.Settings[key] = float64(n)
		}
	}
	text := strings.Join(TunedNotes([]Method{{Label: "er λ=3", Runs: []*results.Run{er}}, {Label: "er λ=77", Runs: []*results.Run{moved}}}), "\n")
	want := []string{"Settings of 1 method were chosen by a search: of ", " with " + words.Seeds(found.Search.Budget.Seeds) + " a candidate.",
		"Ran at settings of an earlier search than the one now in pkg/cards/tuned: er λ=77."}
	for _, key := range found.Edge {
		want = append(want, "Chosen at an end of the values tried, so that a better one may lie beyond: er: "+key+" = ")
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("missing %q in:\n%s", w, text)
		}
	}
	if got := TunedNotes([]Method{{Label: "er", Runs: []*results.Run{plain}}}); len(got) > 0 {
		t.Errorf("a run at settings of its own has notes on a search: %q", got)
	}
	// Those of another folder are that folder's to explain, whatever the program's own are.
	for command, store := range map[string]string{"go run . bench --tuned=runs/mine --seeds 3": "runs/mine", "go run . bench --seeds 3 '--tuned=runs/my own'": "runs/my own"} {
		er.Provenance.Command = command
		want := "Ran at settings that a search kept in " + store + ", which says how they were chosen: er λ=3."
		if got := TunedNotes([]Method{{Label: "er λ=3", Runs: []*results.Run{er}}}); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	er.Provenance.Command = "go run . bench --tuned=false"
	if got := TunedNotes([]Method{{Label: "er λ=3", Runs: []*results.Run{er}}}); len(got) > 0 {
		t.Errorf("a run that was not tuned has notes on a search: %q", got)
	}
	// A composite without a search of its own has those of its parts.
	if parts := searches("er+lwf"); parts["er_"] == nil || parts["lwf_"] == nil || len(parts) != 2 {
		t.Errorf("er+lwf has searches %v", parts)
	}
}
