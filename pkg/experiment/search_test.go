package experiment

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/cards"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
)

// someCards stands for the cards of er and ewc, with candidates of λ; the other strategies have nothing to tune.
func someCards(er, ewc []float64) func(string) (cards.Card, error) {
	return func(name string) (c cards.Card, err error) {
		for _, v := range map[string][]float64{"er": er, "ewc": ewc}[name] {
			c.Candidates = append(c.Candidates, map[string]any{"lambda": v})
		}
		if name == "joint" {
			err = errors.WithMessage(cards.ErrNone, name)
		}
		return c, err
	}
}

// Every run of a search compares with validation images held out of training, whatever is set beside.
func TestSearchNeverLooksAtTestImages(t *testing.T) {
	s := Search{Set: []string{"loop.steps_per_task=5", "bpd.images=4", "probe.every=2"}, Seeds: 2, cardOf: someCards([]float64{0.1, 1}, []float64{1, 10})}
	trials, err := s.Trials()
	if err != nil {
		t.Fatal(err)
	}
	runs := SearchStudy("", trials).Runs
	if len(trials) != 4 || len(runs) != 8 {
		t.Fatalf("%d trials of %d runs; want 2 strategies × 2 candidates × 2 seeds", len(trials), len(runs))
	}
	names := map[string]bool{}
	for _, c := range runs {
		names[c.RunName()] = true
		if c.Evaluate.Reference != "validation" || c.Benchmark.ValFraction <= 0 || len(c.BPD.Outside) > 0 || c.Loop.StepsPerTask != 5 {
			t.Errorf("%s compares with %s images, %g held out, and %v", c.RunName(), c.Evaluate.Reference, c.Benchmark.ValFraction, c.BPD.Outside)
		}
		if c.Seed < 1000 {
			t.Errorf("%s has a seed that comparisons start from", c.RunName())
		}
	}
	if len(names) != len(runs) {
		t.Errorf("the runs share folders: %v", names)
	}
	for set, want := range map[string]string{
		"evaluate.reference=test":                                    "stay unseen",
		"evaluate.reference=test benchmark.val_fraction=0":           "stay unseen",
		"bpd.outside=[mnist] bpd.images=4 network.conditional=false": "chosen without them",
		"benchmark.val_fraction=0":                                   "no validation images of its own",
	} {
		s.Set = strings.Fields(set)
		trials, err := s.Trials()
		if err == nil {
			study := SearchStudy(t.TempDir(), trials)
			err = study.Check()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s gives %v; want an error that says %q", set, err, want)
		}
	}
}

func TestSearchBudgetIsEqual(t *testing.T) {
	three := []float64{1, 2, 3}
	for _, tc := range []struct {
		name    string
		er, ewc []float64
		names   []string
		seeds   int
		err     string
	}{
		{"equal", three, three, nil, 1, ""},
		{"one method alone", three, three, []string{"ewc"}, 1, ""},
		{"fewer", three, three[:2], nil, 1, "ewc has 2 candidates and the other strategies 3"},
		{"fewer, searched alone", three, three[:2], []string{"ewc"}, 1, "ewc has 2 candidates"},
		{"nothing to tune", three, three, []string{"finetune"}, 1, "no candidates"},
		{"no card", three, three, []string{"joint"}, 1, "no candidates"},
		{"unknown", three, three, []string{"ewk"}, 1, `did you mean "ewc"?`},
		{"composite", three, three, []string{"er+ewc"}, 1, "search er,ewc, or write a card"},
		{"no candidates at all", nil, nil, nil, 1, "nothing to search"},
		{"no seeds", three, three, nil, 0, "need 1 to"},
		{"a candidate that is none", []float64{-1, 1}, []float64{1, 2}, nil, 1, "candidate lambda=-1 of er"},
	} {
		trials, err := Search{Strategies: tc.names, Seeds: tc.seeds, cardOf: someCards(tc.er, tc.ewc)}.Trials()
		if tc.err == "" && (err != nil || len(trials)%3 != 0) || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%s: %d trials, error %v; want %q", tc.name, len(trials), err, tc.err)
		}
	}
}

// A composite with a card is searched as one method; one without takes its parts' settings.
func TestSearchOfComposites(t *testing.T) {
	var candidates int
	for _, name := range []string{"er+ewc_rank1", "er"} {
		card, err := cards.Of(name)
		if err != nil {
			t.Fatal(err)
		}
		candidates += len(card.Candidates)
	}
	trials, err := Search{Strategies: []string{"er+ewc_rank1", "er"}, Seeds: 2}.Trials()
	if err != nil || len(trials) != candidates || trials[0].Strategy != "er+ewc_rank1" || len(trials[0].Runs) != 2 {
		t.Fatalf("%d trials, error %v; want the cards' %d candidates, 2 seeds each", len(trials), err, candidates)
	}
	if s := trials[0].Runs[0].Strategy.Settings; s["ewc_rank1_lambda"] == nil {
		t.Errorf("the first candidate sets %v, no part's weight", s)
	}
}

// stored is a finished run with the given FID of its tasks after the last.
func stored(name, split string, fid ...float64) *results.Run {
	r := &results.Run{Name: name, Protocol: results.Protocol{ReferenceSplit: split}, Cost: results.Cost{Steps: 225},
		Provenance: results.Provenance{Commit: "abc", Machine: results.Machine{Cores: 2, CPU: "Z80"}, Finished: time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)}}
	first := 0.0 // of an earlier evaluation, which does not count
	r.Evaluations = []results.Evaluation{{Tasks: []results.TaskMetrics{{FID: &first}}}, {}}
	for i := range fid {
		r.Evaluations[1].Tasks = append(r.Evaluations[1].Tasks, results.TaskMetrics{Task: i, FID: &fid[i]})
	}
	return r
}

// The score is the mean over tasks and seeds; the least wins, a diverged candidate never, and a best value at an end of
// its range is an edge.
func TestSearchChooses(t *testing.T) {
	testSearchChooses(t, nil)
}

// A candidate whose loss stayed finite but left all learning, or whose samples are all one, is not chosen, however low its FID.
func TestSearchPassesOverRunsThatDivergedFinitely(t *testing.T) {
	exploded, constant, all := stored("e", "validation", 0.1, 0.1), stored("e", "validation", 0.1, 0.1), 1.0
	exploded.Losses = []results.LossPoint{{Step: 10, Loss: 3e17}, {Step: 20, Loss: 9e20}}
	constant.Evaluations[1].Union.IdenticalSamples = &all
	testSearchChooses(t, exploded)
	testSearchChooses(t, constant)
}

// testSearchChooses has one run of a candidate diverge.
func testSearchChooses(t *testing.T, diverged *results.Run) {
	t.Helper()
	s := Search{Seeds: 2, cardOf: someCards([]float64{0.1, 0.5, 9.5}, []float64{5, 50, 500})}
	trials, err := s.Trials()
	if err != nil {
		t.Fatal(err)
	}
	const v = "validation"
	runs := []*results.Run{
		stored("a", v, 10, 30), stored("b", v, 20, 40), // 25
		stored("c", v, 10, 10), stored("d", v, 20, 16), // 14
		stored("e", v, 1, 1), diverged,
		stored("f", v, 9, 9), stored("g", v, 9, 11),
		stored("h", v, 7, 7), stored("i", v, 7, 7),
		stored("j", v, 5, 5), stored("k", v, 5, 5),
	}
	choices, err := s.Choose(trials, runs, "go run . search")
	if err != nil {
		t.Fatal(err)
	}
	er, ewc := choices[0].Tuning, choices[1].Tuning
	if !reflect.DeepEqual(er.Settings, map[string]any{"lambda": 0.5}) || len(er.Edge) != 0 || choices[0].Best != 1 {
		t.Errorf("er is set to %v, edges %v; want lambda 0.5 and none", er.Settings, er.Edge)
	}
	if !reflect.DeepEqual(ewc.Settings, map[string]any{"lambda": 500.0}) || !slices.Equal(ewc.Edge, []string{"lambda"}) {
		t.Errorf("ewc is set to %v, edges %v; want lambda 500 at the edge", ewc.Settings, ewc.Edge)
	}
	for i, want := range []float64{25, 14, math.Inf(1)} {
		if got := er.Search.Trials[i].Score; got != want {
			t.Errorf("trial %d of er scores %g, want %g", i, got, want)
		}
	}
	if b := er.Search.Budget; b != (cards.SearchBudget{Trials: 3, Steps: 225, Seeds: 2}) {
		t.Errorf("the budget is %+v", b)
	}
	if r := er.Search; r.Commit != "abc" || r.Machine != "2 × Z80" || r.Date != "2026-11-23" || r.Command != "go run . search" || !slices.Equal(r.Overrides, SearchSettings()) {
		t.Errorf("the record is %+v", r)
	}
	table := SearchTable(choices)
	for _, want := range []string{"er        lambda=0.5  14.0      *", "lambda=9.5  diverged", "ewc       lambda=500  5.0       * edge: lambda"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	// What is written reads back the same, and holds off searches of other budgets.
	store := filepath.Join(t.TempDir(), "tuned")
	if err := er.Save(store, "er"); err != nil {
		t.Fatal(err)
	}
	back, err := cards.LoadTunings(store)
	if err != nil || !reflect.DeepEqual(*back["er"], er) {
		t.Errorf("stored %+v, read %+v (%v)", er, back["er"], err)
	}
	if err := s.CheckStore(store, trials[3:]); err != nil {
		t.Errorf("a search of equal budget is refused: %v", err)
	}
	s.Seeds = 1
	if err := s.CheckStore(store, trials[3:]); err == nil || !strings.Contains(err.Error(), "er in "+store) {
		t.Errorf("another number of seeds gives %v", err)
	}
	if err := s.CheckStore(store, trials); err != nil {
		t.Errorf("a search that replaces what is stored is refused: %v", err)
	}
}

func TestSearchRefusesScores(t *testing.T) {
	s := Search{Seeds: 1, cardOf: someCards([]float64{0.1}, []float64{5})}
	trials, err := s.Trials()
	if err != nil {
		t.Fatal(err)
	}
	good := stored("b", "validation", 1)
	missing := stored("c", "validation", 1)
	missing.Evaluations[1].Tasks[0].FID = nil
	for want, runs := range map[string][]*results.Run{
		"measured on test images": {stored("a", "test", 1), good},
		"no FID of task 1":        {good, missing},
		"all candidates diverged": {nil, good},
		"1 runs for 1 trials":     {good},
	} {
		if want == "1 runs for 1 trials" {
			runs, want = nil, "0 runs for 1 trials"
		}
		if _, err := s.Choose(trials, runs, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want an error that says %q", err, want)
		}
	}
}

// Edges need a range: a switch of two values has none, and what a candidate leaves out is at its default.
func TestEdges(t *testing.T) {
	m := func(kv ...any) map[string]any {
		out := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			out[kv[i].(string)] = kv[i+1]
		}
		return out
	}
	for _, tc := range []struct {
		candidates []map[string]any
		best       int
		want       []string
	}{
		{[]map[string]any{m("lambda", 0.1), m("lambda", 1), m("lambda", 3.0)}, 1, nil},
		{[]map[string]any{m("lambda", 0.1), m("lambda", 1), m("lambda", 3.0)}, 0, []string{"lambda"}},
		{[]map[string]any{m("lambda", 0.1), m(), m("lambda", 0.3)}, 1, []string{"lambda"}}, // the default is 1
		{[]map[string]any{m("buffer", 50), m("buffer", 100)}, 1, nil},
		{[]map[string]any{m("policy", "reservoir"), m("policy", "herding"), m("policy", "class-balanced")}, 0, nil},
		{[]map[string]any{m("lambda", 1, "rows", 1), m("lambda", 2, "rows", 2), m("lambda", 3, "rows", 4)}, 2, []string{"lambda", "rows"}},
	} {
		if got, err := edges("er", tc.candidates, tc.candidates[tc.best]); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%v, best %d: edges %v (%v), want %v", tc.candidates, tc.best, got, err, tc.want)
		}
	}
}

// A study can do without runs that diverge; any other failure still ends it.
func TestStudyDoesWithoutDivergedRuns(t *testing.T) {
	for _, tc := range []struct {
		failure error
		want    bool
	}{
		{diffusion.Divergedf("the loss is NaN at step 7"), true},
		{metrics.NotFinite{Err: errors.New("feature 0 of image 0 is NaN")}, true},
		{errors.New("no space left on device: the loss is NaN"), false},
	} {
		s := smallStudy(t.TempDir())
		finished := stored("finished", "validation", 1)
		finished.Schema, finished.Strategy = results.Schema, results.Strategy{Name: "finetune", Label: "finetune"}
		finished.Benchmark = results.Benchmark{ImageSize: 1, Channels: 1, Tasks: make([]results.Task, 1)}
		dir := filepath.Join(s.Dir, s.Runs[1].RunName())
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := claim(s.Runs[1], dir, nil); err != nil {
			t.Fatal(err)
		}
		if err := finished.Save(filepath.Join(dir, "result.json")); err != nil {
			t.Fatal(err)
		}
		last := StudyProgress{}
		runs, err := s.Do(t.Context(), StudyOptions{Workers: 1, Progress: func(p StudyProgress) { last = p }, Spawn: failing(tc.failure),
			Missing: func(_ Config, err error) bool { return Diverged(err) }})
		if tc.want && (err != nil || len(runs) != 2 || runs[0] != nil || runs[1] == nil || last.Done != 2) {
			t.Errorf("%q: runs %v, progress %+v, error %v; want the first missing", tc.failure, runs, last, err)
		}
		if !tc.want && (err == nil || !strings.Contains(err.Error(), tc.failure.Error())) {
			t.Errorf("%q: got %v", tc.failure, err)
		}
	}
}

func ExampleSearchSettings() {
	fmt.Println(strings.Join(SearchSettings()[:2], "\n"))
	// Output:
	// benchmark.val_fraction=0.1
	// evaluate.reference=validation
}

// failing is a process that dies saying why.
func failing(why error) func(context.Context, string, int, io.Writer) error {
	return func(context.Context, string, int, io.Writer) error { return why }
}
