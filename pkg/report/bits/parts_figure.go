package bits

import (
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"palimpsest/pkg/figure"
	"palimpsest/pkg/study"
)

// PartsFigure shows over the timesteps, in three panels: the share of the bits of each bin, just learned, and their
// sum from t = 0 up; how many-fold the loss of old tasks is at the end; and by how much that moves their total. The
// timesteps lie on a square-root scale, on which the bins of a stratified estimate are equally wide. The shares are
// those of the first method that learns tasks one after another, else of the first.
func PartsFigure(methods []study.Method) (figure.Figure, error) {
	list, err := bitsOfAll(methods)
	if err != nil {
		return figure.Figure{}, err
	}
	var measured []study.Method
	base := list[0]
	for _, b := range list {
		measured = append(measured, b.Method)
	}
	for _, b := range list {
		if b.Total.Learned.Known() {
			base = b
			break
		}
	}
	every := figure.Looks(methods)
	l := make([]figure.Look, len(list)) // as in all other figures of the same methods
	for i, b := range list {
		for k, g := range methods {
			if g.Label == b.Method.Label {
				l[i] = every[k]
			}
		}
	}

	shares := timestepPanel("", "share of the bits, %", base.T)
	shares.Y.Min, shares.Y.Max = 0, 104
	sum := plotter.XYs{{X: 0, Y: 0}}
	total := 0.0
	for _, p := range base.Parts[:len(base.Parts)-1] {
		x0, x1 := float64(p.Low), float64(p.High)
		bar := &plotter.Polygon{XYs: []plotter.XYs{{{X: x0, Y: 0}, {X: x0, Y: 100 * p.Share.Mean}, {X: x1, Y: 100 * p.Share.Mean}, {X: x1, Y: 0}}}, Color: color.NRGBA{0x56, 0xb4, 0xe9, 0xff}}
		bar.LineStyle.Color, bar.LineStyle.Width = color.White, 0.8
		shares.Add(bar)
		total += 100 * p.Share.Mean
		sum = append(sum, plotter.XY{X: x1, Y: total})
	}
	shares.Add(&plotter.Line{XYs: sum, LineStyle: figure.Look{Colour: figure.Ink}.Line(1.6)})

	var rises, moves []figure.Curve
	for i, b := range list {
		if !b.Total.Learned.Known() {
			continue
		}
		rise, move := figure.Curve{Look: l[i]}, figure.Curve{Look: l[i]}
		for _, p := range b.Parts[1 : len(b.Parts)-1] {
			r := (math.Sqrt(float64(p.Low)) + math.Sqrt(float64(p.High))) / 2
			rise.X, move.X = append(rise.X, r*r), append(move.X, r*r)
			rise.Y, move.Y = append(rise.Y, p.Rise), append(move.Y, p.Moves.Times(100))
		}
		rises, moves = append(rises, rise), append(moves, move)
	}
	title := "Where the bits are, and where forgetting is"
	caption := "Top: bars are the share of the bits of old tasks of " + base.Method.Label + ", the line their sum from t = 0 up. "
	panels := [][]*plot.Plot{{shares}}
	if low, high, ok := figure.Extent(rises); ok {
		rise := timestepPanel("", "loss, end / learned", base.T)
		figure.SetRange(rise, math.Min(low, 1), high)
		rise.Add(&plotter.Line{XYs: plotter.XYs{{X: 0, Y: 1}, {X: float64(base.T), Y: 1}}, LineStyle: figure.Look{Colour: figure.Faint(0.5), Dash: []vg.Length{1.5, 3}}.Line(1)})
		for _, c := range rises {
			figure.AddCurve(rise, c, 1.8, 3)
		}
		low, high, _ := figure.Extent(moves)
		move := timestepPanel("timestep t", "moves BPD by, %", base.T)
		room := math.Max(0.06*(high-low), 1e-9)
		move.Y.Min, move.Y.Max = math.Min(low, 0)-room, math.Max(high, 0)+room
		for _, c := range moves {
			figure.AddCurve(move, c, 1.8, 3)
		}
		panels = append(panels, []*plot.Plot{rise}, []*plot.Plot{move})
		caption += "Middle: how many-fold the loss of old tasks is at the end, weighted as the bound weighs it; dotted: unchanged. Bottom: by how much that moves their bits per dimension. " + figure.BandNote(measured)
	} else {
		shares.X.Label.Text = "timestep t"
		caption = "Bars are the share of the bits of " + base.Method.Label + ", the line their sum from t = 0 up. "
	}
	return figure.Chart(title, caption+"Square-root scale in t.", 640, 190, figure.Entries(measured, l), panels), nil
}

// timestepPanel is an empty panel over timesteps 0 .. T on a square-root scale.
func timestepPanel(x, y string, T int) *plot.Plot {
	p := figure.NewPanel("", x, y)
	p.X.Min, p.X.Max = 0, float64(T)
	p.X.Scale, p.X.Tick.Marker = rootScale{}, rootTicks{}
	p.X.Padding = vg.Length(0)
	return p
}

// rootScale places values by their square roots.
type rootScale struct{}

// Normalize implements [plot.Normalizer].
func (rootScale) Normalize(low, high, x float64) float64 {
	return (math.Sqrt(math.Max(x, 0)) - math.Sqrt(low)) / (math.Sqrt(high) - math.Sqrt(low))
}

// rootTicks labels round timesteps that are far enough apart on a square-root scale.
type rootTicks struct{}

// Ticks implements [plot.Ticker].
func (rootTicks) Ticks(low, high float64) []plot.Tick {
	out := []plot.Tick{{Value: 0, Label: "0"}}
	for _, share := range []float64{0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1} {
		v := math.Round(share * high)
		out = append(out, plot.Tick{Value: v, Label: strconv.Itoa(int(v))})
	}
	return out
}
