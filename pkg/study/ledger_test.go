package study

import (
	"math"
	"strings"
	"testing"

	"palimpsest/pkg/cards"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

// duel is a study of two strategies, gr and ewc, three seeds each: gr ends at the given FID, ewc at 20. Every third block
// goes by so much the other way.
func duel(gr, wobble float64) []Method {
	var runs []*results.Run
	for seed := range uint64(3) {
		d := float64(seed)
		off := []float64{wobble, -wobble, 0}
		runs = append(runs, resultstest.Finals("gr", "gr", seed, gr+d+off[seed], gr+d-off[seed], gr+d+2*off[seed]+0.1*d), resultstest.Finals("ewc", "ewc", seed, 20+d, 20+d, 20+d))
	}
	return Group(runs)
}

func TestLedgerFlipsWithItsData(t *testing.T) {
	known := map[string]cards.Card{"gr": {Verified: "a value | by\nhand (TestGR)", Claims: []cards.Claim{
		{Says: "replay forgets less.", Source: "a paper", Better: "gr", Worse: "ewc", Metric: cards.MetricFID},
		{Says: "replay beats the moon", Source: "a paper", Better: "gr", Worse: "moon", Metric: cards.MetricForgetting}}}}
	for _, tc := range []struct {
		name       string
		gr, wobble float64
		want, text string
	}{
		{"better", 10, 0, Agrees, "replay forgets less (a paper): agrees; FID of gr less that of ewc: −10.0 [−10.0, −9.9], paired t over 3 seeds, p < 0.001"},
		{"worse", 30, 0, Disagrees, "does not agree; FID of gr less that of ewc: 10.0 [10.0, 10.1], paired t over 3 seeds, p < 0.001"},
		{"level", 20, 5, Undecided, "undecided; FID of gr less that of ewc: 0.0 ["},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := NewLedger(known, duel(tc.gr, tc.wobble))
			if err != nil {
				t.Fatal(err)
			}
			claims := l.Rows[0].Claims
			if claims[0].Verdict != tc.want || !strings.Contains(claims[0].Text(), tc.text) {
				t.Errorf("%q, verdict %q; want %q in it", claims[0].Text(), claims[0].Verdict, tc.text)
			}
			if claims[1].Verdict != NotStudied {
				t.Errorf("a strategy that did not run is %q", claims[1].Verdict)
			}
			markdown := l.Markdown()
			for _, want := range []string{`| gr | a paper | gr | a value \| by hand (TestGR) | – | `, "Without a card of their own: ewc.", "1 compare with a method that was not run"} {
				if !strings.Contains(markdown, want) {
					t.Errorf("missing %q in\n%s", want, markdown)
				}
			}
		})
	}
	// One seed decides nothing, however large the difference.
	one := duel(1, 0)
	for i := range one {
		one[i].Runs = one[i].Runs[:1]
	}
	if l, err := NewLedger(known, one); err != nil || l.Rows[0].Claims[0].Verdict != Undecided {
		t.Errorf("one seed: %+v, %v", l, err)
	}
	known["gr"].Claims[0].Metric = "elo"
	if _, err := NewLedger(known, one); err == nil || !strings.Contains(err.Error(), `"elo"`) {
		t.Errorf("an unknown metric gives %v", err)
	}
}

// Every card there is can be judged: claims have known metrics and name known strategies.
func TestLedgerOfAllCards(t *testing.T) {
	var runs []*results.Run
	for _, s := range cl.All() {
		for seed := range uint64(2) {
			runs = append(runs, resultstest.Finals(s.Info().Name, s.Info().Name, seed, 10, 20))
		}
	}
	methods := Group(runs)
	known, err := Cards(methods)
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewLedger(known, methods)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range l.Rows {
		for _, c := range r.Claims {
			if c.Verdict == NotStudied && !strings.Contains(c.Claim.Better+c.Claim.Worse, "+") { // compositions are not listed
				t.Errorf("%s: %q compares %q with %q; one of them is no strategy", r.Name, c.Claim.Says, c.Claim.Better, c.Claim.Worse)
			}
		}
	}
}

// A strategy with several settings is judged at the best of them by the claim's metric, whichever that is.
func TestLedgerTakesTheBestSetting(t *testing.T) {
	var runs []*results.Run
	for seed := range uint64(3) {
		d := float64(seed)
		runs = append(runs, resultstest.Finals("gr", "gr weak", seed, 90+d, 91+d, 92+d), resultstest.Finals("gr", "gr strong", seed, 10+d, 10+d, 11+1.1*d),
			resultstest.Finals("gr", "gr middling", seed, 50+d, 51+d, 52+d), resultstest.Finals("ewc", "ewc", seed, 20+d, 20+d, 20+d))
	}
	held := map[string]cards.Card{"gr": {Claims: []cards.Claim{{Says: "it is better", Source: "a paper", Better: "gr", Worse: "ewc", Metric: cards.MetricFID}}}}
	l, err := NewLedger(held, Group(runs))
	if err != nil {
		t.Fatal(err)
	}
	if c := l.Rows[0].Claims[0]; c.Better != "gr strong" || c.Verdict != Agrees || math.Abs(c.Difference.Value+29.0/3-0.1/3) > 1e-9 {
		t.Errorf("%+v", c)
	}
	if got := l.Rows[0].Ran; len(got) != 3 {
		t.Errorf("it ran as %v", got)
	}
}
