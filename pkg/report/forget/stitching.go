package forget

import (
	"fmt"
	"math"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// Looks of the two ways to stitch, and of the networks alone.
var (
	highLook   = figure.Look{Colour: figure.Palette[0], Dash: nil, Glyph: figure.Glyphs[0]}
	lowLook    = figure.Look{Colour: figure.Vermilion, Dash: figure.Dashes[1], Glyph: figure.Ring{}}
	beforeLook = figure.Look{Colour: figure.Faint(0.75), Dash: figure.Dashes[1], Glyph: noGlyph{}}
	afterLook  = figure.Look{Colour: figure.Faint(0.75), Dash: figure.Dashes[3], Glyph: noGlyph{}}
)

// stitched is what stitching measured of one seed: metric values by threshold, in both directions.
type stitched struct {
	thresholds []int
	high, low  []float64 // the network before forgetting at t >= τ, and below it
}

// before and final are the two networks alone, each measured in both directions and averaged.
func (s stitched) before() float64 { return (s.high[0] + s.low[len(s.low)-1]) / 2 }

func (s stitched) final() float64 { return (s.high[len(s.high)-1] + s.low[0]) / 2 }

// stitchingOf is what stitching measured of a task, or of the old tasks on average ([AllOld]).
func stitchingOf(a *dynamics.Autopsy, task int, m study.Metric) (stitched, error) {
	pick := func(c dynamics.StitchCurve) ([]float64, error) {
		switch m.Key {
		case study.FID.Key:
			return c.FID, nil
		case study.ClassAccuracy.Key:
			return c.ClassAccuracy, nil
		}
		return nil, errors.Errorf("stitched samples have no %s; need study.FID or study.ClassAccuracy", m.Name)
	}
	var out stitched
	var tasks []int
	var highs, lows [][]float64 // [threshold][task]
	for _, s := range a.Stitches {
		if task != AllOld && s.Task != task {
			continue
		}
		high, err := pick(s.OldHigh)
		if err != nil {
			return out, err
		}
		low, err := pick(s.OldLow)
		if err != nil {
			return out, err
		}
		if len(tasks) == 0 {
			out = stitched{s.Thresholds, make([]float64, len(high)), make([]float64, len(low))}
			highs, lows = make([][]float64, len(high)), make([][]float64, len(low))
		}
		if !slices.Equal(s.Thresholds, out.thresholds) {
			return out, errors.Errorf("tasks were stitched at thresholds %d and %d; need the same to average over them", out.thresholds, s.Thresholds)
		}
		for i := range high {
			highs[i], lows[i] = append(highs[i], high[i]), append(lows[i], low[i])
		}
		tasks = append(tasks, s.Task)
	}
	k := len(out.thresholds)
	switch {
	case len(tasks) == 0 && task == AllOld:
		return out, errors.New("no task was stitched; an autopsy without stitching has nothing to show here")
	case len(tasks) == 0:
		return out, errors.Errorf("%s was not stitched", words.Task(task))
	case k < 2 || out.thresholds[0] != 0 || out.thresholds[k-1] != a.T:
		return out, errors.Errorf("stitched at thresholds %d; need 0 and %d, which are one network alone, among them", out.thresholds, a.T)
	}
	for i := range k {
		out.high[i] = metrics.WeightedMean(highs[i], a.Weights(tasks))
		out.low[i] = metrics.WeightedMean(lows[i], a.Weights(tasks))
	}
	return out, nil
}

// Stitching shows the samples of an old task, or of the old tasks on average ([AllOld]), drawn half by the network just
// after the task was learned and half by the final one, against the timestep τ at which they change over: FID and class
// accuracy, a line for either order. The networks alone are levels: a line reaches one of them at either end.
func (d *Dynamics) Stitching(strategy string, task int) (figure.Figure, error) {
	if err := d.old(task); err != nil {
		return figure.Figure{}, err
	}
	runs, err := d.autopsiesOf(strategy)
	if err != nil {
		return figure.Figure{}, err
	}
	items := []figure.Entry{{Label: "before at t ≥ τ, final below", Look: highLook}, {Label: "final at t ≥ τ, before below", Look: lowLook}, {Label: "before alone", Look: beforeLook}, {Label: "final alone", Look: afterLook}}
	var panels []*plot.Plot
	for _, m := range []study.Metric{study.FID, study.ClassAccuracy} {
		var x []float64
		n := 0
		y, err := overSeeds(runs, func(a *dynamics.Autopsy) ([]float64, error) {
			s, err := stitchingOf(a, task, m)
			if err != nil {
				return nil, err
			}
			x, n = floatsOf(s.thresholds), len(s.thresholds)
			return slices.Concat(s.high, s.low, []float64{s.before(), s.final()}), nil
		})
		if err != nil {
			return figure.Figure{}, err
		}
		for i := range y {
			y[i] = y[i].Times(m.Factor())
		}
		ends := []float64{x[0], x[n-1]}
		level := func(l figure.Look, s study.Stat) figure.Curve {
			s.Std = math.NaN() // the lines' own ends show the spread
			return figure.Curve{Look: l, X: ends, Y: []study.Stat{s, s}, Level: true}
		}
		curves := []figure.Curve{level(beforeLook, y[2*n]), level(afterLook, y[2*n+1]), {Look: lowLook, X: x, Y: y[n : 2*n]}, {Look: highLook, X: x, Y: y[:n]}}
		panels = append(panels, stitchPanel(m, ends, curves))
	}
	return figure.Chart(fmt.Sprintf("%s: stitched samples, %s", strategy, d.title(task)),
		fmt.Sprintf("“Before” is the network just after the task was learned, “final” the one at the end of training. Sampling runs from t = T, at the right, down to 0: "+
			"one network makes the steps at t ≥ τ, the other finishes. %s", seedsBand(len(runs))),
		680, 290, items, [][]*plot.Plot{panels}), nil
}

// stitchPanel is the panel of one metric against τ.
func stitchPanel(m study.Metric, ends []float64, curves []figure.Curve) *plot.Plot {
	p := figure.NewPanel("", "threshold τ (clean → noise)", m.Label())
	low, high, _ := figure.Extent(curves)
	if _, _, share := m.Bounds(); !share && low > 0 && high > 8*low { // gonum reserves room above a logarithmic axis for a longer label
		p.Y.Label.Text = m.Title()
	}
	figure.SetMetricRange(p, m, low, high)
	room := 0.03 * (ends[1] - ends[0])
	p.X.Min, p.X.Max = ends[0]-room, ends[1]+room
	for _, c := range curves {
		figure.AddCurve(p, c, 1.8, 3)
	}
	return p
}

// StitchingFindings says, for each strategy, which share of what FID rises from just learned to the end goes away when
// the network before forgetting makes only the noisier, or only the cleaner, half of the steps, and how few of the
// noisiest timesteps undo most of it; and the shares of what class accuracy falls.
func (d *Dynamics) StitchingFindings() ([]string, error) {
	return d.findings(func(label string, runs []*dynamics.Autopsy) (string, error) {
		fid, err := carriedOf(runs, study.FID)
		if err != nil {
			return "", err
		}
		if test := fid.change.FromZero(); fid.change.Mean <= 0 || test.Tested() && test.Sign() == 0 {
			where := "above that just after each was learned, not told apart from none"
			if fid.change.Mean < 0 {
				where = "below that just after each was learned"
			}
			return fmt.Sprintf("%s: in the autopsy's samples, which are not those of the evaluations, the FID of the old tasks at the end is %s %s (%s); there is no forgetting to locate in them.", label, fid.change.Abs().Format(1), where, test.Rule()), nil
		}
		half := fid.half()
		text := fmt.Sprintf("%s: at the end the FID of the old tasks is %s higher than just after each was learned. With the network before forgetting back at t ≥ %d, %s of that rise goes away; with it back at t < %d, %s: %s.",
			label, fid.change.Format(1), fid.thresholds[half], fid.high[half].Percent(0), fid.thresholds[half], fid.low[half].Percent(0), fid.words())
		few := len(fid.high) - 1
		for few > 0 && !(fid.high[few].Mean >= 0.8) {
			few--
		}
		if few > 0 {
			text += fmt.Sprintf(" Four fifths of it go away with the old network at t ≥ %d alone.", fid.thresholds[few])
		} else {
			text += fmt.Sprintf(" Four fifths of it need the old network below t = %d too.", fid.thresholds[1])
		}
		accuracy, err := carriedOf(runs, study.ClassAccuracy)
		if err != nil {
			return "", err
		}
		if test := accuracy.change.FromZero(); accuracy.change.Mean < 0 && (!test.Tested() || test.Sign() != 0) {
			text += fmt.Sprintf(" Of the %s points of class accuracy that are lost the noisier half brings back %s, the cleaner %s: %s.",
				accuracy.change.Times(100).Abs().Format(1), accuracy.high[half].Percent(0), accuracy.low[half].Percent(0), accuracy.words())
		}
		return text, nil
	})
}

// carried is how much of what a metric of the old tasks changed goes away with the network before forgetting.
type carried struct {
	thresholds []int
	change     study.Stat   // from just learned to the end
	high, low  []study.Stat // by threshold, the shares of each seed's own change that go away with that network at t >= τ, and below τ
}

// carriedOf averages over the seeds.
func carriedOf(runs []*dynamics.Autopsy, m study.Metric) (c carried, err error) {
	all, err := overSeeds(runs, func(a *dynamics.Autopsy) ([]float64, error) {
		s, err := stitchingOf(a, AllOld, m)
		if err != nil {
			return nil, err
		}
		c.thresholds = s.thresholds
		change := s.final() - s.before()
		values := []float64{change}
		for _, v := range slices.Concat(s.high, s.low) {
			values = append(values, (s.final()-v)/change)
		}
		return values, nil
	})
	if err != nil {
		return c, err
	}
	n := len(c.thresholds)
	c.change, c.high, c.low = all[0], all[1:1+n], all[1+n:]
	return c, nil
}

// half is the threshold nearest to the middle.
func (c carried) half() int {
	half, T := 0, c.thresholds[len(c.thresholds)-1]
	for i, t := range c.thresholds {
		if math.Abs(float64(2*t-T)) < math.Abs(float64(2*c.thresholds[half]-T)) {
			half = i
		}
	}
	return half
}

// words say which half carries more, and how sure that is.
func (c carried) words() string {
	difference := study.Compare(c.high[c.half()].Times(100), c.low[c.half()].Times(100))
	which := "the noisier half carries more of it"
	switch {
	case difference.Tested() && difference.Sign() == 0:
		which = "the two halves are not told apart"
	case difference.Value < 0:
		which = "the cleaner half carries more of it"
	}
	return fmt.Sprintf("%s (%s)", which, difference.Rule())
}

func floatsOf(values []int) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}
