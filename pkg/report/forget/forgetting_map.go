package forget

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"github.com/pkg/errors"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// ForgettingMap is a heat map of what a strategy forgot when task after had been learned: a row an old task, a column a
// timestep, the colour the loss against its level just learned, white where nothing changed. All strategies and moments
// share one scale of colours. after is 1 .. tasks-1, the last of which is the end of training.
func (d *Dynamics) ForgettingMap(strategy string, after int, axis string) (figure.Figure, error) {
	runs, err := d.seriesOf(strategy)
	if err != nil {
		return figure.Figure{}, err
	}
	first := runs[0]
	if after < 1 || after >= len(first.Tasks) {
		return figure.Figure{}, errors.Errorf("a map after task %d (counted from 0) of %d; need 1 .. %d, before which there is an old task", after, len(first.Tasks), len(first.Tasks)-1)
	}
	x, err := newTimeAxis(axis, first.Timesteps, first.LogSNR)
	if err != nil {
		return figure.Figure{}, err
	}
	limit, err := d.mapLimit()
	if err != nil {
		return figure.Figure{}, err
	}
	cells, err := relativeMap(runs, after)
	if err != nil {
		return figure.Figure{}, err
	}
	caption := fmt.Sprintf("Noise-prediction loss of each task against its level just after it was learned, by timestep; mean over %s. "+
		"Orange is worse, blue is better; colours go by the logarithm, so that twice and half as much are equally strong.", words.Seeds(len(runs)))
	f := figure.Figure{Title: fmt.Sprintf("%s: forgetting map after %s", strategy, words.Task(after)), Caption: caption, Width: 560, Height: float64(96 + 26*after)}
	f.Paint = mapPainter(x, d.Tasks()[:after], cells, limit)
	return f, nil
}

// relativeMap is the relative increase of each task's loss by timestep after a task, mean over seeds.
func relativeMap(runs []*dynamics.Series, after int) ([]study.Stat, error) {
	return overSeeds(runs, func(s *dynamics.Series) ([]float64, error) {
		m, err := mapAfter(s, after)
		if err != nil {
			return nil, err
		}
		return m.Relative, nil
	})
}

// mapLimit is the largest |ln(1 + relative)| of all strategies' maps after all tasks, mean over seeds, rounded up.
func (d *Dynamics) mapLimit() (float64, error) {
	limit := math.Log(1.1) // less than 10 % is shown as little
	for _, o := range d.together() {
		for _, label := range o.Strategies() {
			runs, err := o.seriesOf(label)
			if err != nil {
				return 0, err
			}
			for after := 1; after < len(runs[0].Tasks); after++ {
				cells, err := relativeMap(runs, after)
				if err != nil {
					return 0, err
				}
				for _, c := range cells {
					if c.Known() && c.Mean > -1 {
						limit = math.Max(limit, math.Abs(math.Log1p(c.Mean)))
					}
				}
			}
		}
	}
	// The ends of the scale are a round ratio.
	for _, ratio := range []float64{1.5, 2, 4, 9, 16, 25, 100} {
		if limit <= math.Log(ratio) {
			return math.Log(ratio), nil
		}
	}
	return limit, nil
}

// diverging is the colour of a relative change: blue better, white none, orange to brown worse, by its logarithm.
func diverging(relative, limit float64) color.NRGBA {
	at := math.Max(-1, math.Min(1, math.Log1p(math.Max(relative, -0.999))/limit))
	white, worse, worst := color.NRGBA{0xf7, 0xf7, 0xf7, 0xff}, figure.Vermilion, rgb("5c2400")
	better, best := figure.Palette[0], rgb("00263c")
	if at < 0 {
		worse, worst, at = better, best, -at
	}
	if at < 0.6 {
		return blend(white, worse, at/0.6)
	}
	return blend(worse, worst, (at-0.6)/0.4)
}

// mapPainter draws cells [task, t] and their scale.
func mapPainter(x timeAxis, tasks []string, cells []study.Stat, limit float64) func(draw.Canvas) {
	return func(c draw.Canvas) {
		const below, above, gap = 34, 34, 8
		tick, label := figure.TextStyle(figure.TickSize, false, figure.Ink, -1, -0.5), figure.TextStyle(figure.LabelSize, false, figure.Ink, -0.5, -1)
		left := vg.Length(0)
		names := make([]string, len(tasks))
		for i, t := range tasks {
			names[i] = figure.Shorten(tick, t, 170)
			left = max(left, tick.Width(names[i]))
		}
		area := vg.Rectangle{Min: vg.Point{X: c.Min.X + left + gap, Y: c.Min.Y + below}, Max: vg.Point{X: c.Max.X - 16, Y: c.Max.Y - above}}
		edges := x.edges()
		from, to := edges[0], edges[len(edges)-1] // left and right: log-SNR falls
		across := func(v float64) vg.Length {
			return area.Min.X + vg.Length((v-from)/(to-from))*(area.Max.X-area.Min.X)
		}
		height := (area.Max.Y - area.Min.Y) / vg.Length(len(tasks))
		n := len(x.x)
		for i := range tasks {
			top := area.Max.Y - vg.Length(i)*height
			for k := range n {
				// Cells overlap a little, so that no gap shows between them.
				box := vg.Rectangle{Min: vg.Point{X: across(edges[k]), Y: top - height}, Max: vg.Point{X: min(across(edges[k+1])+0.4, area.Max.X), Y: top}}
				if s := cells[i*n+k]; s.Known() {
					c.SetColor(diverging(s.Mean, limit))
					c.Fill(box.Path())
				}
			}
			c.FillText(tick, vg.Point{X: c.Min.X + left, Y: top - height/2}, names[i])
			if i > 0 {
				c.StrokeLine2(draw.LineStyle{Color: color.White, Width: 1.5}, area.Min.X, top, area.Max.X, top)
			}
		}
		tick.XAlign, tick.YAlign = draw.XCenter, draw.YTop
		axis := draw.LineStyle{Color: figure.Faint(0.55), Width: 0.8}
		for _, t := range (figure.LinearTicks{}).Ticks(math.Min(from, to), math.Max(from, to)) {
			at := across(t.Value)
			c.StrokeLine2(axis, at, area.Min.Y, at, area.Min.Y-4)
			c.FillText(tick, vg.Point{X: at, Y: area.Min.Y - 5}, t.Label)
		}
		c.FillText(label, vg.Point{X: (area.Min.X + area.Max.X) / 2, Y: c.Min.Y + 15}, x.label)

		// The scale of colours, above: from the best to the worst that any map shows.
		bar := vg.Rectangle{Min: vg.Point{X: area.Max.X - 240, Y: c.Max.Y - 11}, Max: vg.Point{X: area.Max.X - 20, Y: c.Max.Y - 2}}
		const steps = 44
		width := (bar.Max.X - bar.Min.X) / steps
		for i := range steps {
			at := bar.Min.X + vg.Length(i)*width
			c.SetColor(diverging(math.Expm1(limit*(2*(float64(i)+0.5)/steps-1)), limit))
			c.Fill(vg.Rectangle{Min: vg.Point{X: at, Y: bar.Min.Y}, Max: vg.Point{X: at + width + 0.3, Y: bar.Max.Y}}.Path())
		}
		for _, at := range []float64{-1, -0.5, 0, 0.5, 1} {
			c.FillText(tick, vg.Point{X: bar.Min.X + vg.Length((at+1)/2)*(bar.Max.X-bar.Min.X), Y: bar.Min.Y - 2}, changeText(math.Expm1(limit*at)))
		}
		tick.XAlign, tick.YAlign = draw.XRight, draw.YCenter
		c.FillText(tick, vg.Point{X: bar.Min.X - 12, Y: (bar.Min.Y + bar.Max.Y) / 2}, "change of loss")
	}
}

// changeText writes a relative change with two digits.
func changeText(v float64) string {
	digits := strconv.FormatFloat(math.Abs(100*v), 'g', 2, 64)
	if value, err := strconv.ParseFloat(digits, 64); err == nil {
		digits = words.Short(value)
	}
	switch {
	case v < 0:
		return "−" + digits + " %"
	case v > 0:
		return "+" + digits + " %"
	}
	return "0"
}
