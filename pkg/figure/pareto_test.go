package figure

import (
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

func TestParetoRefusesMixedBenchmarks(t *testing.T) {
	if _, err := Pareto(study.Group([]*results.Run{resultstest.Finals("a", "a", 0, 1, 2), resultstest.Finals("b", "b", 0, 1, 2, 3)}), study.FinalOf(study.FID)); err == nil || !strings.Contains(err.Error(), "ByBenchmark") {
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
