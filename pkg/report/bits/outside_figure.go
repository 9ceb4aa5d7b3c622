package bits

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/figure"
	"palimpsest/pkg/words"
)

// Figure is the distribution of the bits of single images of both sets, all runs together, with the medians dotted.
func (o *Outside) Figure() figure.Figure {
	both := [2][]float64{o.inside, o.outside}
	low, high := math.Inf(1), math.Inf(-1)
	for _, values := range both {
		low, high = math.Min(low, floats.Min(values)), math.Max(high, floats.Max(values))
	}
	if high == low {
		high = low + 1e-6
	}
	bins := min(max(int(math.Sqrt(float64(min(len(both[0]), len(both[1]))))), 8), 40)
	edges := make([]float64, bins+1)
	floats.Span(edges, low, high)
	edges[bins] = math.Nextafter(edges[bins], math.Inf(1)) // the greatest value is inside
	p := figure.NewPanel("", "bits per dimension of an image", "share of images, %")
	p.X.Min, p.X.Max = low, high
	l := [2]figure.Look{{Colour: figure.Palette[0], Glyph: draw.BoxGlyph{}}, {Colour: figure.Vermilion, Dash: []vg.Length{6, 3}, Glyph: draw.CircleGlyph{}}}
	top := 0.0
	var medians [2]float64
	for k, values := range both {
		sorted := append([]float64(nil), values...)
		stat.SortWeighted(sorted, nil)
		counts := stat.Histogram(nil, edges, sorted, nil)
		outline := plotter.XYs{{X: edges[0], Y: 0}}
		for i, n := range counts {
			y := 100 * n / float64(len(values))
			outline = append(outline, plotter.XY{X: edges[i], Y: y}, plotter.XY{X: edges[i+1], Y: y})
			top = math.Max(top, y)
		}
		outline = append(outline, plotter.XY{X: edges[bins], Y: 0})
		p.Add(&plotter.Polygon{XYs: []plotter.XYs{outline}, Color: l[k].Band()}, &plotter.Line{XYs: outline, LineStyle: l[k].Line(1.8)})
		medians[k] = median(values)
	}
	p.Y.Min, p.Y.Max = 0, 1.06*top
	for k, m := range medians {
		p.Add(&plotter.Line{XYs: plotter.XYs{{X: m, Y: 0}, {X: m, Y: p.Y.Max}}, LineStyle: figure.Look{Colour: l[k].Colour, Dash: []vg.Length{1.5, 3}}.Line(1.6)})
	}
	caption := fmt.Sprintf("Test images of both sets, %d and %d over %s; dotted: medians. %s", len(both[0]), len(both[1]), words.Seeds(len(o.Runs)), o.Sentence())
	items := []figure.Entry{{Label: o.Inside + " (trained on)", Look: l[0]}, {Label: o.Outside, Look: l[1]}}
	return figure.Chart("Bits of images of a set never seen", caption, 600, 290, items, [][]*plot.Plot{{p}})
}
