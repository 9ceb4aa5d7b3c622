package bits

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"palimpsest/pkg/figure"
	"palimpsest/pkg/figure/figuretest"
	"palimpsest/pkg/likelihood"
	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// The tests of this file read figures and tables as people do, and compare what stands there with numbers taken from the stored runs
// by plain loops.

func hexOf(c color.NRGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }

// final is the evaluation after the last task.
func final(r *results.Run) []results.TaskMetrics { return r.Evaluations[len(r.Evaluations)-1].Tasks }

// near says whether a place that was read off a figure stands for a value.
func near(got, want float64) bool { return math.Abs(got-want) <= 0.004*math.Abs(want)+2e-3 }

// atHeights sorts marks from above.
func atHeights(marks []figuretest.Point) []figuretest.Point {
	slices.SortFunc(marks, func(a, b figuretest.Point) int { return int(math.Copysign(1, b.Y-a.Y)) })
	return marks
}

// The bars' heights are the shares of the bins' bits, from one of their edges to the next; the line is their sum; below are what the
// loss of old tasks has become, and by how much of its own size that moves the total.
func TestPartsFigureShowsTheBins(t *testing.T) {
	methods := study.Group(resultstest.Likely(2, false))
	f, err := PartsFigure(methods)
	if err != nil {
		t.Fatal(err)
	}
	d := figuretest.Read(t, f.SVG())
	if len(d.Panels) != 3 {
		t.Fatalf("%d panels", len(d.Panels))
	}
	// Of a method: decoder and bins, when each old task was learned and at the end, mean over the two old tasks, by seed.
	parts := func(r *results.Run) (learned, end []float64, total float64) {
		learned, end = make([]float64, 5), make([]float64, 5)
		for task := range 2 {
			for k, into := range [][]float64{learned, end} {
				b := r.Evaluations[[]int{task, 2}[k]].Tasks[task].BPD
				into[0] += b.Decoder / 2
				for i, bin := range b.Bins {
					into[i+1] += bin / 2
				}
				if k == 0 {
					total += b.Mean / 2
				}
			}
		}
		return learned, end, total
	}
	edges := []float64{0, 1, 10, 30, 60, 100}
	first := methods[0]
	shares := make([]float64, 5)
	for _, r := range first.Runs {
		learned, _, total := parts(r)
		for i, v := range learned {
			shares[i] += 100 * v / total / float64(len(first.Runs))
		}
	}
	p := d.Panels[0]
	x, y := p.Axes(t)
	bars := 0
	for _, s := range p.Shapes {
		if !s.Area || len(s.Points) != 4 {
			continue
		}
		left, right, height := x.Value(s.Points[0].X), x.Value(s.Points[2].X), y.Value(s.Points[1].Y)
		if math.Abs(left-edges[bars]) > 0.3 || math.Abs(right-edges[bars+1]) > 0.3 || math.Abs(height-shares[bars]) > 0.3 {
			t.Errorf("bar %d goes from %g to %g and up to %g; want %g to %g, %g", bars, left, right, height, edges[bars], edges[bars+1], shares[bars])
		}
		bars++
	}
	if bars != 5 {
		t.Errorf("%d bars of a decoder and four bins", bars)
	}
	sum := 0.0
	lines := p.Lines(t, hexOf(figure.Ink), 1.6)
	if len(lines) != 1 || len(lines[0]) != 6 {
		t.Fatalf("the sum is %v", lines)
	}
	for i, at := range lines[0][1:] {
		sum += shares[i]
		if math.Abs(at.Y-sum) > 0.3 {
			t.Errorf("the bits up to t = %g sum to %g; the line is at %g", edges[i+1], sum, at.Y)
		}
	}
	for label, colour := range d.Legend() {
		g, ok := study.Labelled(methods, label)
		if !ok || g.Name() == study.Joint {
			continue // learns in no order
		}
		var rise, moves [4]float64
		for _, r := range g.Runs {
			learned, end, total := parts(r)
			for i := range 4 {
				rise[i] += end[i+1] / learned[i+1] / float64(len(g.Runs))
				moves[i] += 100 * (end[i+1] - learned[i+1]) / total / float64(len(g.Runs))
			}
		}
		for k, want := range [][4]float64{rise, moves} {
			marks := d.Panels[k+1].Marks(t, colour)
			if len(marks) != 4 {
				t.Errorf("%s: marks at %v", label, marks)
				continue
			}
			for i, at := range marks {
				if math.Abs(at.Y-want[i]) > 0.01*math.Abs(want[i])+0.02 || at.X < edges[i+1] || at.X > edges[i+2] {
					t.Errorf("%s, panel %d: %v in the bin from %g to %g; want %g", label, k+2, at, edges[i+1], edges[i+2], want[i])
				}
			}
		}
	}
}

// Dots of the figure are the means of the table's rows, with the base's level dotted; what does not compare has no dot.
func TestSensitivityFigureShowsTheRows(t *testing.T) {
	base := withVariants(study.Group(resultstest.Likely(2, false))[3].Runs)
	padded := study.Group(resultstest.Likely(2, false))[3].Runs
	for _, r := range padded {
		r.Benchmark.Prep, r.Protocol.ExtractorSHA256 = "pad 8", "fedcba9876543210"
	}
	s, err := NewSensitivity(base, Variation{"padded", padded})
	if err != nil {
		t.Fatal(err)
	}
	of := func(f func(*results.TaskMetrics) float64) (mean float64) {
		for _, r := range base {
			for _, task := range final(r) {
				mean += f(&task) / float64(len(base)*len(final(r)))
			}
		}
		return mean
	}
	bits, fid := of(func(t *results.TaskMetrics) float64 { return t.BPD.Mean }), of(func(t *results.TaskMetrics) float64 { return *t.FID })
	other := 0.0
	for _, r := range base {
		for _, v := range r.Sensitivity {
			if v.Variance == "fixed-small" {
				for _, task := range v.Tasks {
					other += task / float64(len(base)*len(v.Tasks))
				}
			}
		}
	}
	d := figuretest.Read(t, s.Figure().SVG())
	for k, want := range []map[string][]float64{
		{hexOf(figure.Ink): {bits}, hexOf(figure.Palette[0]): {other}, hexOf(figure.Vermilion): {bits}},
		{hexOf(figure.Ink): {fid}, hexOf(figure.Palette[0]): {fid}, hexOf(figure.Vermilion): nil},
	} {
		for colour, values := range want {
			marks := d.Panels[k].Marks(t, colour)
			if len(marks) != len(values) {
				t.Errorf("panel %d: %d dots of %s, want %d", k, len(marks), colour, len(values))
				continue
			}
			for i, v := range values {
				if !near(marks[i].X, v) {
					t.Errorf("panel %d: a dot of %s at %g, want %g", k, colour, marks[i].X, v)
				}
			}
		}
	}
}

// The outlines are shares of images that sum to 100 % for either set, whatever its size, and the dotted lines are the medians: as many
// images lie below as above.
func TestOutsideFigureShowsTheDistributions(t *testing.T) {
	runs := strangers(study.Group(resultstest.Likely(2, false))[0].Runs, 0.4)
	for _, r := range runs { // another number of strange images
		r.Outside[1].ByImage = r.Outside[1].ByImage[:31]
	}
	list, err := NewOutside(runs)
	if err != nil {
		t.Fatal(err)
	}
	p := figuretest.Read(t, list[0].Figure().SVG()).Panels[0]
	x, y := p.Axes(t)
	for k, colour := range []string{hexOf(figure.Palette[0]), hexOf(figure.Vermilion)} {
		var all []float64
		for _, r := range runs {
			all = append(all, r.Outside[k].ByImage...)
		}
		var outline, middle *figuretest.Shape
		for _, s := range p.Shapes {
			switch {
			case s.Area || s.Colour != colour:
			case math.Abs(s.Width-1.8) < 1e-9:
				outline = &s
			case math.Abs(s.Width-1.6) < 1e-9:
				middle = &s
			}
		}
		if outline == nil || middle == nil {
			t.Fatalf("set %d has no outline or no median", k)
		}
		if sum := heights(x, y, outline.Points); math.Abs(sum-100) > 1.5 {
			t.Errorf("set %d: the shares sum to %g %%", k, sum)
		}
		at, below, above := x.Value(middle.Points[0].X), 0, 0
		for _, v := range all {
			if v < at-0.002 {
				below++
			}
			if v > at+0.002 {
				above++
			}
		}
		if below > len(all)/2 || above > len(all)/2 {
			t.Errorf("set %d: %d of %d images below the dotted line at %g, %d above", k, below, len(all), at, above)
		}
	}
}

// heights sums those of an outline's steps, which are all of one width: the area over the narrowest.
func heights(x, y figuretest.Axis, points []figuretest.Point) float64 {
	area, width := 0.0, math.Inf(1)
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		if across := x.Value(b.X) - x.Value(a.X); across > 1e-6 {
			area += across * (y.Value(a.Y) + y.Value(b.Y)) / 2
			width = min(width, across)
		}
	}
	return area / width
}

// Rows of the figure and of the table are in the same order, with the fewest bits first, and hold the same numbers.
func TestYardsticksAgreeWithTheirFigure(t *testing.T) {
	methods := study.Group(resultstest.Likely(2, false))
	f, err := YardstickFigure(files, methods)
	if err != nil {
		t.Fatal(err)
	}
	p := figuretest.Read(t, f.SVG()).Panels[0]
	for i, at := range atHeights(p.Marks(t, hexOf(figure.Palette[0]))) {
		// png's and gzip's: all together, then each alone.
		if want := []float64{3.25, 5.5, 4, 6}[i]; !near(at.X, want) {
			t.Errorf("dot %d from above is at %g, want %g", i, at.X, want)
		}
	}
	var models []float64
	for _, label := range []string{"joint", "er λ=1", "er λ=0.3", "finetune"} {
		g, _ := study.Labelled(methods, label)
		mean := 0.0
		for _, r := range g.Runs {
			for _, task := range final(r) {
				mean += task.BPD.Mean / float64(len(g.Runs)*3)
			}
		}
		models = append(models, mean)
	}
	for i, at := range atHeights(p.Marks(t, hexOf(figure.Vermilion))) {
		if !near(at.X, models[i]) {
			t.Errorf("square %d from above is at %g, want %g", i, at.X, models[i])
		}
	}
	if !slices.IsSorted(models) {
		t.Errorf("models in the order of their rows have %v bits", models)
	}
}

// A yardstick's row is placed by the lesser of its two numbers, whichever that is.
func TestYardsticksAreSortedByTheLesser(t *testing.T) {
	methods := study.Group(resultstest.Likely(1, false))[3:]
	bits := 0.0
	for _, task := range final(methods[0].Runs[0]) {
		bits += task.BPD.Mean / 3
	}
	for _, c := range []struct {
		each, together float64
		first          string
	}{{bits + 1, bits - 0.1, "x"}, {bits - 0.1, bits + 1, "x"}, {bits + 0.1, bits + 1, "joint (model, bound)"}} {
		table, err := YardstickTable([]likelihood.Yardstick{{Name: "x", EachBPD: c.each, TogetherBPD: c.together}}, methods)
		if err != nil {
			t.Fatal(err)
		}
		if table.Rows[0] != c.first {
			t.Errorf("%g each and %g together against %g: the first row is %s", c.each, c.together, bits, table.Rows[0])
		}
	}
}

// cells are those of a Markdown table's row, without what surrounds them.
func cells(t *testing.T, markdown, row string) (all []string) {
	t.Helper()
	for _, line := range strings.Split(markdown, "\n") {
		if strings.HasPrefix(line, "| "+row+" |") {
			for _, cell := range strings.Split(strings.Trim(line, "| "), "|") {
				all = append(all, strings.TrimSpace(cell))
			}
			return all[1:]
		}
	}
	t.Fatalf("no row %q in\n%s", row, markdown)
	return nil
}

// In the table of parts the columns that add up do so as they are written, to the last digits.
func TestPartsTableAddsUp(t *testing.T) {
	for _, g := range study.Group(resultstest.Likely(1, false)) {
		b, err := NewParts(g)
		if err != nil {
			t.Fatal(err)
		}
		markdown := b.Table().Markdown()
		sums, total := make([]float64, 5), cells(t, markdown, "total")
		for _, p := range b.Parts {
			for k, cell := range cells(t, markdown, p.Name) {
				if v, err := strconv.ParseFloat(strings.ReplaceAll(cell, "−", "-"), 64); err == nil {
					sums[k] += v
				}
			}
		}
		for k, slack := range map[int]float64{0: 4e-4, 1: 4e-4, 2: 0.04, 4: 0.04} { // bits, shares, moves; rises do not add
			want, err := strconv.ParseFloat(strings.ReplaceAll(total[k], "−", "-"), 64)
			if err == nil && math.Abs(sums[k]-want) > slack {
				t.Errorf("%s: column %d sums to %g; the total is %s", g.Label, k, sums[k], total[k])
			}
			if err != nil && g.Name() != study.Joint {
				t.Errorf("%s: the total of column %d is %q", g.Label, k, total[k])
			}
		}
	}
}

// What the table of agreements says of two metrics that are one function of the other is 1, or −1 against its direction.
func TestAgreementsOfOneOrder(t *testing.T) {
	for want, sign := range map[string]float64{"1.00 [1.00, 1.00]": 1, "−1.00 [−1.00, −1.00]": -1} {
		runs := resultstest.Likely(3, false)
		for i, r := range runs {
			for k := range r.Evaluations {
				for j := range r.Evaluations[k].Tasks {
					task := &r.Evaluations[k].Tasks[j]
					task.FID = resultstest.Float(100 + float64(i))
					task.BPD.Mean = 10 + sign*float64(i)
				}
			}
		}
		a, err := NewAgreements(runs)
		if err != nil {
			t.Fatal(err)
		}
		for _, of := range a.Final {
			if of.B.Metric.Key != study.FID.Key {
				continue
			}
			if got := of.Runs.Spearman.Format(2); got != want {
				t.Errorf("bits that are FID times %g agree by %s, want %s", sign, got, want)
			}
			if got := of.Runs.Kendall.Format(2); got != want {
				t.Errorf("bits that are FID times %g agree by τ = %s, want %s", sign, got, want)
			}
		}
		if len(a.Final) == 0 || a.Final[0].Runs.N != len(runs) {
			t.Errorf("agreements %+v", a.Final)
		}
	}
}

// A sentence on each variation says which way bits and FID went, by the sign of the differences and whether seeds agree on it.
func TestSensitivitySentencesFollowTheNumbers(t *testing.T) {
	base := withVariants(study.Group(resultstest.Likely(3, false))[3].Runs)
	for _, c := range []struct {
		want string
		by   []float64 // of each seed's FID
	}{
		{"the samples get worse (", []float64{5, 5.1, 4.9}},
		{"the samples get better (", []float64{-5, -5.1, -4.9}},
		{"the samples are not told apart (", []float64{5, -5.1, 0.2}},
		{"the samples are not told apart (", []float64{1e-4, 2e-4, 1.5e-4}}, // less than the digit shown
	} {
		other := study.Group(resultstest.Likely(3, false))[3].Runs
		for _, r := range other {
			for i := range final(r) {
				*final(r)[i].FID += c.by[r.Seed]
			}
		}
		s, err := NewSensitivity(base, Variation{"T = 50", other})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(s.Sentences(), "\n")
		if !strings.Contains(text, c.want) {
			t.Errorf("FID by %v: missing %q in\n%s", c.by, c.want, text)
		}
	}
}

// Timesteps lie on their axis by the square root, in order, from side to side, and each label stands for itself.
func TestRootScale(t *testing.T) {
	const T = 1000
	before := -1.0
	for k := range T + 1 {
		at := rootScale{}.Normalize(0, T, float64(k))
		if at <= before || math.Abs(at*at-float64(k)/T) > 1e-12 {
			t.Fatalf("t = %d is at %g, after %g", k, at, before)
		}
		before = at
	}
	last := -1.0
	for _, tick := range (rootTicks{}).Ticks(0, T) {
		if tick.Label != strconv.Itoa(int(tick.Value)) || tick.Value <= last || tick.Value > T {
			t.Errorf("a label %q at %g, after %g", tick.Label, tick.Value, last)
		}
		last = tick.Value
	}
	if last != T {
		t.Errorf("the last label is at %g", last)
	}
}

// A cut at any edge parts the bits in two that add up, in every column that adds; a range that no bin fits in holds nothing.
func TestBetweenPartsTheBits(t *testing.T) {
	for _, g := range study.Group(resultstest.Likely(2, true))[:3] {
		b, err := NewParts(g)
		if err != nil {
			t.Fatal(err)
		}
		all := b.Between(0, b.T)
		for _, cut := range []int{1, 10, 30, 60} {
			low, high := b.Between(0, cut), b.Between(cut, b.T)
			for name, of := range map[string]func(Part) float64{
				"learned": func(p Part) float64 { return p.Learned.Mean }, "final": func(p Part) float64 { return p.Final.Mean },
				"share": func(p Part) float64 { return p.Share.Mean }, "moves": func(p Part) float64 { return p.Moves.Mean }} {
				if got, want := of(low)+of(high), of(all); math.Abs(got-want) > 1e-12 {
					t.Errorf("%s, %s: cut at %d the halves sum to %g, the whole is %g", g.Label, name, cut, got, want)
				}
			}
		}
		if empty := b.Between(31, 59); empty.Final.Mean != 0 || empty.Share.Mean != 0 {
			t.Errorf("within a bin there are %+v", empty)
		}
		if b.Half() != 60 { // the first edge at or above 50
			t.Errorf("the upper half begins at %d", b.Half())
		}
	}
}
