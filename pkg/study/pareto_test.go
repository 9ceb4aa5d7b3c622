package study

import (
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

// priced is a run of the given final FID and stored bytes.
func priced(name string, fid float64, bytes int64) *results.Run {
	r := resultstest.Finals(name, name, 0, fid, fid)
	r.Cost.StoredBytes = bytes
	return r
}

func TestParetoFrontByHand(t *testing.T) {
	methods := Group([]*results.Run{
		priced("finetune", 5, 0),  // a reference: not on the front, though it would rule
		priced("a", 40, 0),        // free: on
		priced("b", 30, 100),      // on
		priced("c", 30, 200),      // as good as b and dearer: off
		priced("d", 35, 100),      // as dear as b and worse: off
		priced("e", 10, 1000),     // on
		priced("f", 9, 1000),      // as dear as e and better: on, and e off
		priced("g", 50, 1_000_00), // dear and bad: off
		priced("joint", 1, 0),     // a reference
	})
	var on []string
	for _, m := range ParetoFront(methods, FinalOf(FID), PriceBytes) {
		if m.Front {
			on = append(on, m.Method.Label)
		}
	}
	if !slices.Equal(on, []string{"a", "b", "f"}) {
		t.Errorf("on the front are %v; want a, b and f", on)
	}
	// A metric that is better when higher turns it round: low FID is now the worst, so that only the free one with the
	// highest is on.
	turned := FinalOf(FID)
	turned.way = FinalOf(ClassAccuracy).way
	on = nil
	for _, m := range ParetoFront(methods, turned, PriceBytes) {
		if m.Front {
			on = append(on, m.Method.Label)
		}
	}
	if !slices.Equal(on, []string{"a", "g"}) {
		t.Errorf("turned, on the front are %v; want a and g", on)
	}
	if s := ParetoSentences(methods, FinalOf(FID), PriceBytes); len(s) != 1 || !strings.Contains(s[0], "3 of 7 methods have no other that is both cheaper and better, by their means, whose differences are not tested: a (FID 40.0 at 0 KiB), b (FID 30.0 at 0.0977 KiB) and f (FID 9.0 at 0.977 KiB).") {
		// The dearest keeps 98 KiB.
		t.Errorf("%v", s)
	}
}

// A training row counts three: 3·300·(16+4) + 600 rows against 3·300·16 of fine-tuning.
func TestEvaluations(t *testing.T) {
	r := priced("gr", 10, 0)
	r.Cost.ReplayRows, r.Cost.ExtraEvaluations = 4, 600
	if got := Evaluations(r); got != 18600 {
		t.Errorf("%g evaluations, want 18600", got)
	}
	bare := priced("finetune", 20, 0)
	bare.Cost.ReplayRows = 0
	front := ParetoFront(Group([]*results.Run{r, bare}), FinalOf(FID), PriceCompute)
	if len(front) != 1 || front[0].Price.Mean != 18600.0/14400 {
		t.Errorf("%+v; want 18600/14400 times fine-tuning", front)
	}
}
