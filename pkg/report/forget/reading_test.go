package forget

import (
	"fmt"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/figure/figuretest"
	"palimpsest/pkg/study"
)

// The tests of this file read figures by their axes' labels and sentences by their words. What should stand there follows from how
// the made-up study is made, see [madeUpSeries] and [madeUpAutopsy].

// kept is what each strategy keeps of the old tasks.
var kept = map[string]float64{"finetune": 0, "er λ=0.3": 0.7, "er λ=1": 0.9}

// riseOf is the mean over the first seeds of finetune's relative increase.
func riseOf(t, seeds int) float64 {
	sum := 0.0
	for seed := range seeds {
		sum += rise(t, uint64(seed)) / float64(seeds)
	}
	return sum
}

func hexOf(c color.NRGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }

// read reads a figure.
func read(t *testing.T) func(figure.Figure, error) *figuretest.Drawing {
	return func(f figure.Figure, err error) *figuretest.Drawing {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return figuretest.Read(t, f.SVG())
	}
}

// follows wants a line of a colour and a width through the values of f at the given places.
func follows(t *testing.T, what string, p *figuretest.Panel, colour string, width float64, at []float64, f func(x float64) float64) {
	t.Helper()
	lines := p.Lines(t, colour, width)
	if len(lines) != 1 || len(lines[0]) != len(at) {
		t.Errorf("%s: lines %v; want one of %d points", what, lines, len(at))
		return
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, x := range at {
		low, high = min(low, f(x)), max(high, f(x))
	}
	slack := 0.004*max(high-low, math.Abs(high)) + 1e-3
	for _, got := range lines[0] {
		i := slices.IndexFunc(at, func(x float64) bool { return math.Abs(x-got.X) <= 0.004*(at[len(at)-1]-at[0]) })
		if i < 0 {
			t.Errorf("%s: a point at %v; they should be at %v", what, got, at)
		} else if want := f(at[i]); math.Abs(got.Y-want) > slack {
			t.Errorf("%s: %g at %g, want %g", what, got.Y, at[i], want)
		}
	}
}

func timesteps() (all []float64) {
	for _, t := range madeUpAxes(0).Timesteps {
		all = append(all, float64(t))
	}
	return all
}

// The loss of a task is that of the level just learned, times one more than the part of the rise that training has come to.
func TestLossByTimestepShowsTheLosses(t *testing.T) {
	const seeds = 2
	d := read(t)(madeUpDynamics(seeds).LossByTimestep("finetune", 0, dynamics.AxisT))
	colours := d.Legend()
	base := func(x float64) float64 { return 0.4*math.Exp(-x/300) + 0.01 }
	for name, share := range map[string]float64{"just learned": 0, "after task 2": 0.5, "after task 3": 1} {
		follows(t, name, d.Panels[0], colours[name], 1.8, timesteps(), func(x float64) float64 { return base(x) * (1 + share*riseOf(int(x), seeds)) })
	}
}

// At the end of training the loss lies above its level just learned by what is not kept of the rise, by either axis; log-SNR falls
// from left to right.
func TestForgettingByTimestepShowsTheRise(t *testing.T) {
	const seeds = 3
	of := madeUpDynamics(seeds)
	for _, task := range []int{0, 1, AllOld} {
		d := read(t)(of.ForgettingByTimestep(task, dynamics.AxisT))
		for label, colour := range d.Legend() {
			follows(t, label, d.Panels[0], colour, 1.8, timesteps(), func(x float64) float64 { return 100 * (1 - kept[label]) * riseOf(int(x), seeds) })
		}
	}
	d := read(t)(of.ForgettingByTimestep(AllOld, dynamics.AxisLogSNR))
	var at []float64
	for _, x := range timesteps() {
		at = append(at, 5-x/100)
	}
	slices.Reverse(at)
	follows(t, "log-SNR", d.Panels[0], d.Legend()["finetune"], 1.8, at, func(x float64) float64 { return 100 * riseOf(int(math.Round(100*(5-x))), seeds) })
	if x, _ := d.Panels[0].Axes(t); x.Value(100) <= x.Value(200) {
		t.Errorf("log-SNR is %g at the left and %g at the right", x.Value(100), x.Value(200))
	}
}

// Of what finetune forgets, each strategy spares what it keeps, whatever the timestep.
func TestRecoveryShowsWhatIsKept(t *testing.T) {
	d := read(t)(madeUpDynamics(3).Recovery(AllOld, dynamics.AxisT))
	colours := d.Legend()
	if len(colours) != 2 {
		t.Errorf("legend %v; want the two that rehearse", colours)
	}
	for label, colour := range colours {
		follows(t, label, d.Panels[0], colour, 1.8, timesteps(), func(float64) float64 { return 100 * kept[label] })
	}
}

// A task's loss rises straight from the step at which it was learned, 100, to the end, 300: at each timestep of its own slope.
func TestCourseShowsTheWay(t *testing.T) {
	const seeds = 2
	of := madeUpDynamics(seeds)
	var steps []float64
	for step := 100; step <= 300; step += 25 {
		steps = append(steps, float64(step))
	}
	at := func(x float64) func(float64) float64 {
		return func(step float64) float64 { return 100 * riseOf(int(x), seeds) * (step - 100) / 200 }
	}
	d := read(t)(of.ForgettingCourse("finetune", 0, 10))
	for i, x := range timesteps() {
		follows(t, fmt.Sprint("t = ", x), d.Panels[0], d.Legend()[fmt.Sprint("t = ", x)], 1.8, steps, at(x))
		one := read(t)(of.CourseAt(0, i))
		follows(t, fmt.Sprint("finetune at ", x), one.Panels[0], one.Legend()["finetune"], 1.8, steps, at(x))
	}
	ends := 0
	for _, s := range d.Panels[0].Shapes {
		if s.Dashed && s.Width == 1 {
			ends++
		}
	}
	if ends != 1 {
		t.Errorf("%d dotted lines; one task ends on the way", ends)
	}
}

// Stitched at τ, the old network at t ≥ τ undoes (1 - τ/T)² of the gap, and below τ the rest; the networks alone are levels.
func TestStitchingShowsBothOrders(t *testing.T) {
	const seeds = 3 // the mean gap of task 0 is 100 + 1
	thresholds := []float64{0, 250, 500, 750, 1000}
	undone := func(x float64) float64 { return math.Pow(1-x/1000, 2) }
	of := madeUpDynamics(seeds)
	d := read(t)(of.Stitching("finetune", 0))
	if len(d.Panels) != 2 {
		t.Fatalf("%d panels, want FID and class accuracy", len(d.Panels))
	}
	high, low := hexOf(highLook.Colour), hexOf(lowLook.Colour)
	for k, value := range []func(share float64) float64{func(s float64) float64 { return 40 + 101*s }, func(s float64) float64 { return 90 - 101.0/2*s }} {
		p := d.Panels[k]
		follows(t, "old at t ≥ τ", p, high, 1.8, thresholds, func(x float64) float64 { return value(1 - undone(x)) })
		follows(t, "old at t < τ", p, low, 1.8, thresholds, func(x float64) float64 { return value(undone(x)) })
		var levels []float64
		_, y := p.Axes(t)
		for _, s := range p.Shapes {
			if s.Dashed && s.Width == 1.8 && s.Opacity < 1 {
				levels = append(levels, y.Value(s.Points[0].Y))
			}
		}
		slices.Sort(levels)
		want := []float64{value(0), value(1)}
		slices.Sort(want)
		if len(levels) != 2 || math.Abs(levels[0]-want[0]) > 0.7 || math.Abs(levels[1]-want[1]) > 0.7 {
			t.Errorf("panel %d: levels at %v, want %v", k, levels, want)
		}
	}
}

// Representations are as alike as what is kept leaves of them; the seeds' offsets of 0, 0.01 and 0.02 are 0.01 on average.
func TestDriftShowsTheSimilarity(t *testing.T) {
	d := read(t)(madeUpDynamics(3).Drift(AllOld, dynamics.AxisT))
	for label, colour := range d.Legend() {
		follows(t, label, d.Panels[0], colour, 1.8, timesteps(), func(x float64) float64 { return 1 - (1-kept[label])*x/1000 + 0.01 })
	}
}

// The strong line is the mean of the thin ones, which are those of each new task.
func TestInterferenceShowsMeanAndTasks(t *testing.T) {
	d := read(t)(madeUpDynamics(3).Interference("finetune", dynamics.AxisT))
	p, colours := d.Panels[0], d.Legend()
	cosine := func(task float64) func(float64) float64 {
		return func(x float64) float64 { return 0.4 - x/1000 + 0.1*task + 0.02 }
	}
	follows(t, "mean", p, hexOf(figure.Ink), 2.6, timesteps(), cosine(0.5))
	for task := range 2 {
		name := fmt.Sprint("→ task ", task+2)
		follows(t, name, p, colours[name], 1.1, timesteps(), cosine(float64(task)))
	}
}

// A cell of the map has the colour of its relative increase on the scale that all maps share, and its place by timestep: a wider one
// from border to border.
func TestForgettingMapColoursItsCells(t *testing.T) {
	const seeds = 2
	of := madeUpDynamics(seeds)
	limit, err := of.mapLimit()
	if err != nil {
		t.Fatal(err)
	}
	if most := math.Log1p(riseOf(950, seeds)); limit < most {
		t.Errorf("the scale ends at a factor of %g, the largest cell is at %g", math.Exp(limit), math.Exp(most))
	}
	for label, keep := range kept {
		d := read(t)(of.ForgettingMap(label, 2, dynamics.AxisT))
		var cells []figuretest.Shape
		for _, s := range d.Before.Shapes {
			if s.Area && s.Points[1].X-s.Points[0].X > 20 { // those of the scale are narrower
				cells = append(cells, s)
			}
		}
		if len(cells) != 2*len(timesteps()) {
			t.Fatalf("%s: %d cells of two tasks at %d timesteps", label, len(cells), len(timesteps()))
		}
		for i, s := range cells {
			x := timesteps()[i%len(timesteps())]
			if want := hexOf(diverging((1-keep)*riseOf(int(x), seeds), limit)); s.Colour != want && apart(t, s.Colour, want) > 1 { // losses are float32
				t.Errorf("%s: the cell at t = %g is %s, want %s", label, x, s.Colour, want)
			}
			if k := i % len(timesteps()); k > 0 && s.Points[0].X <= cells[i-1].Points[0].X {
				t.Errorf("%s: the cell of t = %g is not right of the one before", label, x)
			}
		}
	}
}

// apart is the largest difference of two colours.
func apart(t *testing.T, a, b string) (most int) {
	t.Helper()
	for i := 1; i < 7; i += 2 {
		x, err := strconv.ParseInt(a[i:i+2], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		y, err := strconv.ParseInt(b[i:i+2], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, int(max(x-y, y-x)))
	}
	return most
}

// numbersIn are the numbers of a sentence, in order.
func numbersIn(t *testing.T, sentence string) (all []float64) {
	t.Helper()
	for _, text := range regexp.MustCompile(`[−+]?\d+(\.\d+)?`).FindAllString(sentence, -1) {
		v, err := strconv.ParseFloat(strings.ReplaceAll(text, "−", "-"), 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// about finds the sentence of a strategy.
func about(t *testing.T, label string) func([]string, error) string {
	return func(sentences []string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sentences {
			if strings.HasPrefix(s, label+":") || strings.HasPrefix(s, label+" ") {
				return s
			}
		}
		t.Fatalf("no sentence is about %s: %q", label, sentences)
		return ""
	}
}

// Sentences name the ranges and give the numbers that follow from how the study was made.
func TestFindingsGiveTheNumbers(t *testing.T) {
	const seeds = 3
	d := madeUpDynamics(seeds)
	// Ten timesteps part into 50–250, 350–550 and 650–950: means at 150, 450 and 800, since the rise is straight.
	for label, keep := range kept {
		rest := label + ":"
		s := about(t, label)(d.ForgettingFindings())
		most, least := 100*(1-keep)*riseOf(800, seeds), 100*(1-keep)*riseOf(150, seeds)
		if n := numbersIn(t, strings.TrimPrefix(s, rest)); math.Abs(n[0]-most) > 0.51 || !strings.Contains(s, "for t = 650–950, the most") ||
			!strings.Contains(s, fmt.Sprintf("at %+.0f ", least)) || !strings.Contains(s, "for t = 50–250, the least") {
			t.Errorf("want %g at the most and %g at the least: %s", most, least, s)
		}
		s = about(t, label)(d.DriftFindings())
		if n := numbersIn(t, strings.TrimPrefix(s, rest)); math.Abs(n[2]-(1-(1-keep)*0.8+0.01)) > 0.006 || !strings.Contains(s, "moved most at t = 650–950") ||
			!strings.Contains(s, "least at t = 50–250") {
			t.Errorf("drift of what keeps %g: %s", keep, s)
		}
		s = about(t, label)(d.InterferenceFindings())
		if n := numbersIn(t, strings.TrimPrefix(s, rest)); math.Abs(n[2]-(0.4-0.8+0.05+0.02)) > 0.006 || !strings.Contains(s, "agree least at t = 650–950") ||
			!strings.Contains(s, "they conflict") {
			t.Errorf("interference: %s", s)
		}
		// Half of a straight rise is there in the middle: of task 1 100 steps after step 100, of task 2 50 after step 200.
		s = about(t, label)(d.CourseFindings())
		if !strings.Contains(s, "at 100 ± 0 % of old tasks' timesteps") || !strings.Contains(s, "75 ± 0 steps after the task ended, a task being 100 steps") ||
			!strings.Contains(s, "on average 0 ± 0 %") {
			t.Errorf("course: %s", s)
		}
		s = about(t, label)(d.StitchingFindings())
		gap := (100*(1-keep) + 1) * 0.75
		if n := numbersIn(t, strings.TrimPrefix(s, rest)); math.Abs(n[0]-gap) > 0.06 || !strings.Contains(s, "back at t ≥ 500, 25 ± 0 %") || !strings.Contains(s, "at t < 500, 75 ± 0 %") ||
			!strings.Contains(s, "need the old network below t = 250 too") {
			t.Errorf("stitching, a gap of %g: %s", gap, s)
		}
		// A seed's accuracy falls by a 200th of its gap; the mean of the gaps is that above.
		lost := fmt.Sprintf("Of the %.1f ± ", gap/2)
		if !strings.Contains(s, lost) || !strings.Contains(s, "brings back 25 ± 0 %, the cleaner 75 ± 0 %: the cleaner half carries more of it") {
			t.Errorf("stitching, want %s: %s", lost, s)
		}
	}
	for label, want := range map[string]string{"er λ=0.3": "70 ± 0 %", "er λ=1": "90 ± 0 %"} {
		s := about(t, label)(d.RecoveryFindings())
		if strings.Count(s, want) != 3 {
			t.Errorf("want %s at each range: %s", want, s)
		}
	}
	all, err := d.RecoveryFindings()
	if err != nil {
		t.Fatal(err)
	}
	if last := all[len(all)-1]; strings.Count(last, "er λ=1 at t") != 3 || strings.Contains(last, "0.3") {
		t.Errorf("who spares nine tenths: %s", last)
	}
}

// One seed has no spread: sentences give no ± and call nothing told apart.
func TestFindingsOfOneSeed(t *testing.T) {
	text := dynamicsFindings(t, madeUpDynamics(1))
	if strings.Contains(text, "±") || strings.Contains(text, "p =") || strings.Contains(text, "p <") || strings.Contains(text, "NaN") {
		t.Errorf("of one seed:\n%s", text)
	}
}

// Signs of cosines, and whether seeds agree on them, choose the words.
func TestInterferenceWords(t *testing.T) {
	for want, cosines := range map[string][]float64{
		"they conflict: a small step":         {-0.2, -0.21, -0.19},
		"they still agree":                    {0.2, 0.21, 0.19},
		"not told apart from 0":               {-0.2, 0.21, 0.02},
		"with a cosine of 0.20 ± 0.01 (they ": {0.2, 0.21, 0.19},
	} {
		d := madeUpDynamics(3)
		for r, a := range d.autopsies {
			for i := range a.Interference {
				for k := range a.Interference[i].Cosine {
					a.Interference[i].Cosine[k] = cosines[r.Seed]
				}
			}
		}
		if s := about(t, "finetune")(d.InterferenceFindings()); !strings.Contains(s, want) {
			t.Errorf("cosines %v: %s", cosines, s)
		}
	}
}

// Means over old tasks count each by its weight, in figures by autopsies as in those by losses.
func TestAutopsiesTakeWeights(t *testing.T) {
	a := madeUpAutopsy(0, 0)
	a.TaskWeights = []float64{1, 3, 4}
	for k := range a.Drifts[1].Unbiased {
		a.Drifts[0].Unbiased[k], a.Drifts[1].Unbiased[k] = 0.2, 1
	}
	drift, err := driftOf(a, AllOld)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range drift {
		if math.Abs(v-0.8) > 1e-12 {
			t.Errorf("similarities of 0.2 and, three times as heavy, 1 have the mean %g; want 0.8", v)
		}
	}
	s, err := stitchingOf(a, AllOld, study.FID)
	if err != nil {
		t.Fatal(err)
	}
	if want := 40 + (100+3*50)/4.0; math.Abs(s.final()-want) > 1e-9 {
		t.Errorf("gaps of 100 and, three times as heavy, 50 end at %g, want %g", s.final(), want)
	}
	if s, err = stitchingOf(a, 1, study.FID); err != nil || math.Abs(s.final()-90) > 1e-9 {
		t.Errorf("one task has its own gap whatever its weight: %g (%v)", s.final(), err)
	}
}

// The picture of one threshold has, for each task and their mean, both orders between what the networks are worth alone.
func TestStitchedAtShowsTheTasks(t *testing.T) {
	d := madeUpDynamics(3)
	names, err := d.Thresholds()
	if err != nil || !slices.Equal(names, []string{"t = 0", "t = 250", "t = 500", "t = 750", "t = 1000"}) {
		t.Fatalf("thresholds %q, %v", names, err)
	}
	for i, undone := range []float64{1, 0.5625, 0.25, 0.0625, 0} {
		p := read(t)(d.StitchedAt("finetune", i)).Panels[0]
		_, y := p.Axes(t)
		var got []float64
		for _, m := range p.Marks(t, hexOf(highLook.Colour)) {
			got = append(got, m.Y)
		}
		if !y.Known() || len(got) != 3 {
			t.Fatalf("%s: markers at %v; want one of each old task and one of their mean", names[i], got)
		}
		for k, gap := range []float64{101, 50.5, 75.75} {
			if want := 40 + gap*(1-undone); math.Abs(got[k]-want) > 0.01*want+0.3 {
				t.Errorf("%s: place %d is at %g, want %g", names[i], k, got[k], want)
			}
		}
	}
}
