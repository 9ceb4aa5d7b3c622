package figure

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"palimpsest/pkg/figure/figuretest"
	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// The tests of this file read figures as people do, by their axes' labels, and compare what stands there with numbers taken from
// the stored runs by plain loops.

type point = figuretest.Point

// hexOf is a colour as an SVG has it.
func hexOf(c color.NRGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }

// moment is what the runs of a label have of a metric after a task on a task.
func moment(runs []*results.Run, label string, after, task int, read func(*results.TaskMetrics) *float64) (values []float64) {
	for _, r := range runs {
		for _, e := range r.Evaluations {
			if r.Strategy.Label != label || e.AfterTask != after {
				continue
			}
			if v := read(&e.Tasks[task]); v != nil {
				values = append(values, *v)
			}
		}
	}
	return values
}

func fidOf(t *results.TaskMetrics) *float64 { return t.FID }

// meanAndSpread are the mean of values and their standard deviation, of which one value has none.
func meanAndSpread(values []float64) (mean, sd float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		sd += (v - mean) * (v - mean) / float64(len(values)-1)
	}
	return mean, math.Sqrt(sd)
}

// near wants points where they should be, within 1 % of their values or 0.02 of small ones:
// an SVG has five digits of each place.
func near(t *testing.T, what string, got, want []point) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d points %v; want %v", what, len(got), got, want)
		return
	}
	close := func(a, b float64) bool { return math.Abs(a-b) <= 0.01*math.Abs(b)+0.02 }
	for i := range want {
		if !close(got[i].X, want[i].X) || !close(got[i].Y, want[i].Y) {
			t.Errorf("%s: point %d is at %v, want %v", what, i, got[i], want[i])
		}
	}
}

// Each panel of a task shows, in its method's colour, the mean over seeds after every task from its own on, with the band one
// standard deviation to either side; a number that one seed lacks is the mean of the others.
func TestForgettingCurvesShowTheMatrix(t *testing.T) {
	runs, _ := resultstest.WithGaps()
	d := figuretest.Read(t, ForgettingCurves(study.Group(runs), study.FID).SVG())
	colours := d.Legend()
	if len(d.Panels) != 2 || len(colours) != 4 {
		t.Fatalf("%d panels, legend %v", len(d.Panels), colours)
	}
	for task, p := range d.Panels {
		if got := p.Text(12.5); !slices.Equal(got, []string{fmt.Sprintf("task %d", task+1)}) {
			t.Errorf("panel %d is headed %q", task, got)
		}
		if _, y := p.Axes(t); !y.Logarithmic() {
			t.Error("values from 40 to 600 are on an axis that is not logarithmic")
		}
		for _, label := range []string{"finetune", "er λ=0.3", "er λ=1"} {
			var want, outline []point
			for after := task; after < 3; after++ {
				mean, sd := meanAndSpread(moment(runs, label, after, task, fidOf))
				want = append(want, point{X: float64(after + 1), Y: mean})
				outline = append(outline, point{X: float64(after + 1), Y: mean + sd}, point{X: float64(after + 1), Y: mean - sd})
			}
			near(t, label, p.Marks(t, colours[label]), want)
			lines := p.Lines(t, colours[label], 1.8)
			if len(lines) != 1 {
				t.Fatalf("%s has %d lines", label, len(lines))
			}
			near(t, label+"'s line", lines[0], want)
			bands := p.Bands(t, colours[label])
			if len(bands) != 1 {
				t.Fatalf("%s has %d bands", label, len(bands))
			}
			near(t, label+"'s band", bands[0], outline)
		}
		mean, _ := meanAndSpread(moment(runs, "joint", 2, task, fidOf))
		lines := p.Lines(t, colours["joint"], 1.8)
		if len(lines) != 1 {
			t.Fatalf("joint has %d lines", len(lines))
		}
		near(t, "joint's level", lines[0], []point{{X: 0.7, Y: mean}, {X: 3.3, Y: mean}})
		if marks := p.Marks(t, colours["joint"]); len(marks) > 0 {
			t.Errorf("a level has markers at %v", marks)
		}
	}
}

// One task's panel is that of all tasks, larger, and per cent where shares are stored.
func TestForgettingCurveOfOneTask(t *testing.T) {
	runs := resultstest.MadeUp(2)
	accuracy := func(t *results.TaskMetrics) *float64 { return t.ClassAccuracy }
	p := figuretest.Read(t, ForgettingCurve(study.Group(runs), study.ClassAccuracy, 1).SVG())
	for label, colour := range p.Legend() {
		var want []point
		for after := 1; after < 3; after++ {
			if values := moment(runs, label, after, 1, accuracy); len(values) > 0 {
				mean, _ := meanAndSpread(values)
				want = append(want, point{X: float64(after + 1), Y: 100 * mean})
			}
		}
		near(t, label, p.Panels[0].Marks(t, colour), want)
	}
}

// The average after each task is over the tasks seen by then, at the optimiser step that was reached.
func TestAverageCurveIsOverTheTasksSeen(t *testing.T) {
	runs := resultstest.MadeUp(3)
	d := figuretest.Read(t, AverageCurve(study.Group(runs), study.FID).SVG())
	for label, colour := range d.Legend() {
		var want []point
		for after := range 3 {
			var average []float64
			for _, r := range runs {
				if r.Strategy.Label != label || len(r.Evaluations) <= after && label != "joint" {
					continue
				}
				for _, e := range r.Evaluations {
					if e.AfterTask == after {
						sum := 0.0
						for _, task := range e.Tasks[:after+1] {
							sum += *task.FID / float64(after+1)
						}
						average = append(average, sum)
					}
				}
			}
			if len(average) > 0 {
				mean, _ := meanAndSpread(average)
				want = append(want, point{X: float64(100 * (after + 1)), Y: mean})
			}
		}
		near(t, label, d.Panels[0].Marks(t, colour), want)
	}
}

// The loss is that of the stored points, mean over seeds, and a dotted line stands where each task but the last ends.
func TestLossCurveShowsTheStoredPoints(t *testing.T) {
	runs := resultstest.MadeUp(2)
	d := figuretest.Read(t, LossCurve(study.Group(runs)).SVG())
	p := d.Panels[0]
	for label, colour := range d.Legend() {
		sums, n := map[float64]float64{}, 0.0
		for _, r := range runs {
			if r.Strategy.Label == label {
				n++
				for _, l := range r.Losses {
					sums[float64(l.Step)] += l.Loss
				}
			}
		}
		lines := p.Lines(t, colour, 1.6)
		if len(lines) != 1 || len(lines[0]) != len(sums) {
			t.Fatalf("%s has %d lines", label, len(lines))
		}
		for _, at := range lines[0] {
			step := math.Round(at.X)
			if want := sums[step] / n; math.Abs(at.Y-want) > 0.005*want {
				t.Errorf("%s: loss %g at step %g, want %g", label, at.Y, step, want)
			}
		}
	}
	x, _ := p.Axes(t)
	var ends []float64
	for _, s := range p.Shapes {
		if s.Dashed && s.Width == 1 {
			ends = append(ends, math.Round(x.Value(s.Points[0].X)))
		}
	}
	if !slices.Equal(ends, []float64{100, 200}) {
		t.Errorf("dotted lines at %v; tasks end after 100 and 200 steps", ends)
	}
}

// A row a method, a dot a number: its mean over seeds, in the panel that its heading says.
func TestCostQualityShowsEachNumber(t *testing.T) {
	runs := resultstest.MadeUp(2)
	methods := study.Group(runs)
	d := figuretest.Read(t, CostQuality(methods).SVG())
	of := func(label string, f func(*results.Run) float64) float64 {
		var values []float64
		for _, r := range runs {
			if r.Strategy.Label == label {
				values = append(values, f(r))
			}
		}
		mean, _ := meanAndSpread(values)
		return mean
	}
	last := func(r *results.Run) []results.TaskMetrics { return r.Evaluations[len(r.Evaluations)-1].Tasks }
	numbers := map[string]func(*results.Run) float64{
		"final FID": func(r *results.Run) float64 { return (*last(r)[0].FID + *last(r)[1].FID + *last(r)[2].FID) / 3 },
		"FID forgetting": func(r *results.Run) float64 {
			if len(r.Evaluations) < 3 {
				return math.NaN() // nothing was learned one after the other
			}
			return (*last(r)[0].FID - *r.Evaluations[0].Tasks[0].FID + *last(r)[1].FID - *r.Evaluations[1].Tasks[1].FID) / 2
		},
		"stored images": func(r *results.Run) float64 { return float64(r.Cost.StoredImages) },
		"stored, KiB":   func(r *results.Run) float64 { return float64(r.Cost.StoredBytes) / 1024 },
		"training, s":   func(r *results.Run) float64 { return r.Cost.TrainSeconds },
	}
	looks := Looks(methods)
	for _, p := range d.Panels {
		head := p.Text(12.5)[0]
		number := numbers[head]
		if number == nil {
			t.Errorf("a panel is headed %q", head)
			continue
		}
		delete(numbers, head)
		var heights []float64
		for i, g := range methods {
			want := of(g.Label, number)
			marks := p.Marks(t, hexOf(looks[i].Colour))
			if math.IsNaN(want) {
				if len(marks) > 0 {
					t.Errorf("%s: %s has a dot at %v, but no such number", head, g.Label, marks)
				}
				continue
			}
			if len(marks) != 1 || math.Abs(marks[0].X-want) > 0.005*math.Abs(want)+0.3 {
				t.Errorf("%s of %s: dots at %v, want %g", head, g.Label, marks, want)
				continue
			}
			heights = append(heights, marks[0].Y)
		}
		if !slices.IsSortedFunc(heights, func(a, b float64) int { return int(math.Copysign(1, b-a)) }) {
			t.Errorf("%s: rows from above at %v", head, heights)
		}
	}
	for head := range numbers {
		t.Errorf("no panel is headed %q", head)
	}
}

// A heat map has the mean of each cell in its place, hatching where there is none, and frames on the diagonal. What is worse is
// darker, in all maps alike.
func TestHeatmapShowsTheMatrix(t *testing.T) {
	_, runs := resultstest.WithGaps()
	methods := study.Group(runs)
	type cell struct {
		value float64
		fill  string
	}
	var cells []cell
	for k, f := range Heatmaps(methods, study.FID) {
		p := figuretest.Read(t, f.SVG()).Before
		var hatched, framed int
		for _, s := range p.Shapes {
			switch {
			case s.Area && len(s.Points) == 4:
				var inside string
				for _, text := range p.Texts {
					if text.Size == 12 && text.At.X > s.Points[0].X && text.At.X < s.Points[2].X && text.At.Y > s.Points[0].Y && text.At.Y < s.Points[2].Y {
						inside += text.Words
					}
				}
				value, err := strconv.ParseFloat(inside, 64)
				if err != nil {
					t.Fatalf("%s: a cell holds %q", f.Title, inside)
				}
				rows := 3
				if methods[k].Name() == study.Joint {
					rows = 1
				}
				task := int((s.Points[0].X-46)/46 + 0.5)
				after := 3 - rows + int((f.Height-22-s.Points[2].Y)/30+0.5)
				mean, _ := meanAndSpread(moment(runs, methods[k].Label, after, task, fidOf))
				if math.Abs(value-mean) > 0.006*mean {
					t.Errorf("%s: after task %d on task %d stands %s, want %g", f.Title, after+1, task+1, inside, mean)
				}
				cells = append(cells, cell{mean, s.Colour})
			case s.Colour == hexOf(Vermilion):
				framed++
			case len(s.Points) == 4:
				hatched++
			}
		}
		wantFrames, wantHatched := 3, 0
		switch methods[k].Name() {
		case study.Joint:
			wantFrames = 0
		case study.Finetune:
			wantHatched = 1
		}
		if framed != wantFrames || hatched != wantHatched {
			t.Errorf("%s: %d frames and %d hatched cells, want %d and %d", f.Title, framed, hatched, wantFrames, wantHatched)
		}
	}
	slices.SortFunc(cells, func(a, b cell) int { return int(math.Copysign(1, a.value-b.value)) })
	light := func(fill string) float64 {
		v, err := strconv.ParseUint(strings.TrimPrefix(fill, "#"), 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		return luminance(color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 255})
	}
	for i := 1; i < len(cells); i++ {
		if light(cells[i].fill) > light(cells[i-1].fill)+1e-9 {
			t.Errorf("%g is lighter than %g", cells[i].value, cells[i-1].value)
		}
	}
	if len(cells) != 4*9-6-1 {
		t.Errorf("%d cells with a number", len(cells))
	}
}

// Copies are set against FID, a dot a method; a method without a buffer has no dot among copies of buffer images.
func TestCopiesScatterShowsSharesAndFID(t *testing.T) {
	runs := resultstest.MadeUp(2)
	d := figuretest.Read(t, CopiesScatter(study.Group(runs)).SVG())
	if len(d.Panels) != 2 {
		t.Fatalf("%d panels, want one for training images and one for those of the buffer", len(d.Panels))
	}
	for k, read := range []func(*results.TaskMetrics) *float64{
		func(t *results.TaskMetrics) *float64 { return t.MemorisedTrain }, func(t *results.TaskMetrics) *float64 { return t.MemorisedBuffer }} {
		for label, colour := range d.Legend() {
			var share, fid float64
			known := true
			for task := range 3 {
				values := moment(runs, label, 2, task, read)
				known = known && len(values) > 0
				a, _ := meanAndSpread(values)
				b, _ := meanAndSpread(moment(runs, label, 2, task, fidOf))
				share, fid = share+100*a/3, fid+b/3
			}
			var want []point
			if known {
				want = []point{{X: share, Y: fid}}
			}
			near(t, label, d.Panels[k].Marks(t, colour), want)
		}
	}
}

// Points of one number of replayed rows stand beside each other around it, at their FID; what reads all data again is a level.
func TestTargetedRehearsalShowsRowsAndFID(t *testing.T) {
	runs := resultstest.TargetedRuns(2)
	methods := study.Group(runs)
	d := figuretest.Read(t, TargetedRehearsal(methods).SVG())
	p := d.Panels[0]
	looks := Looks(methods)
	sides := map[float64][]float64{}
	for i, g := range methods {
		var fids []float64
		for _, r := range g.Runs {
			last := r.Evaluations[len(r.Evaluations)-1].Tasks
			fids = append(fids, (*last[0].FID+*last[1].FID+*last[2].FID)/3)
		}
		fid, _ := meanAndSpread(fids)
		marks := p.Marks(t, hexOf(looks[i].Colour))
		if g.Name() == study.Joint {
			if lines := p.Lines(t, hexOf(looks[i].Colour), 1.6); len(lines) != 1 || math.Abs(lines[0][0].Y-fid) > 0.01*fid || len(marks) > 0 {
				t.Errorf("joint: lines %v, markers %v; want a level at %g", lines, marks, fid)
			}
			continue
		}
		if len(marks) != 1 || math.Abs(marks[0].Y-fid) > 0.01*fid {
			t.Errorf("%s: markers at %v, want FID %g", g.Label, marks, fid)
			continue
		}
		rows := study.ReplayedRows(g).Mean
		if math.Abs(marks[0].X-rows) > 1.5 {
			t.Errorf("%s replays %g images a step and stands at %g", g.Label, rows, marks[0].X)
		}
		sides[rows] = append(sides[rows], marks[0].X)
	}
	for rows, places := range sides {
		mean, _ := meanAndSpread(places)
		if math.Abs(mean-rows) > 0.05 || len(slices.Compact(slices.Sorted(slices.Values(places)))) != len(places) {
			t.Errorf("around %g stand %v", rows, places)
		}
	}
}

// A line of a sweep is the mean over seeds at each λ of its runs, in order, with finetune as a level.
func TestSweepShowsEachLambda(t *testing.T) {
	var runs []*results.Run
	for _, r := range resultstest.MadeUpSweep() {
		if len(r.Benchmark.Tasks) == 2 {
			runs = append(runs, r)
		}
	}
	s, err := study.NewSweep(runs, "er")
	if err != nil {
		t.Fatal(err)
	}
	d := figuretest.Read(t, Sweep(s).SVG())
	final := func(label string) float64 {
		var values []float64
		for _, r := range runs {
			if r.Strategy.Label == label {
				last := r.Evaluations[1].Tasks
				values = append(values, (*last[0].FID+*last[1].FID)/2)
			}
		}
		mean, _ := meanAndSpread(values)
		return mean
	}
	for name, colour := range d.Legend() {
		if strings.HasPrefix(name, "finetune") {
			lines := d.Panels[0].Lines(t, colour, 1.8)
			if want := final("finetune"); len(lines) != 1 || math.Abs(lines[0][0].Y-want) > 0.01*want || math.Abs(lines[0][1].Y-want) > 0.01*want {
				t.Errorf("finetune's level is %v, want %g", lines, want)
			}
			continue
		}
		buffer := "20"
		if strings.Contains(name, "200") {
			buffer = "200"
		}
		var want []point
		for _, lambda := range resultstest.Lambdas {
			want = append(want, point{X: lambda, Y: final(fmt.Sprintf("er λ=%g buffer=%s", lambda, buffer))})
		}
		near(t, name, d.Panels[0].Marks(t, colour), want)
	}
}

// Ranks in the diagram are means over seeds and tasks of places counted by hand, and differences those of final FID to the
// reference.
func TestRankingShowsRanksAndDifferences(t *testing.T) {
	runs := resultstest.MadeUp(3)
	methods := study.Group(runs)
	r, err := study.NewRanking(methods, study.FinalOf(study.FID), "er λ=1")
	if err != nil {
		t.Fatal(err)
	}
	d := figuretest.Read(t, Ranking(r).SVG())
	if len(d.Panels) != 2 {
		t.Fatalf("%d panels", len(d.Panels))
	}
	ranks, fids := map[string]float64{}, map[string]float64{}
	for seed := range uint64(3) {
		for task := range 3 {
			at := func(label string) float64 {
				for _, r := range runs {
					if r.Seed == seed && r.Strategy.Label == label {
						return *r.Evaluations[len(r.Evaluations)-1].Tasks[task].FID
					}
				}
				t.Fatalf("no run of %s", label)
				return 0
			}
			for _, g := range methods {
				place := 1.0
				for _, other := range methods {
					if at(other.Label) < at(g.Label) {
						place++
					}
				}
				ranks[g.Label], fids[g.Label] = ranks[g.Label]+place/9, fids[g.Label]+at(g.Label)/9
			}
		}
	}
	dots := func(p *figuretest.Panel) (all []point) {
		for _, colour := range []string{hexOf(grey), hexOf(Ink), hexOf(Palette[0]), hexOf(Vermilion)} {
			all = append(all, p.Marks(t, colour)...)
		}
		slices.SortFunc(all, func(a, b point) int { return int(math.Copysign(1, b.Y-a.Y)) }) // from above
		return all
	}
	left, right := dots(d.Panels[0]), dots(d.Panels[1])
	if len(left) != 4 || len(right) != 4 {
		t.Fatalf("dots at %v and %v", left, right)
	}
	for i, row := range r.Rows {
		label := row.Method.Label
		if math.Abs(left[i].X-ranks[label]) > 0.02 {
			t.Errorf("%s: rank at %g, by hand %g", label, left[i].X, ranks[label])
		}
		if want := fids[label] - fids["er λ=1"]; math.Abs(right[i].X-want) > 0.01*math.Abs(want)+0.5 {
			t.Errorf("%s: difference at %g, by hand %g", label, right[i].X, want)
		}
	}
}

// A run is a point at its own two numbers.
func TestAgreementScatterHasAPointARun(t *testing.T) {
	runs := resultstest.Likely(3, true)
	f, err := AgreementScatter(runs, study.FinalOf(study.BPD), study.FinalOf(study.FID))
	if err != nil {
		t.Fatal(err)
	}
	d := figuretest.Read(t, f.SVG())
	for label, colour := range d.Legend() {
		var want []point
		for _, r := range runs {
			if r.Strategy.Label != label {
				continue
			}
			var p point
			for _, task := range r.Evaluations[len(r.Evaluations)-1].Tasks {
				p.X, p.Y = p.X+*task.FID/3, p.Y+task.BPD.Mean/3
			}
			want = append(want, p)
		}
		slices.SortFunc(want, func(a, b point) int { return int(math.Copysign(1, a.X-b.X)) })
		near(t, label, d.Panels[0].Marks(t, colour), want)
	}
}

// The front holds who is not beaten in both quality and price, by a search over all pairs, and is drawn in another colour.
func TestParetoMarksTheFront(t *testing.T) {
	runs := resultstest.MadeUp(2)
	for i, r := range runs { // several prices
		r.Cost.StoredBytes = []int64{0, 4000, 2000, 9000}[i%4]
	}
	methods := study.Group(runs)
	f, err := Pareto(methods, study.FinalOf(study.FID), study.PriceBytes)
	if err != nil {
		t.Fatal(err)
	}
	p := figuretest.Read(t, f.SVG()).Panels[0]
	type priced struct{ fid, bytes float64 }
	var all []priced
	for _, g := range methods {
		if g.Name() == study.Finetune || g.Name() == study.Joint {
			continue // levels
		}
		var v priced
		for _, r := range g.Runs {
			for _, task := range r.Evaluations[len(r.Evaluations)-1].Tasks {
				v.fid += *task.FID / 3 / float64(len(g.Runs))
			}
			v.bytes += float64(r.Cost.StoredBytes) / float64(len(g.Runs))
		}
		all = append(all, v)
	}
	front := 0
	for _, a := range all {
		if !slices.ContainsFunc(all, func(b priced) bool {
			return b.fid <= a.fid && b.bytes <= a.bytes && (b.fid < a.fid || b.bytes < a.bytes)
		}) {
			front++
		}
	}
	if got := len(p.Marks(t, hexOf(Palette[0]))); got != front {
		t.Errorf("%d points on the front, by hand %d", got, front)
	}
	if got := len(p.Marks(t, hexOf(grey))); got != len(all)-front {
		t.Errorf("%d points off the front, by hand %d", got, len(all)-front)
	}
}

// The dot of a row is the λ of the lowest mean FID among those tried, which the strokes show.
func TestBestLambdasShowsTheBest(t *testing.T) {
	b, err := study.BestLambda(resultstest.MadeUpSweep(), "er")
	if err != nil {
		t.Fatal(err)
	}
	p := figuretest.Read(t, BestLambdas(b).SVG()).Panels[0]
	dots := p.Marks(t, hexOf(Palette[0]))
	if len(dots) != len(b.Rows) {
		t.Fatalf("%d dots of %d rows", len(dots), len(b.Rows))
	}
	slices.SortFunc(dots, func(a, b point) int { return int(math.Copysign(1, b.Y-a.Y)) })
	for i, row := range b.Rows {
		best, least := 0.0, math.Inf(1)
		for k, g := range row.Line.Methods {
			sum := 0.0
			for _, r := range g.Runs {
				for _, task := range r.Evaluations[len(r.Evaluations)-1].Tasks {
					sum += *task.FID / float64(len(r.Benchmark.Tasks)*len(g.Runs))
				}
			}
			if sum < least {
				best, least = row.Line.Lambdas[k], sum
			}
		}
		if math.Abs(dots[i].X/best-1) > 0.01 {
			t.Errorf("row %d: the dot is at %g, the best λ is %g", i, dots[i].X, best)
		}
	}
}
