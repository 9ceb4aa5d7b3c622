package study

import (
	"testing"

	"palimpsest/pkg/results/resultstest"
)

func TestReplayedRows(t *testing.T) {
	for _, g := range Group(resultstest.TargetedRuns(2)) {
		want := map[string]float64{"finetune": 0, "joint": 0, "er λ=1 t=high:0.5": 4}
		rows, ok := want[g.Label]
		if !ok {
			rows = 16
		}
		if got := ReplayedRows(g).Mean; got != rows {
			t.Errorf("%s replays %g rows, want %g", g.Label, got, rows)
		}
	}
}
