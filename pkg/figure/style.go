package figure

import (
	"image/color"
	"math"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/study"
)

// Look is how one method is drawn in every figure.
type Look struct {
	Colour color.NRGBA
	Dash   []vg.Length
	Glyph  draw.GlyphDrawer
}

// Colours of [okabe] without yellow, which is too light for lines. Finetune and joint have their own.
var (
	Vermilion = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	grey      = color.NRGBA{0x8a, 0x87, 0x84, 0xff} // of what is to stay behind
	Palette   = []color.NRGBA{
		{0x00, 0x72, 0xb2, 0xff}, // blue
		{0xe6, 0x9f, 0x00, 0xff}, // orange
		{0x00, 0x9e, 0x73, 0xff}, // bluish green
		{0xcc, 0x79, 0xa7, 0xff}, // reddish purple
		{0x56, 0xb4, 0xe9, 0xff}, // sky blue
	}
	Glyphs = []draw.GlyphDrawer{draw.BoxGlyph{}, draw.PyramidGlyph{}, diamond{}, Ring{}, cross{upright: true}}
	Dashes = [][]vg.Length{nil, {8, 3}, {8, 3, 2, 3}, {2, 3}}
)

// Looks gives every method its look: the same method looks the same in all figures made from the same methods.
func Looks(methods []study.Method) []Look {
	out := make([]Look, len(methods))
	k := 0
	for i, g := range methods {
		switch g.Name() {
		case study.Finetune:
			out[i] = Look{Vermilion, nil, cross{}}
		case study.Joint:
			out[i] = Look{Ink, []vg.Length{5, 4}, draw.CircleGlyph{}}
		default:
			// A sixth method repeats the first colour with another dash and another marker.
			round := k / len(Palette)
			out[i] = Look{Palette[k%len(Palette)], Dashes[round%len(Dashes)], Glyphs[(k+round)%len(Glyphs)]}
			k++
		}
	}
	return out
}

// Line is the look's line style.
func (l Look) Line(width float64) draw.LineStyle {
	return draw.LineStyle{Color: l.Colour, Width: vg.Length(width), Dashes: l.Dash}
}

// Marker is the look's glyph style.
func (l Look) Marker(radius float64) draw.GlyphStyle {
	return draw.GlyphStyle{Color: l.Colour, Radius: vg.Length(radius), Shape: l.Glyph}
}

// Band is the look's colour for an area behind its line.
func (l Look) Band() color.NRGBA {
	c := l.Colour
	c.A = 0x2e
	return c
}

// diamond is a filled square on its corner.
type diamond struct{}

// DrawGlyph implements [draw.GlyphDrawer].
func (diamond) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, p vg.Point) {
	c.SetColor(s.Color)
	r := s.Radius * 1.2
	var path vg.Path
	path.Move(vg.Point{X: p.X - r, Y: p.Y})
	path.Line(vg.Point{X: p.X, Y: p.Y + r})
	path.Line(vg.Point{X: p.X + r, Y: p.Y})
	path.Line(vg.Point{X: p.X, Y: p.Y - r})
	path.Close()
	c.Fill(path)
}

// Ring is a circle in strong strokes, hollow.
type Ring struct{}

// DrawGlyph implements [draw.GlyphDrawer].
func (Ring) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, p vg.Point) {
	var path vg.Path
	path.Move(vg.Point{X: p.X + s.Radius, Y: p.Y})
	path.Arc(p, s.Radius, 0, 2*math.Pi)
	path.Close()
	c.SetLineStyle(draw.LineStyle{Color: s.Color, Width: 2})
	c.Stroke(path)
}

// cross is two strong strokes, diagonal or upright.
type cross struct{ upright bool }

// DrawGlyph implements [draw.GlyphDrawer].
func (x cross) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, p vg.Point) {
	r := s.Radius
	a, b := vg.Point{X: r, Y: r}, vg.Point{X: r, Y: -r}
	if x.upright {
		a, b = vg.Point{X: r * 1.3}, vg.Point{Y: r * 1.3}
	}
	l := draw.LineStyle{Color: s.Color, Width: 2.2}
	c.StrokeLine2(l, p.X-a.X, p.Y-a.Y, p.X+a.X, p.Y+a.Y)
	c.StrokeLine2(l, p.X-b.X, p.Y-b.Y, p.X+b.X, p.Y+b.Y)
}

// TextStyle is text of the given size. x and y are 0, -0.5 or -1: the point it is drawn at is at its left or bottom,
// middle, right or top.
func TextStyle(size float64, bold bool, c color.Color, x, y float64) draw.TextStyle {
	f := font.Font{Typeface: plot.DefaultFont.Typeface, Variant: "Sans", Size: vg.Length(size)}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return draw.TextStyle{Color: c, Font: f, XAlign: draw.XAlignment(x), YAlign: draw.YAlignment(y), Handler: plot.DefaultTextHandler}
}

// wrap breaks text at blanks into lines that fit in width; a word that does not is cut.
func wrap(s draw.TextStyle, words string, width vg.Length) string {
	var lines []string
	for given := range strings.SplitSeq(words, "\n") {
		line := ""
		for word := range strings.SplitSeq(given, " ") {
			if line != "" && s.Width(line+" "+word) > width {
				lines, line = append(lines, line), ""
			}
			line = Shorten(s, strings.TrimPrefix(line+" "+word, " "), width)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// Shorten cuts text with an ellipsis until it fits in width.
func Shorten(s draw.TextStyle, words string, width vg.Length) string {
	if s.Width(words) <= width {
		return words
	}
	runes := []rune(words)
	for len(runes) > 1 && s.Width(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}
