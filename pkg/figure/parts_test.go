package figure

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// Twenty-five methods look different, all of them; finetune and joint look the same in every figure.
func TestLooksDiffer(t *testing.T) {
	var runs []*results.Run
	for k := range 25 {
		runs = append(runs, resultstest.NewRun("er", fmt.Sprintf("er λ=%d", k), 0, 2))
	}
	runs = append(runs, resultstest.NewRun(study.Finetune, "finetune", 0, 2), resultstest.NewRun(study.Joint, "joint", 0, 2))
	methods := study.Group(runs)
	seen := map[string]string{}
	for i, l := range Looks(methods) {
		key := fmt.Sprintf("%v %v %#v", l.Colour, l.Dash, l.Glyph)
		if seen[key] != "" {
			t.Errorf("%s looks like %s", methods[i].Label, seen[key])
		}
		seen[key] = methods[i].Label
	}
	few := Looks([]study.Method{methods[0], methods[len(methods)-1]})
	all := Looks(methods)
	if !reflect.DeepEqual(few[0], all[0]) || !reflect.DeepEqual(few[1], all[len(all)-1]) {
		t.Error("finetune or joint look different among fewer methods")
	}
}

// The extent of curves has their bands; one that reaches below zero does not take a positive curve there.
func TestExtent(t *testing.T) {
	known := func(mean, std float64) study.Stat { return study.Stat{Mean: mean, Std: std, N: 2} }
	unknown := study.NewStat(nil)
	for _, tc := range []struct {
		name      string
		curves    []Curve
		low, high float64
		ok        bool
	}{
		{"nothing", []Curve{{Y: []study.Stat{unknown}}}, math.Inf(1), math.Inf(-1), false},
		{"a point", []Curve{{Y: []study.Stat{unknown, {Mean: 3, Std: math.NaN(), N: 1}}}}, 3, 3, true},
		{"bands", []Curve{{Y: []study.Stat{known(3, 1)}}, {Y: []study.Stat{known(7, 2)}}}, 2, 9, true},
		{"a band below zero", []Curve{{Y: []study.Stat{known(3, 5)}}}, 3, 8, true},
		{"a negative mean", []Curve{{Y: []study.Stat{known(-3, 5)}}}, -8, 2, true},
	} {
		if low, high, ok := Extent(tc.curves); low != tc.low || high != tc.high || ok != tc.ok {
			t.Errorf("%s: from %g to %g, %t; want %g to %g, %t", tc.name, low, high, ok, tc.low, tc.high, tc.ok)
		}
	}
}

// The axis holds all values with room, is logarithmic where they span more than a factor of 8, and begins at zero where that is
// near.
func TestSetRange(t *testing.T) {
	for _, tc := range []struct {
		low, high, from float64 // from: where the axis begins; NaN: anywhere below low
		logarithmic     bool
	}{{1, 9, math.NaN(), true}, {1, 7, 0, false}, {6, 7, math.NaN(), false}, {-5, 7, math.NaN(), false}, {4, 4, math.NaN(), false}, {0, 0, math.NaN(), false}} {
		p := NewPanel("", "", "")
		if got := SetRange(p, tc.low, tc.high); got != tc.logarithmic {
			t.Errorf("from %g to %g: logarithmic %t", tc.low, tc.high, got)
		}
		if p.Y.Min > tc.low || p.Y.Max <= tc.high || !math.IsNaN(tc.from) && p.Y.Min != tc.from || tc.logarithmic && p.Y.Min <= 0 {
			t.Errorf("the axis of %g to %g goes from %g to %g", tc.low, tc.high, p.Y.Min, p.Y.Max)
		}
	}
}

// Ticks lie within the range, ascend by equal steps, and are labelled with what they are.
func TestLinearTicks(t *testing.T) {
	for _, r := range [][2]float64{{0, 1}, {-3, 17}, {0.0012, 0.0019}, {250, 90_000}, {-1e-6, 1e-6}} {
		for name, ticker := range map[string]plot.Ticker{"linear": LinearTicks{}, "few": FewTicks{}} {
			ticks := ticker.Ticks(r[0], r[1])
			if len(ticks) < 2 {
				t.Errorf("%s: %d ticks from %g to %g", name, len(ticks), r[0], r[1])
				continue
			}
			step := ticks[1].Value - ticks[0].Value
			for i, tick := range ticks {
				if slack := 1e-9 * step; tick.Value < r[0]-slack || tick.Value > r[1]+slack || i > 0 && math.Abs(tick.Value-ticks[i-1].Value-step) > 1e-6*step {
					t.Errorf("%s: ticks from %g to %g are %v", name, r[0], r[1], ticks)
					break
				}
			}
		}
	}
	for _, tick := range (logTicks{}).Ticks(0.3, 40) {
		if lead := tick.Value / math.Pow(10, math.Floor(math.Log10(tick.Value)+1e-9)); math.Abs(lead-1) > 1e-9 && math.Abs(lead-2) > 1e-9 && math.Abs(lead-5) > 1e-9 {
			t.Errorf("a logarithmic tick at %g", tick.Value)
		}
	}
	if got := len(wholeTicks(25).Ticks(0, 25)); got > 10 {
		t.Errorf("%d ticks of 25 tasks", got)
	}
	for n := 1; n < 40; n++ {
		if got := len(rankTicks(n).Ticks(1, float64(n))); got > 9 || got < 1 {
			t.Errorf("%d ticks of %d ranks", got, n)
		}
	}
}

// An axis with a place for zero keeps the order of values, with zero left of all.
func TestZeroLogKeepsTheOrder(t *testing.T) {
	z := zeroLog{2}
	before := -1.0
	for _, v := range []float64{0, 2, 3, 50, 1e6} {
		if at := z.Normalize(0, 1e6, v); at <= before || at > 1 {
			t.Errorf("%g is at %g, after %g", v, at, before)
		} else {
			before = at
		}
	}
	if first := z.Ticks(0, 1e6)[0]; first.Value != 0 || first.Label != "0" {
		t.Errorf("the first tick is %+v", first)
	}
}

// Better values are lighter, for either direction, and words on them have WCAG's contrast of 4.5 or more.
func TestShadesDarkenWhereWorse(t *testing.T) {
	for _, s := range []shade{{low: 10, high: 20, better: metrics.LowerIsBetter}, {low: 1, high: 900, logarithmic: true, better: metrics.LowerIsBetter},
		{low: 0, high: 1, better: metrics.HigherIsBetter}, {low: 3, high: 3, better: metrics.LowerIsBetter}} {
		last := math.NaN()
		for k := range 101 {
			v := s.low + (s.high-s.low)*float64(k)/100
			fill, words := s.colour(v)
			a, b := luminance(fill), luminance(words)
			if contrast := (math.Max(a, b) + 0.05) / (math.Min(a, b) + 0.05); contrast < 4.5 {
				t.Errorf("the words on %g have a contrast of %.2f", v, contrast)
			}
			if k > 0 && (s.better == metrics.LowerIsBetter && a > last+1e-9 || s.better == metrics.HigherIsBetter && a < last-1e-9) {
				t.Errorf("of %+v, %g is lighter than what is better", s, v)
			}
			last = a
		}
	}
	if got := luminance(Ink); got > 0.02 { // WCAG: black is 0, white 1
		t.Errorf("the ink has a luminance of %g", got)
	}
}

func TestCellNumber(t *testing.T) {
	for whole := range 101 { // as percent
		if got, want := cellNumber(float64(whole)/100*100), strconv.Itoa(whole); got != want {
			t.Errorf("%s %% is written %q", want, got)
		}
	}
	for v, want := range map[float64]string{0: "0", 7: "7", 123.4: "123", 1234: "1234", 12.34: "12.3", 1.234: "1.23", 0.1234: "0.12", 0.01234: "0.012", -5.55: "−5.55"} {
		if got := cellNumber(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
}

// Text is cut to its width, and only where it is wider.
func TestShorten(t *testing.T) {
	s := TextStyle(12, false, Ink, 0, 0)
	const words = "experience replay with a very long name"
	if got := Shorten(s, words, s.Width(words)); got != words {
		t.Errorf("what fits becomes %q", got)
	}
	for width := vg.Length(20); width < s.Width(words); width += 17 {
		got := Shorten(s, words, width)
		if s.Width(got) > width || !strings.HasSuffix(got, "…") || !strings.HasPrefix(words, strings.TrimSuffix(got, "…")) {
			t.Errorf("%q is %g wide of %g", got, s.Width(got), width)
		}
	}
}

// Figures laid side by side overlap nowhere and stay within the line; the whole is as large as it needs.
func TestSideBySide(t *testing.T) {
	a, b, c := Figure{Width: 100, Height: 40}, Figure{Width: 120, Height: 60}, Figure{Width: 50, Height: 20}
	for width, want := range map[float64][2]float64{1000: {100 + 16 + 120 + 16 + 50, 60}, 240: {100 + 16 + 120, 60 + 16 + 20}, 10: {120, 40 + 16 + 60 + 16 + 20}} {
		if f := SideBySide("", "", width, a, b, c); f.Width != want[0] || f.Height != want[1] {
			t.Errorf("within %g: %g × %g, want %g × %g", width, f.Width, f.Height, want[0], want[1])
		}
	}
}

// What was not measured, or has no size, is said or refused.
func TestNothingToDraw(t *testing.T) {
	if text := HeatmapCaption(nil, study.FID); text != "FID was not measured." {
		t.Errorf("of no methods the caption is %q", text)
	}
	for _, scale := range []float64{math.NaN(), math.Inf(1), 1e9} {
		for _, f := range []Figure{{}, Absent("title", "why")} {
			if _, err := f.PNG(scale); err == nil || !strings.Contains(err.Error(), "above 0") {
				t.Errorf("%g × %g pixels at scale %g: %v", f.Width, f.Height, scale, err)
			}
		}
	}
}
