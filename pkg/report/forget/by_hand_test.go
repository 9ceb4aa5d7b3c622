package forget

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/study"
)

// Ranges of timesteps are next to each other, cover all and differ in length by one at most.
func TestSplitCoversAll(t *testing.T) {
	for size := 1; size < 25; size++ {
		var timesteps []int
		for k := range size {
			timesteps = append(timesteps, 10*k)
		}
		for n := 1; n < 12; n++ {
			spans, at, least, most := split(timesteps, n), 0, size, 0
			for _, s := range spans {
				if s.from != at || s.to <= s.from {
					t.Fatalf("%d ranges of %d timesteps: %+v", n, size, spans)
				}
				at, least, most = s.to, min(least, s.to-s.from), max(most, s.to-s.from)
			}
			if at != size || most-least > 1 || len(spans) != min(n, size) {
				t.Fatalf("%d ranges of %d timesteps: %+v", n, size, spans)
			}
		}
	}
	if s := split([]int{3, 50, 90}, 2); s[0].name != "t = 3" || s[1].name != "t = 50–90" {
		t.Errorf("%+v", s)
	}
}

// Means of ranges are over what is known, and of a range without any they are unknown.
func TestAverages(t *testing.T) {
	nan := math.NaN()
	got := averages([]float64{1, 3, nan, 7, nan, nan}, []span{{0, 2, ""}, {2, 4, ""}, {4, 6, ""}, {0, 6, ""}})
	for i, want := range []float64{2, 7, nan, 11.0 / 3} {
		if math.Abs(got[i]-want) > 1e-12 || math.IsNaN(got[i]) != math.IsNaN(want) {
			t.Errorf("range %d is %g, want %g", i, got[i], want)
		}
	}
}

// Borders lie midway between places, each place within its two, in either direction of the axis.
func TestTimeAxisEdges(t *testing.T) {
	random := rand.New(rand.NewPCG(51, 52))
	for n := 1; n < 9; n++ {
		timesteps, logSNR := make([]int, n), make([]float64, n)
		for k := range n {
			timesteps[k] = 5 + 7*k + random.IntN(7)
			logSNR[k] = 4 - float64(k) - 0.5*random.Float64()
		}
		for _, axis := range []string{dynamics.AxisT, dynamics.AxisLogSNR} {
			a, err := newTimeAxis(axis, timesteps, logSNR)
			if err != nil {
				t.Fatal(err)
			}
			edges := a.edges()
			if len(edges) != n+1 {
				t.Fatalf("%d borders of %d places", len(edges), n)
			}
			for k, x := range a.x {
				if (edges[k]-x)*(edges[k+1]-x) >= 0 {
					t.Errorf("%s: %g is not between %g and %g", axis, x, edges[k], edges[k+1])
				}
				if k > 0 && math.Abs(edges[k]-(x+a.x[k-1])/2) > 1e-12 {
					t.Errorf("%s: the border %g is not midway between %g and %g", axis, edges[k], a.x[k-1], x)
				}
			}
			p := figure.NewPanel("", "", "")
			a.apply(p)
			left, right := p.X.Norm(a.x[0]), p.X.Norm(a.x[n-1])
			if n > 1 && left >= right { // clean images are at the left
				t.Errorf("%s: the first timestep is at %g, the last at %g", axis, left, right)
			}
		}
	}
	if _, err := newTimeAxis("snr", nil, nil); err == nil || !strings.Contains(err.Error(), `need "t" or "log_snr"`) {
		t.Errorf("an axis that there is not: %v", err)
	}
}

// A relative change is blue below 0 and red above, the stronger the further away, and as strong for a factor as for its inverse.
func TestDivergingColours(t *testing.T) {
	strength := func(v float64) int { // how far from white
		c := diverging(v, math.Log(8))
		return 3*0xf7 - int(c.R) - int(c.G) - int(c.B)
	}
	for k := 1; k < 60; k++ {
		a, b := math.Exp(math.Log(8)*float64(k-1)/60)-1, math.Exp(math.Log(8)*float64(k)/60)-1
		if strength(b) < strength(a) || strength(1/(1+b)-1) < strength(1/(1+a)-1) {
			t.Errorf("%g is drawn weaker than %g", b, a)
		}
		if worse, better := diverging(b, math.Log(8)), diverging(1/(1+b)-1, math.Log(8)); worse.R < worse.B || better.B < better.R {
			t.Errorf("%g is %v, its inverse %v", b, worse, better)
		}
	}
	if strength(0) != 0 || diverging(1e9, 1) != diverging(1e12, 1) || diverging(-1, 1) != diverging(-0.9999, 1) {
		t.Error("no change is not white, or the ends of the scale are not its ends")
	}
	if a, b := rgb("0072b2"), rgb("ffffff"); blend(a, b, 0) != a || blend(a, b, 1) != b || blend(a, b, 0.5).R != 0x80 {
		t.Error("colours do not mix")
	}
}

func TestWordsOfChanges(t *testing.T) {
	for want, v := range map[string]float64{"+35 %": 0.354, "−1.2 %": -0.0123, "+1200 %": 12.34, "0": 0} {
		if got := changeText(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
	for want, s := range map[string]study.Stat{"+35 %": study.NewStat([]float64{0.35}), "−4 %": study.NewStat([]float64{-0.04}), "+0 %": study.NewStat([]float64{0}), "– %": study.NewStat(nil)} {
		if got := signed(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := stepText(749.6); got != "750" {
		t.Errorf("%q", got)
	}
}

// Looks of things in order go from the coldest colour to the hottest, and no two of ten are the same.
func TestGraded(t *testing.T) {
	looks := graded(10)
	if looks[0].Colour != rgb(tColours[0]) || looks[9].Colour != rgb(tColours[len(tColours)-1]) || graded(1)[0].Colour != rgb(tColours[0]) {
		t.Errorf("from %v to %v", looks[0].Colour, looks[9].Colour)
	}
	for i, a := range looks {
		for _, b := range looks[:i] {
			if a.Colour == b.Colour {
				t.Errorf("two have the colour %v", a.Colour)
			}
		}
	}
}

// What is measured of seeds is paired place by place; seeds of different probes are no study.
func TestOverSeeds(t *testing.T) {
	of := func(v []float64) ([]float64, error) { return v, nil }
	got, err := overSeeds([][]float64{{1, 10}, {3, 14}}, of)
	if err != nil || got[0].Mean != 2 || got[1].Mean != 12 || math.Abs(got[1].Std-4/math.Sqrt2) > 1e-12 {
		t.Errorf("%+v, %v", got, err)
	}
	if d := study.Compare(got[1], got[0]); d.Value != 10 || !strings.HasPrefix(d.Rule(), "paired t over 2 seeds") {
		t.Errorf("%+v by %q", d, d.Rule())
	}
	if low, high := lowestHighest(got); low != 0 || high != 1 {
		t.Errorf("least %d, most %d", low, high)
	}
	if _, err := overSeeds([][]float64{{1}, {1, 2}}, of); err == nil || !strings.Contains(err.Error(), "1 and 2 values") {
		t.Errorf("%v", err)
	}
}

// The made-up losses rise straight from the moment a task was learned to the end: half of the way, half of the rise.
func TestCourseIsStraight(t *testing.T) {
	s := madeUpSeries(1, 0.2)
	spans := split(s.Timesteps, len(s.Timesteps)) // each timestep by itself
	got, err := courseOf(s, 0, spans)
	if err != nil {
		t.Fatal(err)
	}
	moments := len(got) / len(spans)
	for r, at := range s.Timesteps {
		for i := range moments {
			want := 0.8 * rise(at, 1) * float64(i) / float64(moments-1)
			if math.Abs(got[r*moments+i]-want) > 1e-5*(1+want) { // losses are stored as float32
				t.Errorf("t = %d, moment %d of %d: %g, want %g", at, i, moments, got[r*moments+i], want)
			}
		}
	}
}

// The mean of cosines over the new tasks, by hand: 0.4 - t/1000 of the first, 0.1 more of the second.
func TestMeanCosines(t *testing.T) {
	a := madeUpAutopsy(2, 0)
	got, err := interferences(a, cosineOf)
	if err != nil {
		t.Fatal(err)
	}
	for k, at := range a.Timesteps {
		if want := 0.4 - float64(at)/1000 + 0.05 + 0.04; math.Abs(got[k]-want) > 1e-12 {
			t.Errorf("t = %d: %g, want %g", at, got[k], want)
		}
	}
	drift, err := driftOf(a, AllOld)
	if err != nil {
		t.Fatal(err)
	}
	for k, at := range a.Timesteps {
		if want := 1 - float64(at)/1000 + 0.02; math.Abs(drift[k]-want) > 1e-12 {
			t.Errorf("t = %d: the similarity is %g, want %g", at, drift[k], want)
		}
	}
	if _, err := driftOf(a, 2); err == nil || !strings.Contains(err.Error(), "no drift was measured") {
		t.Errorf("the newest task has drifted: %v", err)
	}
}
