package report

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"gonum.org/v1/plot"
	plotfont "gonum.org/v1/plot/font"

	"palimpsest/pkg/figure"
	"palimpsest/pkg/results"
	"palimpsest/pkg/sheet"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// ErrNoSheets says that a run has no sample sheets on disk; stored studies keep few.
var ErrNoSheets = errors.New("no sample sheets are stored with this run")

// sampleSides are the height and width of a run's samples, in pixels: they are shown without the border that the preparation adds.
func sampleSides(run *results.Run) (h, w int) {
	benchmark, _ := run.Config["benchmark"].(map[string]any)
	prep, _ := benchmark["prep"].(map[string]any)
	border, _ := prep["border"].(float64)
	h, w = run.Benchmark.Sides()
	return h - 2*int(border), w - 2*int(border)
}

// Strips shows what a run could draw after each task: a row for every evaluation whose sheet is on disk, of very many
// for some, evenly from all, and in it
// the first few samples of every class, or of many classes of some, evenly from all, in task order. The blocks of the task just learned are framed; classes of
// tasks to come are faded, which of those that were not drawn, black in the sheet, leaves a plain grey. dir is the folder of the run's JSON file, which sheet paths are relative to. A stored sheet
// has a row a class in task order, as [sheet.New] makes it or with a few pixels between the images.
//
// A sheet that is damaged is left out. Without any sheet it returns [ErrNoSheets], or what is wrong with the damaged one.
func Strips(run *results.Run, dir string) (image.Image, error) {
	img, damaged, err := strips(run, dir)
	if errors.Is(err, ErrNoSheets) && len(damaged) > 0 {
		err = damaged[0]
	}
	return img, err
}

// strips is [Strips], and what is wrong with the sheets that it leaves out.
func strips(run *results.Run, dir string) (_ image.Image, damaged []error, _ error) {
	var order []int  // classes in task order
	var taskOf []int // of each place in order
	for i, t := range run.Benchmark.Tasks {
		for _, c := range t.Classes {
			order, taskOf = append(order, c), append(taskOf, i)
		}
	}
	if len(order) == 0 {
		return nil, nil, errors.Errorf("run %s names no classes, so the rows of its sheets have no meaning", run.Name)
	}
	h, w := sampleSides(run)
	stored := sheet.Rows(len(order), h) // the class of each row of a sheet
	shown := shownRows(stored)
	type row struct {
		after   int
		picture image.Image
	}
	var rows []row
	var cells sheet.Lattice
	for _, e := range run.Evaluations {
		if e.Sheet == "" {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(e.Sheet))
		picture, err := sheet.Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, nil, err
		}
		if err != nil {
			damaged = append(damaged, errors.WithMessagef(err, "the samples of run %s after %s cannot be read", run.Name, words.Task(e.AfterTask)))
			continue
		}
		l, ok := sheet.Find(picture.Bounds().Size(), len(stored), h, w)
		if !ok || len(rows) > 0 && (l.H != cells.H || l.Gap != cells.Gap) {
			damaged = append(damaged, errors.Errorf("%s is %v pixels, which is not a sheet of %d rows, one a class, of images of %d×%d pixels (and the same in all sheets of run %s)",
				path, picture.Bounds().Size(), len(stored), h, w, run.Name))
			continue
		}
		if len(rows) > 0 {
			l.Columns = min(l.Columns, cells.Columns)
		}
		cells = l
		rows = append(rows, row{e.AfterTask, picture})
	}
	if len(rows) == 0 {
		return nil, damaged, ErrNoSheets
	}

	if n := len(rows); n > stripRows {
		some := make([]row, stripRows)
		for k := range some {
			some[k] = rows[k*(n-1)/(stripRows-1)]
		}
		rows = some
	}
	// Two lines of samples a block show more in the width of a page.
	across := min((cells.Columns+1)/2, max(1, 20/len(shown)))
	down := min(2, cells.Columns/across)
	scale := max(1, 32/min(cells.H, cells.W))
	cellHigh, cellWide := cells.H*scale, cells.W*scale
	high := down * cellHigh
	const left, gap, line, between = 92, 6, 10, 10
	block := across * cellWide
	face, err := labelFace(12)
	if err != nil {
		return nil, nil, err
	}
	defer face.Close()
	names := make([]string, len(shown))
	for k, at := range shown {
		names[k] = drawnName(face, &run.Benchmark, order[stored[at]])
	}
	top, upright := nameHeight(face, names, block+gap)
	x := make([]int, len(shown)) // left edge of each class; there is more room between tasks
	at := left
	for k := range shown {
		if k > 0 {
			at += gap
			if taskOf[stored[shown[k]]] != taskOf[stored[shown[k-1]]] {
				at += between
			}
		}
		x[k] = at
		at += block
	}
	out := image.NewRGBA(image.Rect(0, 0, at+gap, top+len(rows)*(high+line)+gap))
	draw.Draw(out, out.Rect, image.White, image.Point{}, draw.Src)
	for k, name := range names {
		if upright {
			writeUpright(out, face, name, x[k]+block/2, top)
			continue
		}
		first, second := twoLines(face, name, block+gap)
		write(out, face, first, x[k], 14)
		write(out, face, second, x[k], 28)
	}
	for i, r := range rows {
		y := top + i*(high+line)
		when := fmt.Sprintf("after task %d", r.after+1)
		if run.Strategy.Name == study.Joint {
			when = "all tasks"
		}
		write(out, face, when, 2, y+high/2+4)
		for k, at := range shown {
			to := image.Rect(x[k], y, x[k]+block, y+high)
			task := taskOf[stored[at]]
			toCome := task > r.after
			for j := range across * down {
				from := r.picture.Bounds().Min.Add(image.Pt(j*(cells.W+cells.Gap), at*(cells.H+cells.Gap)))
				corner := image.Pt(x[k]+j%across*cellWide, y+j/across*cellHigh)
				enlarge(out, image.Rectangle{corner, corner.Add(image.Pt(cellWide, cellHigh))}, r.picture, from, scale, toCome)
			}
			if task == r.after && run.Strategy.Name != study.Joint {
				frame(out, to, color.RGBA{figure.Vermilion.R, figure.Vermilion.G, figure.Vermilion.B, 0xff})
			}
		}
	}
	return out, damaged, nil
}

// enlarge copies pixels from from on into to, each scale × scale dots, faded towards white if asked.
func enlarge(out *image.RGBA, to image.Rectangle, img image.Image, from image.Point, scale int, fade bool) {
	for y := range to.Dy() {
		for x := range to.Dx() {
			c := color.RGBAModel.Convert(img.At(from.X+x/scale, from.Y+y/scale)).(color.RGBA)
			if fade {
				c.R, c.G, c.B = c.R/3+170, c.G/3+170, c.B/3+170
			}
			out.SetRGBA(to.Min.X+x, to.Min.Y+y, c)
		}
	}
}

// frame draws a border of two dots around r.
func frame(out *image.RGBA, r image.Rectangle, c color.Color) {
	outer := r.Inset(-2)
	for _, side := range []image.Rectangle{
		{outer.Min, image.Pt(outer.Max.X, r.Min.Y)}, {image.Pt(outer.Min.X, r.Max.Y), outer.Max},
		{outer.Min, image.Pt(r.Min.X, outer.Max.Y)}, {image.Pt(r.Max.X, outer.Min.Y), outer.Max},
	} {
		draw.Draw(out, side, image.NewUniform(c), image.Point{}, draw.Src)
	}
}

// labelFace is the figures' font in the given size.
func labelFace(size float64) (font.Face, error) {
	sans := plotfont.DefaultCache.Lookup(plotfont.Font{Typeface: plot.DefaultFont.Typeface, Variant: "Sans"}, 12)
	face, err := opentype.NewFace(sans.Face, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
	return face, errors.Wrap(err, "report: the label font")
}

// drawnName is the name of a class, or its number where the face lacks a character of the name and would draw an empty box.
func drawnName(face font.Face, b *results.Benchmark, class int) string {
	name := b.ClassName(class)
	for _, r := range name {
		if _, ok := face.GlyphAdvance(r); !ok {
			return fmt.Sprintf("class %d", class)
		}
	}
	return name
}

// write draws text with the baseline at y.
func write(out *image.RGBA, face font.Face, text string, x, y int) {
	d := font.Drawer{Dst: out, Src: image.NewUniform(color.RGBA{0x1c, 0x1b, 0x1a, 0xff}), Face: face, Dot: fixed.P(x, y)}
	d.DrawString(text)
}

// twoLines breaks a name at a blank or slash into lines of at most width dots, cutting what does not fit.
func twoLines(face font.Face, name string, width int) (first, second string) {
	fits := func(s string) bool { return font.MeasureString(face, s).Ceil() <= width }
	if fits(name) {
		return "", name // a name of one line is put nearer to its images
	}
	if i := strings.LastIndexAny(name[:len(name)-1], " /"); i > 0 {
		first, second = strings.TrimSpace(name[:i+1]), name[i+1:]
	} else {
		second = name
	}
	cut := func(s string) string {
		r := []rune(s)
		for len(r) > 1 && !fits(string(r)) {
			r = r[:len(r)-1]
		}
		return string(r)
	}
	return cut(first), cut(second)
}

// How many classes a strip shows at most, and how many moments.
const stripClasses, stripRows = 24, 16

// shownRows are the places in stored of the classes that a strip shows: all, or of many some, evenly from all.
func shownRows(stored []int) []int {
	shown := make([]int, min(len(stored), stripClasses))
	for k := range shown {
		shown[k] = k * len(stored) / len(shown)
	}
	return shown
}

// StripWords says of [Strips] which classes it shows, for readers who do not see it.
func StripWords(run *results.Run) string {
	var names []string
	for _, t := range run.Benchmark.Tasks {
		for _, c := range t.Classes {
			names = append(names, run.Benchmark.ClassName(c))
		}
	}
	text := words.Some(names, 12)
	if len(names) > stripClasses {
		text = fmt.Sprintf("%d of %s", stripClasses, text)
	}
	return text
}

// nameHeight is the room above the images for the names of classes, each width dots wide, and whether they stand upright, as
// they do where one does not fit on two lines.
func nameHeight(face font.Face, names []string, width int) (height int, upright bool) {
	longest := 0
	for _, name := range names {
		first, second := twoLines(face, name, width)
		upright = upright || len(strings.Join(strings.Fields(first+second), "")) < len(strings.Join(strings.Fields(name), ""))
		longest = max(longest, font.MeasureString(face, name).Ceil())
	}
	if !upright {
		return 36, false
	}
	return min(longest, mostName) + 12, true
}

// mostName is the longest name that stands upright, in dots; what is longer is cut.
const mostName = 150

// writeUpright draws text that are read with the head to the left and end above bottom, around x.
func writeUpright(out *image.RGBA, face font.Face, text string, x, bottom int) {
	if font.MeasureString(face, text).Ceil() > mostName {
		runes := []rune(text)
		for len(runes) > 1 && font.MeasureString(face, string(runes)+"…").Ceil() > mostName {
			runes = runes[:len(runes)-1]
		}
		text = string(runes) + "…"
	}
	const high, base = 16, 12
	flat := image.NewRGBA(image.Rect(0, 0, font.MeasureString(face, text).Ceil()+1, high))
	draw.Draw(flat, flat.Rect, image.White, image.Point{}, draw.Src)
	write(flat, face, text, 0, base)
	for v := range high {
		for u := range flat.Rect.Dx() {
			out.SetRGBA(x-high/2+v, bottom-5-u, flat.RGBAAt(u, v))
		}
	}
}
