package report

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"

	"palimpsest/pkg/results"
)

// priced is a run of the given final FID and stored bytes.
func priced(name string, fid float64, bytes int64) *results.Run {
	r := finals(name, name, 0, fid, fid)
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

func TestParetoRefusesMixedBenchmarks(t *testing.T) {
	if _, err := Pareto(Group([]*results.Run{finals("a", "a", 0, 1, 2), finals("b", "b", 0, 1, 2, 3)}), FinalOf(FID)); err == nil || !strings.Contains(err.Error(), "ByBenchmark") {
		t.Errorf("mixed numbers of tasks give %v", err)
	}
}

// Labels of 27 points in crowds lie on no other label and within the bounds.
func TestPlaceLabels(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	bounds := vg.Rectangle{Max: vg.Point{X: 300, Y: 250}}
	for range 20 {
		var points, sizes []vg.Point
		for k := range 27 {
			at := vg.Point{X: vg.Length(300 * random.Float64()), Y: vg.Length(250 * random.Float64())}
			if k > 0 && k%3 > 0 { // crowds at one price
				at.X, at.Y = points[k-1].X, points[k-1].Y+vg.Length(4*random.Float64())
			}
			points, sizes = append(points, at), append(sizes, vg.Point{X: 14, Y: 11})
		}
		places := placeLabels(points, sizes, 4, bounds)
		for i, a := range places {
			if a.Min.X < 0 || a.Max.X > 300 || a.Min.Y < 0 || a.Max.Y > 250 {
				t.Fatalf("label %d at %v is outside", i, a)
			}
			for j, b := range places[:i] {
				if overlap(a, b) {
					t.Fatalf("labels %d and %d overlap: %v, %v", i, j, a, b)
				}
			}
		}
	}
}
