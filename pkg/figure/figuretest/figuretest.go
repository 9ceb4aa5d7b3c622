// Package figuretest reads drawings as people do. It finds panels, axes and marks in the SVG of a figure, and says by the labels
// of the axes which values the marks stand at, whatever drew them.
package figuretest

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// Point is a place in a drawing, in pixels from the lower left corner, or the values it stands for.
type Point struct{ X, Y float64 }

// Text is a piece of text.
type Text struct {
	Words, Colour string
	At            Point // of its left end
	Size          float64
	Bold, Upright bool // Upright: turned by 90°
}

// Shape is a line or an area.
type Shape struct {
	Points  []Point // corners, each once
	Colour  string  // "#D55E00"
	Area    bool
	Opacity float64
	Width   float64 // of a line
	Dashed  bool
	Round   bool // it has arcs
}

// Drawing is what a figure shows.
type Drawing struct {
	Width, Height float64
	Before        *Panel // what stands before the first panel, such as the legend
	Panels        []*Panel
}

// Panel is a plot with axes, from its lower left to its upper right corner.
type Panel struct {
	Low, High Point
	Texts     []Text
	Shapes    []Shape
}

// Read reads an SVG.
func Read(t testing.TB, svg string) *Drawing {
	t.Helper()
	d := &Drawing{Before: &Panel{}}
	to := d.Before
	decoder := xml.NewDecoder(strings.NewReader(svg))
	turned, depth := 0, 0
	var words *Text
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return d
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			depth++
			attribute := map[string]string{}
			for _, a := range e.Attr {
				attribute[a.Name.Local] = a.Value
			}
			style := styleOf(attribute["style"])
			switch e.Name.Local {
			case "svg":
				d.Width, d.Height = number(t, attribute["width"]), number(t, attribute["height"])
			case "g":
				if strings.HasPrefix(attribute["transform"], "rotate") {
					turned = depth
				}
			case "text":
				words = &Text{Colour: style["fill"], Size: number(t, strings.TrimSuffix(style["font-size"], "px")), Bold: style["font-weight"] == "bold",
					Upright: turned > 0, At: Point{number(t, attribute["x"]), -number(t, attribute["y"])}}
			case "path":
				s := shapeOf(t, attribute["d"], style)
				if strings.HasPrefix(style["fill"], "#-") { // a panel's ground, which has no colour
					to = &Panel{Low: s.Points[0], High: s.Points[2]}
					d.Panels = append(d.Panels, to)
					continue
				}
				to.Shapes = append(to.Shapes, s)
			}
		case xml.CharData:
			if words != nil {
				words.Words += string(e)
			}
		case xml.EndElement:
			if turned == depth {
				turned = 0
			}
			depth--
			if e.Name.Local == "text" {
				to.Texts = append(to.Texts, *words)
				words = nil
			}
		}
	}
}

func styleOf(text string) map[string]string {
	out := map[string]string{}
	for _, part := range strings.Split(text, ";") {
		key, value, _ := strings.Cut(part, ":")
		out[key] = value
	}
	return out
}

func number(t testing.TB, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var (
	arc  = regexp.MustCompile(`A[^ ]* [01] [01] [01] `)
	pair = regexp.MustCompile(`([-\d.e+]+),([-\d.e+]+)`)
)

// shapeOf reads a path of straight lines and half circles.
func shapeOf(t testing.TB, path string, style map[string]string) Shape {
	t.Helper()
	s := Shape{Colour: style["fill"], Area: true, Opacity: 1, Dashed: style["stroke-dasharray"] != "", Round: arc.MatchString(path)}
	opacity := style["fill-opacity"]
	if s.Colour == "none" || s.Colour == "" && style["stroke"] != "" {
		s.Colour, s.Area, opacity = style["stroke"], false, style["stroke-opacity"]
		if s.Width = 1; style["stroke-width"] != "" { // 1 need not be said
			s.Width = number(t, style["stroke-width"])
		}
	}
	if opacity != "" {
		s.Opacity = number(t, opacity)
	}
	for _, m := range pair.FindAllStringSubmatch(arc.ReplaceAllString(path, "L"), -1) {
		if p := (Point{number(t, m[1]), number(t, m[2])}); !slices.Contains(s.Points, p) {
			s.Points = append(s.Points, p)
		}
	}
	return s
}

// Centre is the mean of a shape's corners.
func (s Shape) Centre() (c Point) {
	for _, p := range s.Points {
		c.X, c.Y = c.X+p.X/float64(len(s.Points)), c.Y+p.Y/float64(len(s.Points))
	}
	return c
}

// size is the larger side of the shape's bounds.
func (s Shape) size() float64 {
	low, high := Point{math.Inf(1), math.Inf(1)}, Point{math.Inf(-1), math.Inf(-1)}
	for _, p := range s.Points {
		low, high = Point{min(low.X, p.X), min(low.Y, p.Y)}, Point{max(high.X, p.X), max(high.Y, p.Y)}
	}
	return max(high.X-low.X, high.Y-low.Y)
}

// Box is what a text covers, from its lower left to its upper right corner, without what hangs below its foot.
func (w Text) Box() (low, high Point) {
	f := font.Font{Typeface: plot.DefaultFont.Typeface, Variant: "Sans"}
	if w.Bold {
		f.Weight = xfont.WeightBold
	}
	face := font.DefaultCache.Lookup(f, vg.Length(w.Size))
	wide := float64(face.Width(w.Words))
	if w.Upright {
		return Point{-w.At.Y - 0.7*w.Size, w.At.X}, Point{-w.At.Y, w.At.X + wide}
	}
	return w.At, Point{w.At.X + wide, w.At.Y + 0.7*w.Size}
}

// Outside says which texts leave the drawing by more than half a pixel.
func (d *Drawing) Outside() (all []string) {
	for _, p := range append([]*Panel{d.Before}, d.Panels...) {
		for _, text := range p.Texts {
			if low, high := text.Box(); low.X < -0.5 || low.Y < -0.5 || high.X > d.Width+0.5 || high.Y > d.Height+0.5 {
				all = append(all, fmt.Sprintf("%q from (%.0f, %.0f) to (%.0f, %.0f) of %g × %g", text.Words, low.X, low.Y, high.X, high.Y, d.Width, d.Height))
			}
		}
	}
	return all
}

// Legend returns the colour of each name of a legend.
func (d *Drawing) Legend() map[string]string {
	out := map[string]string{}
	for _, text := range d.Before.Texts {
		for _, s := range d.Before.Shapes {
			if c := s.Centre(); !s.Area && len(s.Points) == 2 && math.Abs(c.Y-text.At.Y) < 9 && text.At.X > c.X && text.At.X-c.X < 24 {
				out[text.Words] = s.Colour
			}
		}
	}
	return out
}

// Text returns the words of a size, in the order in which they are drawn.
func (p *Panel) Text(size float64) (all []string) {
	for _, text := range p.Texts {
		if text.Size == size {
			all = append(all, text.Words)
		}
	}
	return all
}

// Axes reads the panel's axes from their labels.
func (p *Panel) Axes(t testing.TB) (x, y Axis) {
	t.Helper()
	var labels []Text
	for _, text := range p.Texts {
		if text.Size == 11 && strings.TrimSpace(text.Words) != "" {
			labels = append(labels, text)
		}
	}
	for _, s := range p.Shapes {
		if len(s.Points) != 2 || s.Area || math.Abs(s.Width-0.8) > 1e-9 || math.Abs(s.Opacity-0.55) > 0.01 {
			continue
		}
		a, b := s.Points[0], s.Points[1]
		axis, at := &x, a.X
		switch {
		case a.X == b.X && math.Abs(math.Abs(a.Y-b.Y)-4) < 0.1:
		case a.Y == b.Y && math.Abs(math.Abs(a.X-b.X)-4) < 0.1:
			axis, at = &y, a.Y
		default: // the axis itself
			continue
		}
		if len(labels) == 0 {
			t.Fatal("a tick has no label")
		}
		if v, err := strconv.ParseFloat(signs.Replace(labels[0].Words), 64); err == nil { // else a name, such as "task 1"
			axis.at, axis.value = append(axis.at, at), append(axis.value, v)
		}
		labels = labels[1:]
	}
	return x, y
}

// signs turns a number as readers see it into one that strconv reads.
var signs = strings.NewReplacer("−", "-", "\u00a0", "")

// Axis says which value a place along an axis stands for, as far as its labels tell.
type Axis struct{ at, value []float64 }

// Known says whether the axis has labels enough to be read.
func (a Axis) Known() bool { return len(a.at) > 1 }

// scales are the ways along which values may lie, from a value to its place and back.
var scales = []struct{ to, from func(float64) float64 }{
	{func(v float64) float64 { return v }, func(p float64) float64 { return p }},
	{math.Log, math.Exp},
	{math.Sqrt, func(p float64) float64 { return p * p }},
}

// scale is the number of the scale on which the labels lie straight, which takes three of them to see, and their places on it.
func (a Axis) scale() (best int, places []float64) {
	straight := -1.0
	for k, s := range scales {
		on := make([]float64, len(a.value))
		for i, v := range a.value {
			on[i] = s.to(v)
		}
		if r := math.Abs(stat.Correlation(a.at, on, nil)); k == 0 || len(a.value) > 2 && r > straight+1e-9 && !math.IsInf(on[0], 0) {
			best, places, straight = k, on, r
		}
	}
	return best, places
}

// Logarithmic says whether equal lengths are equal ratios.
func (a Axis) Logarithmic() bool {
	k, _ := a.scale()
	return k == 1
}

// Value is what a place stands for.
func (a Axis) Value(at float64) float64 {
	k, places := a.scale()
	offset, slope := stat.LinearRegression(a.at, places, nil, false)
	return scales[k].from(offset + slope*at)
}

// Marks returns where the markers of a colour stand, in values, each once and from left to right.
func (p *Panel) Marks(t testing.TB, colour string) []Point {
	t.Helper()
	var all []Point
	for _, s := range p.Shapes {
		if s.Colour != colour || s.Opacity < 1 || s.size() > 13 || !s.Area && !s.Round && s.Width < 2.2 {
			continue
		}
		c := s.Centre()
		if !slices.ContainsFunc(all, func(o Point) bool { return math.Hypot(o.X-c.X, o.Y-c.Y) < 0.02 }) { // a cross is two strokes
			all = append(all, c)
		}
	}
	return p.values(t, all)
}

// Lines returns the lines of a colour and a width, in values.
func (p *Panel) Lines(t testing.TB, colour string, width float64) (all [][]Point) {
	t.Helper()
	for _, s := range p.Shapes {
		if !s.Area && s.Colour == colour && math.Abs(s.Width-width) < 1e-6 {
			all = append(all, p.values(t, s.Points))
		}
	}
	return all
}

// Bands returns the corners of the areas behind lines of a colour, in values.
func (p *Panel) Bands(t testing.TB, colour string) (all [][]Point) {
	t.Helper()
	for _, s := range p.Shapes {
		if s.Area && s.Opacity < 0.5 && alike(t, s.Colour, colour) {
			all = append(all, p.values(t, s.Points))
		}
	}
	return all
}

// alike says whether two colours are equal except for rounding: the colour of something translucent is rounded.
func alike(t testing.TB, a, b string) bool {
	t.Helper()
	for i := 1; i < len(a) && i < len(b); i += 2 {
		x, errX := strconv.ParseInt(a[i:i+2], 16, 32)
		y, errY := strconv.ParseInt(b[i:i+2], 16, 32)
		if errX != nil || errY != nil || max(x-y, y-x) > 6 {
			return false
		}
	}
	return len(a) == len(b)
}

// values turns places into values; what an axis without labels stands for stays in pixels.
func (p *Panel) values(t testing.TB, places []Point) []Point {
	t.Helper()
	x, y := p.Axes(t)
	out := make([]Point, len(places))
	for i, at := range places {
		out[i] = at
		if x.Known() {
			out[i].X = x.Value(at.X)
		}
		if y.Known() {
			out[i].Y = y.Value(at.Y)
		}
	}
	slices.SortStableFunc(out, func(a, b Point) int {
		switch {
		case a.X < b.X:
			return -1
		case a.X > b.X:
			return 1
		}
		return 0
	})
	return out
}
