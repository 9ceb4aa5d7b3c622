package report

import (
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// BitsFigure shows over the timesteps, in three panels: the share of the bits of each bin, just learned, and their
// sum from t = 0 up; how many-fold the loss of old tasks is at the end; and by how much that moves their total. The
// timesteps lie on a square-root scale, on which the bins of a stratified estimate are equally wide. The shares are
// those of the first method that learns tasks one after another, else of the first.
func BitsFigure(methods []Method) (Figure, error) {
	list, err := bitsOfAll(methods)
	if err != nil {
		return Figure{}, err
	}
	var measured []Method
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
	every := looks(methods)
	l := make([]look, len(list)) // as in all other figures of the same methods
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
	shares.Add(&plotter.Line{XYs: sum, LineStyle: look{colour: ink}.line(1.6)})

	var rises, moves []curve
	for i, b := range list {
		if !b.Total.Learned.Known() {
			continue
		}
		rise, move := curve{look: l[i]}, curve{look: l[i]}
		for _, p := range b.Parts[1 : len(b.Parts)-1] {
			r := (math.Sqrt(float64(p.Low)) + math.Sqrt(float64(p.High))) / 2
			rise.x, move.x = append(rise.x, r*r), append(move.x, r*r)
			rise.y, move.y = append(rise.y, p.Rise), append(move.y, p.Moves.Times(100))
		}
		rises, moves = append(rises, rise), append(moves, move)
	}
	title := "Where the bits are, and where forgetting is"
	caption := "Top: bars are the share of the bits of old tasks of " + base.Method.Label + ", the line their sum from t = 0 up. "
	panels := [][]*plot.Plot{{shares}}
	if low, high, ok := extent(rises); ok {
		rise := timestepPanel("", "loss, end / learned", base.T)
		setRange(rise, math.Min(low, 1), high)
		rise.Add(&plotter.Line{XYs: plotter.XYs{{X: 0, Y: 1}, {X: float64(base.T), Y: 1}}, LineStyle: look{colour: faint(0.5), dash: []vg.Length{1.5, 3}}.line(1)})
		for _, c := range rises {
			addCurve(rise, c, 1.8, 3)
		}
		low, high, _ := extent(moves)
		move := timestepPanel("timestep t", "moves BPD by, %", base.T)
		room := math.Max(0.06*(high-low), 1e-9)
		move.Y.Min, move.Y.Max = math.Min(low, 0)-room, math.Max(high, 0)+room
		for _, c := range moves {
			addCurve(move, c, 1.8, 3)
		}
		panels = append(panels, []*plot.Plot{rise}, []*plot.Plot{move})
		caption += "Middle: how many-fold the loss of old tasks is at the end, weighted as the bound weighs it; dotted: unchanged. Bottom: by how much that moves their bits per dimension. " + bandNote(measured)
	} else {
		shares.X.Label.Text = "timestep t"
		caption = "Bars are the share of the bits of " + base.Method.Label + ", the line their sum from t = 0 up. "
	}
	return chart(title, caption+"Square-root scale in t.", 640, 190, entries(measured, l), panels), nil
}

// timestepPanel is an empty panel over timesteps 0 .. T on a square-root scale.
func timestepPanel(x, y string, T int) *plot.Plot {
	p := newPanel("", x, y)
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
