package forget

import (
	"encoding/hex"
	"image/color"
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
)

// timeAxis is the axis that figures by timestep share: t, or log-SNR falling from left to right, so that clean images
// are at the left of both.
type timeAxis struct {
	x     []float64 // of the timesteps measured
	label string
	snr   bool
}

// newTimeAxis places timesteps on an axis, [dynamics.AxisT] or [dynamics.AxisLogSNR].
func newTimeAxis(axis string, timesteps []int, logSNR []float64) (timeAxis, error) {
	switch axis {
	case dynamics.AxisT:
		x := make([]float64, len(timesteps))
		for i, t := range timesteps {
			x[i] = float64(t)
		}
		return timeAxis{x, "timestep t (clean → noise)", false}, nil
	case dynamics.AxisLogSNR:
		return timeAxis{logSNR, "log-SNR, nats (clean → noise)", true}, nil
	}
	return timeAxis{}, errors.Errorf("forget: axis %q; need %q or %q", axis, dynamics.AxisT, dynamics.AxisLogSNR)
}

// apply gives a panel the axis.
func (a timeAxis) apply(p *plot.Plot) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, x := range a.x {
		low, high = math.Min(low, x), math.Max(high, x)
	}
	room := math.Max(0.03*(high-low), 1e-3)
	p.X.Min, p.X.Max = low-room, high+room
	if a.snr {
		p.X.Scale = plot.InvertedScale{Normalizer: plot.LinearScale{}}
	}
}

// edges are the borders between the places of the axis, midway, and as far beyond the outer ones.
func (a timeAxis) edges() []float64 {
	n := len(a.x)
	if n == 1 {
		return []float64{a.x[0] - 0.5, a.x[0] + 0.5}
	}
	out := []float64{a.x[0] - (a.x[1]-a.x[0])/2}
	for i := 1; i < n; i++ {
		out = append(out, (a.x[i-1]+a.x[i])/2)
	}
	return append(out, a.x[n-1]+(a.x[n-1]-a.x[n-2])/2)
}

// rgb is the colour of six hexadecimal digits.
func rgb(digits string) color.NRGBA {
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != 3 {
		panic(errors.Errorf("forget: colour %q", digits)) // a constant of this package
	}
	return color.NRGBA{b[0], b[1], b[2], 0xff}
}

// blend mixes two colours, share of the second in [0, 1].
func blend(a, b color.NRGBA, share float64) color.NRGBA {
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + (float64(b)-float64(a))*share)) }
	return color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
}

// addZero rules the level zero.
func addZero(p *plot.Plot) { addLevel(p, 0) }

// addLevel rules a level from side to side where the panel shows it.
func addLevel(p *plot.Plot, level float64) {
	if p.Y.Min <= level && level <= p.Y.Max {
		p.Add(&plotter.Line{XYs: plotter.XYs{{X: p.X.Min, Y: level}, {X: p.X.Max, Y: level}}, LineStyle: draw.LineStyle{Color: figure.Faint(0.55), Width: 0.8}})
	}
}

// noGlyph is the marker of lines that have none.
type noGlyph struct{}

// DrawGlyph implements [draw.GlyphDrawer].
func (noGlyph) DrawGlyph(*draw.Canvas, draw.GlyphStyle, vg.Point) {}
