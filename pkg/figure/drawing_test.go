package figure

import (
	"bytes"
	"fmt"
	"image/png"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/figure/figuretest"
	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// The extent is the least and the greatest of all that is shown, by a search that knows nothing of curves: means, and ends of bands
// except the lower ones that would cross zero from a positive mean.
func TestExtentHoldsAllThatIsShown(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		var curves []Curve
		var shown []float64
		for range 1 + r.IntN(3) {
			var c Curve
			for range r.IntN(6) {
				s := study.Stat{Mean: 4 * r.NormFloat64(), Std: math.NaN(), N: 1}
				switch r.IntN(4) {
				case 0:
					s = study.NewStat(nil)
				case 1:
				default:
					s.Std = 3 * r.Float64()
				}
				c.Y = append(c.Y, s)
				if !s.Known() {
					continue
				}
				shown = append(shown, s.Mean)
				if s.HasSpread() {
					shown = append(shown, s.Mean+s.Std)
					if s.Mean <= 0 || s.Mean-s.Std > 0 {
						shown = append(shown, s.Mean-s.Std)
					}
				}
			}
			curves = append(curves, c)
		}
		low, high, ok := Extent(curves)
		if ok != (len(shown) > 0) {
			t.Fatalf("something is shown: %t, of %v", ok, shown)
		}
		if ok && (low != slices.Min(shown) || high != slices.Max(shown)) {
			t.Fatalf("from %g to %g, by search from %g to %g", low, high, slices.Min(shown), slices.Max(shown))
		}
	}
}

// A line leaves out what was not measured, a band ends where the panel does, and one point has no line to be seen beside its marker.
func TestCurvesLeaveOutWhatIsMissing(t *testing.T) {
	look := Look{Colour: Palette[2], Glyph: draw.BoxGlyph{}}
	y := []study.Stat{{Mean: 2, Std: 5, N: 2}, study.NewStat(nil), {Mean: 6, Std: 1, N: 2}, {Mean: 8, Std: math.NaN(), N: 1}}
	p := NewPanel("", "x", "y")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 5, 0, 10
	AddCurve(p, Curve{Look: look, X: []float64{1, 2, 3, 4}, Y: y}, 2, 3)
	read := figuretest.Read(t, Chart("", "", 400, 300, []Entry{{"a", look}}, [][]*plot.Plot{{p}}).SVG()).Panels[0]
	colour := hexOf(look.Colour)
	want := []point{{X: 1, Y: 2}, {X: 3, Y: 6}, {X: 4, Y: 8}}
	near(t, "markers", read.Marks(t, colour), want)
	near(t, "line", read.Lines(t, colour, 2)[0], want)
	band := read.Bands(t, colour)[0]
	for _, at := range band {
		if at.Y < -0.05 {
			t.Errorf("the band reaches %v, below the panel", at)
		}
	}
	near(t, "band", band, []point{{X: 1, Y: 7}, {X: 1, Y: 0}, {X: 3, Y: 7}, {X: 3, Y: 5}, {X: 4, Y: 8}})

	level := NewPanel("", "x", "y")
	level.X.Min, level.X.Max, level.Y.Min, level.Y.Max = 0, 5, 0, 10
	AddCurve(level, Curve{Look: look, X: []float64{1, 2}, Y: []study.Stat{study.NewStat(nil), study.NewStat(nil)}}, 2, 3)
	AddCurve(level, Curve{Look: look, X: []float64{0, 5}, Y: y[:1], Level: true}, 1.5, 3)
	read = figuretest.Read(t, Chart("", "", 400, 300, nil, [][]*plot.Plot{{level}}).SVG()).Panels[0]
	if marks := read.Marks(t, colour); len(marks) > 0 || len(read.Lines(t, colour, 2)) > 0 {
		t.Errorf("nothing measured and a level have markers at %v", marks)
	}
}

// Every marker is drawn around its point, about as large as it is asked to be.
func TestMarkersStandAtTheirPoints(t *testing.T) {
	const radius = 4
	for _, glyph := range append(slices.Clone(Glyphs), cross{}, draw.CircleGlyph{}) {
		p := NewPanel("", "x", "y")
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 4, 0, 4
		AddCurve(p, Curve{Look: Look{Colour: Vermilion, Glyph: glyph}, X: []float64{1, 3}, Y: []study.Stat{{Mean: 1, Std: math.NaN(), N: 1}, {Mean: 2, Std: math.NaN(), N: 1}}}, 1, radius)
		panel := figuretest.Read(t, Chart("", "", 400, 400, nil, [][]*plot.Plot{{p}}).SVG()).Panels[0]
		near(t, fmt.Sprintf("%#v", glyph), panel.Marks(t, hexOf(Vermilion)), []point{{X: 1, Y: 1}, {X: 3, Y: 2}})
		for _, s := range panel.Shapes {
			if s.Colour != hexOf(Vermilion) || !s.Area && s.Width == 1 {
				continue
			}
			for _, corner := range s.Points {
				if d := math.Hypot(corner.X-s.Centre().X, corner.Y-s.Centre().Y); d > 1.6*radius || d < 0.6*radius {
					t.Errorf("%#v: a corner lies %g off its centre; the radius is %d", glyph, d, radius)
				}
			}
		}
	}
}

// Entries of a legend lie within its width, in order, and none on another.
func TestLegendsFit(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	style := TextStyle(LabelSize, false, Ink, 0, -0.5)
	for range 100 {
		var items []Entry
		for range 1 + r.IntN(12) {
			items = append(items, Entry{Label: strings.Repeat("λ=0.3 ", 1+r.IntN(4))})
		}
		width := vg.Length(200 + 400*r.Float64())
		x, line, lines := place(items, width)
		if line[0] != 0 || x[0] != 0 || lines != line[len(line)-1]+1 {
			t.Fatalf("lines %v, %d in all", line, lines)
		}
		for i, e := range items {
			end := x[i] + legendSample + 5 + style.Width(e.Label)
			if end > width+1e-6 && x[i] > 0 {
				t.Fatalf("entry %d ends at %g of %g", i, end, width)
			}
			if i > 0 && line[i] == line[i-1] && x[i] < x[i-1]+legendSample+5+style.Width(items[i-1].Label) {
				t.Fatalf("entry %d begins at %g, within the one before", i, x[i])
			}
			if i > 0 && (line[i] < line[i-1] || line[i] > line[i-1]+1) {
				t.Fatalf("entry %d is on line %d, the one before on %d", i, line[i], line[i-1])
			}
		}
		if got := legendHeight(items, float64(width)); got != float64(legendLine*lines+6) {
			t.Fatalf("the legend is %g high", got)
		}
	}
}

// The name of each row stands at the height of its dot.
func TestNamesStandAtTheirRows(t *testing.T) {
	methods := study.Group(resultstest.MadeUp(2))
	d := figuretest.Read(t, CostQuality(methods).SVG())
	last := d.Panels[len(d.Panels)-1]
	looks := Looks(methods)
	for i, g := range methods {
		at := math.NaN()
		for _, text := range last.Texts {
			if text.Words == g.Label {
				at = text.At.Y
			}
		}
		dots := d.Panels[0].Marks(t, hexOf(looks[i].Colour))
		if len(dots) != 1 || math.Abs(at+3.8-dots[0].Y) > 1.5 { // the text's foot is below its middle
			t.Errorf("%s is written at %g, its dot is at %v", g.Label, at, dots)
		}
	}
}

// The caption of a heat map says where its scale begins and ends, which are the least and the greatest cell.
func TestHeatmapCaptionGivesTheScale(t *testing.T) {
	runs := resultstest.MadeUp(2)
	methods := study.Group(runs)
	low, high := math.Inf(1), math.Inf(-1)
	for _, g := range methods {
		for after := range 3 {
			for task := range 3 {
				if values := moment(runs, g.Label, after, task, fidOf); len(values) > 0 {
					mean, _ := meanAndSpread(values)
					low, high = min(low, mean), max(high, mean)
				}
			}
		}
	}
	caption := HeatmapCaption(methods, study.FID)
	m := regexp.MustCompile(`from (\d+\.?\d*) to (\d+\.?\d*)`).FindStringSubmatch(caption)
	if m == nil {
		t.Fatalf("the caption is %q", caption)
	}
	for i, want := range []float64{low, high} {
		if got, err := strconv.ParseFloat(m[i+1], 64); err != nil || math.Abs(got-want) > 0.006*want {
			t.Errorf("the scale's end is written %s, it is %g", m[i+1], want)
		}
	}
	if !strings.Contains(caption, "(logarithmic)") || !strings.Contains(caption, "lower is better, light is better") {
		t.Errorf("the caption is %q", caption)
	}
	if share := HeatmapCaption(methods, study.ClassAccuracy); !strings.Contains(share, "from 0 to 100. ") {
		t.Errorf("per cent go by %q", share)
	}
}

// Of several evaluations after one task the last counts, for the figure as for the matrix.
func TestLastEvaluationCounts(t *testing.T) {
	r := resultstest.NewRun("er", "er", 0, 2)
	r.Evaluations = []results.Evaluation{{AfterTask: 0, Step: 10}, {AfterTask: 0, Step: 20}, {AfterTask: 1, Step: 40}}
	for task, want := range []float64{20, 40} {
		if got := stepAfter(r, task); got != want {
			t.Errorf("after task %d at step %g, want %g", task, got, want)
		}
	}
	if !math.IsNaN(stepAfter(r, 2)) {
		t.Error("there is a step after a task that there is not")
	}
	if ends := taskEnds([]study.Method{{Label: "er", Runs: []*results.Run{r}}}); !slices.Equal(ends, []float64{20}) {
		t.Errorf("tasks but the last end at %v", ends)
	}
}

// Points of one number of rows are spread evenly around it, in a distance of a step; those of others do not move them.
func TestBesideEachOther(t *testing.T) {
	var methods []study.Method
	for i, rows := range []int{4, 16, 4, 16, 16, 8} {
		r := resultstest.NewRun("er", fmt.Sprint("er ", i), 0, 2)
		r.Cost.ReplayRows, r.Cost.StoredImages = rows, 60
		r.Strategy.Settings = map[string]any{"lambda": 1}
		methods = append(methods, study.Method{Label: r.Strategy.Label, Runs: []*results.Run{r}})
	}
	got := besideEachOther(methods, 0.5)
	for i, want := range []float64{3.75, 15.5, 4.25, 16, 16.5, 8} {
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("point %d is at %g, want %g", i, got[i], want)
		}
	}
}

// In a page a figure is the same drawing with other colours of text; its words are escaped.
func TestFormsOfAFigure(t *testing.T) {
	f := Absent(`A <b> & "c"`, "No such number was measured.")
	for _, text := range []string{f.SVG(), f.HTML()} {
		if !strings.Contains(text, "No such number was measured.") || strings.Contains(text, "<b> &") {
			t.Errorf("the figure is %s", text)
		}
	}
	f = ForgettingCurve(study.Group(resultstest.MadeUp(2)), study.FID, 0)
	if inline := f.Inline(); regexp.MustCompile(`#1[9A-F]1[9A-F]1[9A-F]`).MatchString(inline) || strings.Count(inline, "<path") != strings.Count(f.SVG(), "<path") || strings.Count(inline, "<text") != strings.Count(f.SVG(), "<text") {
		t.Error("in a page the figure is another drawing, or its ink is not the page's")
	}
	for _, scale := range []float64{1, 2, 3} {
		data, err := f.PNG(scale)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.DecodeConfig(bytes.NewReader(data))
		if err != nil || math.Abs(float64(picture.Width)-scale*f.Width) > 1 || math.Abs(float64(picture.Height)-scale*f.Height) > 1 {
			t.Errorf("at scale %g: %d × %d dots of %g × %g (%v)", scale, picture.Width, picture.Height, f.Width, f.Height, err)
		}
	}
	for strength, want := range map[float64]uint8{0: 0, 1: 255, 0.5: 128} {
		if got := Faint(strength); got.A != want || got.R != Ink.R {
			t.Errorf("ink of strength %g is %v", strength, got)
		}
	}
}

// points gives the coordinates along a path, whose lines may go on from the point before.
func points(t *testing.T, path string) []float64 {
	var all []float64
	for _, step := range regexp.MustCompile(`([A-Za-z])([^A-Za-z]*)`).FindAllStringSubmatch(path, -1) {
		to := floats(t, regexp.MustCompile(`-?\d+(\.\d+)?`).FindAllString(step[2], -1))
		if step[1] == "l" {
			to[0], to[1] = to[0]+all[len(all)-2], to[1]+all[len(all)-1]
		}
		all = append(all, to...)
	}
	return all
}

// Compacting a whole figure moves no coordinate by more than a twentieth of a pixel, and keeps every word.
func TestCompactKeepsTheDrawing(t *testing.T) {
	number := regexp.MustCompile(`-?\d+(\.\d+)?`)
	for name, f := range drawn(t) {
		before, after := f.Inline(), compactSVG(f.Inline())
		words := regexp.MustCompile(`>([^<>]+)</text>`)
		if a, b := words.FindAllString(before, -1), words.FindAllString(after, -1); !slices.Equal(a, b) {
			t.Errorf("%s: words change", name)
		}
		paths := regexp.MustCompile(`<path d="([^"]*)" style="[^"]*(fill|stroke):#[0-9A-F]{6}`)
		a, b := paths.FindAllStringSubmatch(before, -1), regexp.MustCompile(`<path d="([^"]*)" style="[^"]*(fill|stroke):(#[0-9A-F]{6}|currentColor)`).FindAllStringSubmatch(after, -1)
		if len(b) < len(a)-len(regexp.MustCompile(`fill:#-8`).FindAllString(before, -1)) {
			t.Errorf("%s: %d paths become %d", name, len(a), len(b))
			continue
		}
		coloured := regexp.MustCompile(`<path d="([^"]*)" style="([^"]*)"`)
		var x, y []float64
		for _, m := range coloured.FindAllStringSubmatch(before, -1) {
			if !strings.Contains(m[2], "fill:#-") {
				x = append(x, floats(t, number.FindAllString(m[1], -1))...)
			}
		}
		for _, m := range coloured.FindAllStringSubmatch(after, -1) {
			y = append(y, points(t, m[1])...)
		}
		if len(x) != len(y) {
			t.Errorf("%s: %d coordinates become %d", name, len(x), len(y))
			continue
		}
		for i := range x {
			if math.Abs(x[i]-y[i]) > 0.0501 {
				t.Fatalf("%s: a coordinate of %g becomes %g", name, x[i], y[i])
			}
		}
	}
}

func floats(t *testing.T, texts []string) (all []float64) {
	t.Helper()
	for _, text := range texts {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// Captions speak of a mean over seeds where there are several alone.
func TestCaptionsOfOneSeed(t *testing.T) {
	for seeds, many := range map[int]bool{1: false, 2: true} {
		methods := study.Group(resultstest.MadeUp(seeds))
		for _, caption := range []string{HeatmapCaption(methods, study.FID), LossCurve(methods).Caption, ForgettingCurves(methods, study.FID).Caption} {
			if strings.Contains(caption, "over seeds") != many {
				t.Errorf("of %d seeds a caption is %q", seeds, caption)
			}
		}
	}
}
