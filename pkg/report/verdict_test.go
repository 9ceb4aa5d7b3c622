package report

import (
	"fmt"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// invented makes a method of two tasks whose numbers differ between seeds by spread, and between seeds and methods by a little
// beside, so that paired differences have a spread of their own.
func invented(name string, seeds int, learned, final, lastTask, spread float64, copies *float64) []*results.Run {
	var runs []*results.Run
	for seed := range seeds {
		d := spread*float64(seed) + []float64{0.01, -0.02, 0.01}[seed]*float64(len(name))*min(spread, 1)
		r := resultstest.NewRun(name, name, uint64(seed), 2)
		end := results.Evaluation{AfterTask: 1, Step: 20, Tasks: []results.TaskMetrics{
			{Task: 0, FID: resultstest.Float(final + d), MemorisedTrain: copies}, {Task: 1, FID: resultstest.Float(lastTask + d), MemorisedTrain: copies}}}
		if name == study.Joint {
			r.Evaluations = []results.Evaluation{end}
		} else {
			r.Evaluations = []results.Evaluation{{AfterTask: 0, Step: 10, Tasks: []results.TaskMetrics{{Task: 0, FID: resultstest.Float(learned)}}}, end}
		}
		runs = append(runs, r)
	}
	return runs
}

func TestVerdict(t *testing.T) {
	few, many := resultstest.Float(0.01), resultstest.Float(0.4)
	for _, tc := range []struct {
		name string
		runs [][]*results.Run
		want []string // parts of sentences
		not  []string
	}{
		{"finetune forgets, er forgets less and stays behind joint", [][]*results.Run{
			invented("finetune", 3, 20, 220, 30, 2, few), invented("er", 3, 20, 60, 30, 2, few), invented("joint", 3, 0, 25, 25, 2, few)},
			[]string{"finetune forgets: at the end the FID of the earlier task is on average 202.0 ± 2.0 higher", // 200, 202, 204
				"er's FID forgetting is 42.0 ± 2.0, finetune's 202.0 ± 2.0: less by 160.0 [159.7, 160.3] (paired t over 3 seeds, p < 0.001). ",
				"to a FID of 32.0 ± 2.0, finetune to 32.0 ± 2.0: not told apart (", "is the reference: its FID over all tasks is 27.0 ± 2.0",
				"Behind joint at the end (p < 0.05 each): finetune (127.0 ± 2.0), er (47.0 ± 2.0).", study.RuleNote},
			[]string{"is not behind", "passes"}},
		{"finetune does not forget", [][]*results.Run{invented("finetune", 2, 20, 10, 30, 2, nil)},
			[]string{"finetune does not forget here: at the end the FID of the earlier task is on average 9.0 ± 1.2 lower", "There is no joint run"}, []string{"finetune forgets"}},
		{"forgetting within the spread", [][]*results.Run{invented("finetune", 2, 20, 19, 30, 8, nil)},
			[]string{"finetune shows no forgetting that these seeds tell apart from none", "(t over 2 seeds, p = "}, []string{"finetune forgets"}},
		{"er forgets more", [][]*results.Run{invented("finetune", 2, 20, 100, 30, 1, nil), invented("er", 2, 20, 150, 30, 1, nil)},
			[]string{"er's FID forgetting is 130.5 ± 0.7, finetune's 80.5 ± 0.5: more by 50.0 ["}, []string{"less by"}},
		{"er level in forgetting", [][]*results.Run{invented("finetune", 3, 20, 100, 30, 10, nil), invented("er", 3, 20, 95, 30, 4, nil)},
			[]string{"er's FID forgetting is 79.0 ± 4.0, finetune's 90.0 ± 10.0: not told apart (−11.0 [−25.9, 3.9], paired t over 3 seeds, p = 0.087)"}, []string{"less by"}},
		{"one seed", [][]*results.Run{invented("finetune", 1, 20, 220, 30, 0, nil), invented("er", 1, 20, 60, 45, 0, nil)},
			[]string{"higher than just after each was learned (one seed: not decided)", "less by 160.0 (one seed: not decided)", "45.0, finetune to 30.0: worse by 15.0 (one seed"}, []string{"±"}},
		{"er passes joint by copying", [][]*results.Run{
			invented("finetune", 3, 20, 220, 30, 1, few), invented("er", 3, 20, 20, 20, 1, many), invented("joint", 3, 0, 60, 60, 1, few)},
			[]string{"er passes joint at the end: FID 21.0 ± 1.0 against 61.0 ± 1.0, better by 40.0 [39.9, 40.1] (paired t over 3 seeds, p < 0.001).",
				"40.0 ± 0.0 % of its samples copy a training image; of joint's, 1.0 ± 0.0 % copy",
				"39.0 points more (no spread to judge by (paired t over 3 seeds): not decided), so copying may be why"}, // shares without a spread
			[]string{"does not explain"}},
		{"er comes level with joint without copying", [][]*results.Run{
			invented("finetune", 3, 20, 220, 30, 5, few), invented("er", 3, 20, 21, 21, 5, few), invented("joint", 3, 0, 20, 20, 4, few)},
			[]string{"er is not behind joint at the end", "not told apart", "copying does not explain it"}, []string{"bought"}},
		{"er passes joint, copies unmeasured", [][]*results.Run{
			invented("finetune", 1, 20, 220, 30, 0, nil), invented("er", 1, 20, 20, 20, 0, nil), invented("joint", 1, 0, 60, 60, 0, nil)},
			[]string{"er passes joint at the end", "better by 40.0 (one seed: not decided)", "Copies were not measured, so whether copying is why cannot be said"}, []string{"bought", "does not explain"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var runs []*results.Run
			for _, r := range tc.runs {
				runs = append(runs, r...)
			}
			text := strings.Join(Verdict(study.Group(runs)), "\n")
			for _, want := range tc.want {
				if !strings.Contains(text, want) {
					t.Errorf("missing %q in:\n%s", want, text)
				}
			}
			for _, not := range tc.not {
				if strings.Contains(text, not) {
					t.Errorf("%q must not be in:\n%s", not, text)
				}
			}
		})
	}
}

// Training times of equal work that are far apart are said to mean little; another buffer or another number of steps is other work.
func TestVerdictOfDisturbedTimes(t *testing.T) {
	with := func(seconds, lambda float64, buffer int) *results.Run {
		r := resultstest.NewRun("er", fmt.Sprintf("er λ=%g buffer=%d", lambda, buffer), 0, 2)
		r.Cost.TrainSeconds = seconds
		r.Config = map[string]any{"seed": lambda, "loop": map[string]any{"steps_per_task": 5}, "strategy": map[string]any{"name": "er", "lambda": lambda, "buffer": buffer}}
		return r
	}
	for name, tc := range map[string]struct {
		runs []*results.Run
		want string
	}{
		"equal work":  {[]*results.Run{with(23.1, 1, 10), with(2.3, 0.3, 10)}, "a run of er λ=1 buffer=10 took 23.1 s and one of er λ=0.3 buffer=10 2.3 s for the same work"},
		"other work":  {[]*results.Run{with(23.1, 1, 10), with(2.3, 0.3, 20)}, ""},
		"a bit apart": {[]*results.Run{with(4, 1, 10), with(2.3, 0.3, 10)}, ""},
	} {
		text := strings.Join(Verdict(study.Group(tc.runs)), "\n")
		if strings.Contains(text, "Training times tell little") != (tc.want != "") || !strings.Contains(text, tc.want) {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}
