package report

import (
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

func TestVersus(t *testing.T) {
	for _, tc := range []struct {
		name string
		runs [][]*results.Run
		want []string
	}{
		// FIDs of three seeds are 0, d and 2d above those given, but for little: a mean of d more, a standard deviation of d.
		{"better at old tasks, worse at the new one", [][]*results.Run{invented("mine", 3, 20, 50, 70, 2, nil), invented("er", 3, 20, 100, 30, 2, nil)},
			[]string{"mine against er: FID over all tasks 62.0 ± 2.0 against 67.0 ± 2.0, better by 5.0 [4.9, 5.1] (paired t over 3 seeds, p < 0.001)",
				"FID forgetting 32.0 ± 2.0 against 82.0 ± 2.0, better by 50.0 [", "FID of the newest task 72.0 ± 2.0 against 32.0 ± 2.0, worse by 40.0 ["}},
		{"not told apart", [][]*results.Run{invented("mine", 3, 20, 51, 30, 2, nil), invented("er", 3, 20, 50, 30, 4, nil)},
			[]string{"FID forgetting 33.0 ± 2.0 against 34.0 ± 4.0, not told apart (−1.0 ["}},
		{"one seed", [][]*results.Run{invented("mine", 1, 20, 51, 30, 0, nil), invented("er", 1, 20, 50, 30, 0, nil)},
			[]string{"FID forgetting 31.0 against 30.0, worse by 1.0 (one seed: not decided)"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Versus(study.Group(slices.Concat(tc.runs...)), "mine", "er")
			if err != nil || len(got) != 2 || got[1] != study.RuleNote {
				t.Fatalf("%q, %v; want one sentence and the rule", got, err)
			}
			for _, want := range tc.want {
				if !strings.Contains(got[0], want) {
					t.Errorf("%q lacks %q", got[0], want)
				}
			}
			if one := strings.Contains(got[0], "not decided"); one != (tc.name == "one seed") {
				t.Errorf("what %q says of being decided is wrong", got[0])
			}
		})
	}
	if _, err := Versus(study.Group(invented("er", 1, 20, 50, 30, 0, nil)), "er", "mine"); err == nil || !strings.Contains(err.Error(), `no run of strategy "mine"`) {
		t.Errorf("a strategy without runs gives %v", err)
	}
}

// TestVersusAccuracy: more of it is better, and it is in per cent.
func TestVersusAccuracy(t *testing.T) {
	high, low := invented("mine", 1, 20, 50, 30, 0, nil), invented("er", 1, 20, 50, 30, 0, nil)
	for runs, share := range map[*results.Run]float64{high[0]: 0.6, low[0]: 0.5} {
		last := runs.Evaluations[len(runs.Evaluations)-1].Tasks
		for i := range last {
			last[i].ClassAccuracy = resultstest.Float(share)
		}
	}
	got, err := Versus(study.Group(append(high, low...)), "mine", "er")
	if err != nil || !strings.Contains(got[0], "class accuracy 60.0 % against 50.0 %, better by 10.0 (one seed") {
		t.Errorf("%q, %v", got, err)
	}
}
