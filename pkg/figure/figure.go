package figure

import (
	"bytes"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"math"
	"regexp"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Figure is a drawing of Width × Height pixels with its words. It is drawn again for every form it is asked in:
// SVG for pages, PNG for notebooks and everything else that shows no SVG.
type Figure struct {
	Title   string
	Caption string // what is shown, how to read it
	Width   float64
	Height  float64
	Paint   func(draw.Canvas)
}

// Ink is the colour of text and axes. In a page it becomes the page's own text colour.
var Ink = color.NRGBA{R: 0x1c, G: 0x1b, B: 0x1a, A: 0xff}

// Faint is ink of the given strength in [0, 1].
func Faint(strength float64) color.NRGBA {
	c := Ink
	c.A = uint8(255*strength + 0.5)
	return c
}

// SVG returns the figure as an SVG document on white, for a file or a viewer of its own.
func (f Figure) SVG() string {
	return f.svg(fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %g %g" role="img" %s>`+
		"\n<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
		f.Width, f.Height, f.Width, f.Height, svgFont, html.EscapeString(f.Title)))
}

// svgFont names fonts of the same widths as the one the text was measured with.
const svgFont = `font-family="'Liberation Sans', Arial, Helvetica, sans-serif"`

// HTML returns the figure as an HTML <figure>: inline SVG in the page's text colour, with the caption.
func (f Figure) HTML() string {
	return fmt.Sprintf("<figure>%s<figcaption><b>%s.</b> %s</figcaption></figure>\n", f.Inline(), html.EscapeString(f.Title), html.EscapeString(f.Caption))
}

// Words are the title and the caption in a line, for those who do not see the figure.
func (f Figure) Words() string { return strings.TrimSpace(f.Title + ". " + f.Caption) }

// Inline is the SVG element for a page: it shrinks with the page and takes its text colour, also for axes and grids.
func (f Figure) Inline() string {
	svg := f.svg(fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %g %g" role="img" aria-label="%s" fill="currentColor" style="max-width:100%%;height:auto" %s>`+"\n",
		f.Width, f.Height, f.Width, f.Height, html.EscapeString(f.Title), svgFont))
	return svgInk.ReplaceAllString(svg, "currentColor")
}

// svgInk is [Ink] in an SVG, whose writer rounds what is drawn with opacity: axes, grids, bands.
var svgInk = regexp.MustCompile(`#1[BC]1[AB]1[9A]`)

var (
	svgStart  = regexp.MustCompile(`(?s)^.*?<svg.*?>\n`)
	svgFamily = regexp.MustCompile(`font-family:[^;"]*;font-variant:normal;`)
	svgPlain  = regexp.MustCompile(`font-weight:normal;font-style:normal;`)
)

// svg draws the figure below the given start tag.
func (f Figure) svg(start string) string {
	c := vgsvg.New(vg.Length(f.Width), vg.Length(f.Height))
	f.Paint(draw.NewCanvas(c, vg.Length(f.Width), vg.Length(f.Height)))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		panic(errors.Wrap(err, "figure: writing to memory")) // cannot happen
	}
	text := svgStart.ReplaceAllLiteralString(b.String(), start)
	// The root element names the font once.
	return svgPlain.ReplaceAllLiteralString(svgFamily.ReplaceAllLiteralString(text, ""), "")
}

// PNG returns the figure as a PNG image on white of 256 colours with scale dots a pixel; 2 is sharp on most screens.
func (f Figure) PNG(scale float64) ([]byte, error) {
	if wide, high := scale*f.Width, scale*f.Height; !(wide > 0 && wide <= 1<<14 && high > 0 && high <= 1<<14) {
		return nil, errors.Errorf("figure: %g × %g pixels at scale %g; need sides and a scale above 0, and at most %d dots a side", f.Width, f.Height, scale, 1<<14)
	}
	c := vgimg.NewWith(vgimg.UseWH(vg.Length(f.Width), vg.Length(f.Height)), vgimg.UseDPI(int(72*scale+0.5)), vgimg.UseBackgroundColor(color.White))
	f.Paint(draw.NewCanvas(c, vg.Length(f.Width), vg.Length(f.Height)))
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, indexed(c.Image().(*image.RGBA))); err != nil {
		return nil, errors.Wrapf(err, "figure: figure %q", f.Title)
	}
	return b.Bytes(), nil
}

// SideBySide lays figures out in lines of at most width pixels, as one figure with the given words.
func SideBySide(title, caption string, width float64, figures ...Figure) Figure {
	const gap = 16
	type place struct{ x, y float64 } // from the top left corner
	places := make([]place, len(figures))
	x, y, line, widest := 0.0, 0.0, 0.0, 0.0
	for i, f := range figures {
		if x > 0 && x+f.Width > width {
			x, y, line = 0, y+line+gap, 0
		}
		places[i] = place{x, y}
		x += f.Width + gap
		line, widest = max(line, f.Height), max(widest, x-gap)
	}
	out := Figure{Title: title, Caption: caption, Width: widest, Height: y + line}
	out.Paint = func(c draw.Canvas) {
		for i, f := range figures {
			top := c.Max.Y - vg.Length(places[i].y)
			left := c.Min.X + vg.Length(places[i].x)
			f.Paint(draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
				Min: vg.Point{X: left, Y: top - vg.Length(f.Height)},
				Max: vg.Point{X: left + vg.Length(f.Width), Y: top},
			}})
		}
	}
	return out
}

// Absent is the figure of what cannot be drawn: it says why.
func Absent(title, why string) Figure {
	style := TextStyle(LabelSize, false, Faint(0.7), -0.5, -0.5)
	lines := wrap(style, why, 404)
	f := Figure{Title: title, Caption: why, Width: 420, Height: 48 + math.Ceil(float64(style.Height(lines)-style.Height("one")))}
	f.Paint = func(c draw.Canvas) { c.FillText(style, c.Center(), lines) }
	return f
}
