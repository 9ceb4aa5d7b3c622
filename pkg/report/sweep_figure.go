package report

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/results"
)

// LambdaSweep shows what the rehearsal coefficient λ of a strategy does: final FID, forgetting and copies of buffer
// images against λ, a line a buffer size, number of rows and whatever else differs, a row of panels a benchmark and
// length of training. Finetune, to which λ → 0 leads, and joint are levels. See [NewSweep] for errors.
func LambdaSweep(runs []*results.Run, strategy string) (Figure, error) {
	s, err := NewSweep(runs, strategy)
	if err != nil {
		return Figure{}, err
	}
	return SweepFigure(s), nil
}

// copies is the metric that tells copies of buffer images in all lines alike, and by which criterion.
func (s *Sweep) copies() (m Metric, criterion string) {
	var methods []Method
	for _, l := range s.Lines {
		methods = append(methods, l.Methods...)
	}
	_, m, criterion = copyMetrics(methods)
	return m, criterion
}

// copiesOf is the share of a run's final samples that copy a buffer image, in per cent, over the tasks it was measured for.
func (s *Sweep) copiesOf() func(*results.Run) float64 {
	m, _ := s.copies()
	return func(r *results.Run) float64 { return 100 * finalOfKnown(r, m) }
}

// SweepFigure is that of [LambdaSweep].
func SweepFigure(s *Sweep) Figure {
	copied, _ := s.copies()
	columns := []struct {
		title  string
		of     func(*results.Run) float64
		levels []string
	}{
		{"FID after the last task", FinalOf(FID).Of, []string{Finetune, Joint}},
		{"FID forgetting", ForgettingOf(FID).Of, []string{Finetune}},
		{copied.title(), s.copiesOf(), nil},
	}
	names := s.names()
	l := lineLooks(len(names))
	var items []entry
	for i, name := range names {
		if name == "" {
			name = s.Strategy
		}
		items = append(items, entry{name, l[i]})
	}
	shown := map[string]bool{}
	var panels [][]*plot.Plot
	for _, on := range s.trainings() {
		var row []*plot.Plot
		for _, column := range columns {
			var curves []curve
			var all []float64
			for _, line := range s.Lines {
				if line.training() != on {
					continue
				}
				c := curve{look: l[slices.Index(names, line.Name)], x: line.Lambdas}
				for _, g := range line.Methods {
					c.y = append(c.y, g.Over(column.of))
				}
				curves, all = append(curves, c), append(all, line.Lambdas...)
			}
			from, to := slices.Min(all)/1.4, slices.Max(all)*1.4
			for _, name := range column.levels {
				g, ok := s.reference(name, on)
				if !ok {
					continue
				}
				if level := g.Over(column.of); level.Known() {
					look := looks([]Method{g})[0]
					curves = append(curves, curve{look: look, x: []float64{from, to}, y: []Stat{level, level}, level: true})
					if !shown[name] {
						shown[name], items = true, append(items, entry{map[string]string{Finetune: "finetune (λ → 0)", Joint: "joint"}[name], look})
					}
				}
			}
			title := column.title
			if what := on.difference(s.trainings()); what != "" {
				title += ", " + what
			}
			p := newPanel(title, "λ", "")
			low, high, ok := extent(curves)
			if !ok {
				low, high = 0, 1
				p.Add(said("not measured"))
			}
			setRange(p, low, high)
			p.X.Scale, p.X.Tick.Marker, p.X.Min, p.X.Max = plot.LogScale{}, valueTicks(all), from, to
			for _, c := range curves {
				radius := 3.6
				if c.level {
					radius = 0
				}
				addCurve(p, c, 1.8, radius)
			}
			row = append(row, p)
		}
		panels = append(panels, row)
	}
	caption := fmt.Sprintf("%s with several λ: FID over all tasks and by how much it rose since each was learned (lower is better), and the share of samples that copy an image of the buffer. "+
		"%sWhat copies less may also just draw old classes less: read copies beside FID.", s.Strategy, bandNote(s.methods))
	return chart("What λ does, and to whom", caption, 870, 230, items, panels)
}

// names are the names of the lines, each once.
func (s *Sweep) names() []string {
	var out []string
	for _, l := range s.Lines {
		if !slices.Contains(out, l.Name) {
			out = append(out, l.Name)
		}
	}
	return out
}

// lineLooks are the looks of so many lines.
func lineLooks(n int) []look {
	out := make([]look, n)
	for k := range out {
		round := k / len(others)
		out[k] = look{others[k%len(others)], otherDashes[round%len(otherDashes)], otherGlyphs[(k+round)%len(otherGlyphs)]}
	}
	return out
}

// valueTicks labels given values.
type valueTicks []float64

// Ticks implements [plot.Ticker].
func (v valueTicks) Ticks(low, high float64) []plot.Tick {
	sorted := slices.Compact(slices.Sorted(slices.Values(v)))
	var out []plot.Tick
	for _, x := range sorted {
		out = append(out, plot.Tick{Value: x, Label: shortNumber(x)})
	}
	return out
}

// said is words in the middle of an empty panel.
type said string

// Plot implements [plot.Plotter].
func (s said) Plot(c draw.Canvas, _ *plot.Plot) {
	c.FillText(style(labelSize, false, faint(0.6), -0.5, -0.5), vg.Point{X: c.Center().X, Y: c.Center().Y}, string(s))
}
