package figure

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// Sweep shows what the rehearsal coefficient λ of a strategy does: final FID, forgetting and copies of buffer
// images against λ, a line a buffer size, number of rows and whatever else differs, a row of panels a benchmark and
// length of training. Finetune, to which λ → 0 leads, and joint are levels.
func Sweep(s *study.Sweep) Figure {
	copied, _ := s.Copies()
	columns := []struct {
		title  string
		of     func(*results.Run) float64
		levels []string
		metric study.Metric
	}{
		{"FID after the last task", study.FinalOf(study.FID).Of, []string{study.Finetune, study.Joint}, study.FID},
		{"FID forgetting", study.ForgettingOf(study.FID).Of, []string{study.Finetune}, study.FID},
		{copied.Title(), s.CopiesOf(), nil, copied},
	}
	names := s.Names()
	l := lineLooks(len(names))
	var items []Entry
	for i, name := range names {
		if name == "" {
			name = s.Strategy
		}
		items = append(items, Entry{name, l[i]})
	}
	shown := map[string]bool{}
	var panels [][]*plot.Plot
	for _, on := range s.Trainings() {
		var row []*plot.Plot
		for _, column := range columns {
			var curves []Curve
			var all []float64
			for _, line := range s.Lines {
				if line.Training() != on {
					continue
				}
				c := Curve{Look: l[slices.Index(names, line.Name)], X: line.Lambdas}
				for _, g := range line.Methods {
					c.Y = append(c.Y, g.Over(column.of))
				}
				curves, all = append(curves, c), append(all, line.Lambdas...)
			}
			from, to := slices.Min(all)/1.4, slices.Max(all)*1.4
			for _, name := range column.levels {
				g, ok := s.Reference(name, on)
				if !ok {
					continue
				}
				if level := g.Over(column.of); level.Known() {
					look := Looks([]study.Method{g})[0]
					curves = append(curves, Curve{Look: look, X: []float64{from, to}, Y: []study.Stat{level, level}, Level: true})
					if !shown[name] {
						shown[name], items = true, append(items, Entry{map[string]string{study.Finetune: "finetune (λ → 0)", study.Joint: "joint"}[name], look})
					}
				}
			}
			title := column.title
			if what := on.Difference(s.Trainings()); what != "" {
				title += "\n" + what
			}
			p := NewPanel(title, "λ", "")
			low, high, ok := Extent(curves)
			if !ok {
				low, high = 0, 1
				p.Add(said("not measured"))
			}
			SetMetricRange(p, column.metric, low, high)
			p.X.Scale, p.X.Tick.Marker, p.X.Min, p.X.Max = plot.LogScale{}, valueTicks(all), from, to
			for _, c := range curves {
				radius := 3.6
				if c.Level {
					radius = 0
				}
				AddCurve(p, c, 1.8, radius)
			}
			row = append(row, p)
		}
		panels = append(panels, row)
	}
	caption := fmt.Sprintf("%s with several λ: FID over all tasks and by how much it rose since each was learned (lower is better), and the share of samples that copy an image of the buffer. "+
		"%sWhat copies less may also just draw old classes less: read copies beside FID.", s.Strategy, BandNote(s.Methods))
	return Chart("What λ does, and to whom", caption, 870, 230, items, panels)
}

// lineLooks are the looks of a number of lines.
func lineLooks(n int) []Look {
	out := make([]Look, n)
	for k := range out {
		round := k / len(Palette)
		out[k] = Look{Palette[k%len(Palette)], Dashes[round%len(Dashes)], Glyphs[(k+round)%len(Glyphs)]}
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
		out = append(out, plot.Tick{Value: x, Label: words.Short(x)})
	}
	return out
}

// said is words in the middle of an empty panel.
type said string

// Plot implements [plot.Plotter].
func (s said) Plot(c draw.Canvas, _ *plot.Plot) {
	c.FillText(TextStyle(LabelSize, false, Faint(0.6), -0.5, -0.5), vg.Point{X: c.Center().X, Y: c.Center().Y}, string(s))
}
