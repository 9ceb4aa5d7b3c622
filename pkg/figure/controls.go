package figure

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// Control is something a reader moves: a list to pick from, or a slider.
type Control struct {
	Name    string   // "strategy"
	Options []string // what its positions are called, in order; at least one
	Slider  bool     // for options that have an order, such as thresholds
	Start   int      // the position shown first
}

// Bounds of what [notebook.ShowControls] displays, so that notebooks stay small.
const (
	maxPictures      = 400
	maxControlsBytes = 300_000
)

//go:embed controls.js
var controlsJS string

// ControlsHTML is what [notebook.ShowControls] displays: a still figure of the first combination, and a fragment of HTML that is put
// below it and, where its script runs, takes its place.
func ControlsHTML(title string, controls []Control, draw func(pick []int) (Figure, error)) (still Figure, text string, err error) {
	combinations, err := countCombinations(title, controls)
	if err != nil {
		return Figure{}, "", err
	}
	var start Figure
	book := pictureBook{number: map[string]int{}}
	for i := range combinations {
		pick := pickAt(controls, i)
		f, err := draw(pick)
		if err != nil {
			return Figure{}, "", errors.WithMessage(err, "controls: "+describe(controls, pick))
		}
		if started(controls, pick) {
			start = f
		}
		book.add(f)
	}
	data, err := book.pack()
	if err != nil {
		return Figure{}, "", err
	}
	positions, err := scriptJSON(controls)
	if err != nil {
		return Figure{}, "", err
	}
	sum := sha256.Sum256([]byte(title + data + positions))
	key := hex.EncodeToString(sum[:6])
	script := strings.NewReplacer("KEY", key, "CONTROLS", positions, "DATA", data).Replace(controlsJS)
	out := fmt.Sprintf(`<div data-palimpsest="%s" role="group" aria-label="%s"><p><b>%s</b></p><div data-still>`+
		"<p>%s</p><p><i>Shown above: %s. Controls appear where the notebook is trusted and its scripts run.</i></p></div></div>\n<script>\n%s</script>\n",
		key, html.EscapeString(title), html.EscapeString(title), captionHTML(start), html.EscapeString(describe(controls, pickStart(controls))), script)
	if len(out) > maxControlsBytes {
		return Figure{}, "", errors.Errorf("controls %q: %d pictures take %d kB; need at most %d kB: leave out options, or show a part in a cell of its own",
			title, combinations, len(out)/1000, maxControlsBytes/1000)
	}
	return start, out, nil
}

// countCombinations checks the controls and counts the pictures they make.
func countCombinations(title string, controls []Control) (int, error) {
	if len(controls) == 0 {
		return 0, errors.Errorf("controls %q: there are none; notebook.Show displays a figure without", title)
	}
	n := 1
	for _, c := range controls {
		if c.Name == "" || len(c.Options) == 0 || c.Start < 0 || c.Start >= len(c.Options) {
			return 0, errors.Errorf("controls %q: %q has %d options and starts at number %d; need a name, an option and a start among them", title, c.Name, len(c.Options), c.Start)
		}
		if n *= len(c.Options); n > maxPictures {
			return 0, errors.Errorf("controls %q: more than %d combinations; leave out options or a control", title, maxPictures)
		}
	}
	return n, nil
}

// pickAt is the position of every control in combination number i: the last varies fastest.
func pickAt(controls []Control, i int) []int {
	pick := make([]int, len(controls))
	for k := len(controls) - 1; k >= 0; k-- {
		pick[k] = i % len(controls[k].Options)
		i /= len(controls[k].Options)
	}
	return pick
}

func pickStart(controls []Control) []int {
	pick := make([]int, len(controls))
	for i, c := range controls {
		pick[i] = c.Start
	}
	return pick
}

func started(controls []Control, pick []int) bool {
	for i, c := range controls {
		if pick[i] != c.Start {
			return false
		}
	}
	return true
}

// describe names a combination: "strategy finetune, task 2".
func describe(controls []Control, pick []int) string {
	parts := make([]string, len(controls))
	for i, c := range controls {
		parts[i] = c.Name + " " + c.Options[pick[i]]
	}
	return strings.Join(parts, ", ")
}

// scriptJSON is the controls as the script reads them, safe inside a script element.
func scriptJSON(controls []Control) (string, error) {
	type position struct {
		Name    string   `json:"name"`
		Options []string `json:"options"`
		Slider  bool     `json:"slider"`
		Start   int      `json:"start"`
	}
	var out []position
	for _, c := range controls {
		out = append(out, position(c))
	}
	text, err := json.Marshal(out) // escapes <, > and &
	return string(text), errors.Wrap(err, "controls")
}

// pictureBook holds many similar SVGs and their captions in few bytes: every distinct line once.
type pictureBook struct {
	number   map[string]int
	Texts    []string `json:"texts"`
	Pictures [][]int  `json:"pictures"` // the caption is the last line
}

func (b *pictureBook) add(f Figure) {
	lines := append(strings.Split(compactSVG(f.Inline()), "\n"), captionHTML(f))
	picture := make([]int, len(lines))
	for i, line := range lines {
		k, ok := b.number[line]
		if !ok {
			k = len(b.Texts)
			b.number[line] = k
			b.Texts = append(b.Texts, line)
		}
		picture[i] = k
	}
	b.Pictures = append(b.Pictures, picture)
}

// pack is base64 of gzip of the book's JSON.
func (b *pictureBook) pack() (string, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return "", errors.Wrap(err, "controls")
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return "", errors.Wrap(err, "controls")
	}
	if _, err = w.Write(text); err == nil {
		err = w.Close()
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes()), errors.Wrap(err, "controls")
}

func captionHTML(f Figure) string {
	return "<b>" + html.EscapeString(f.Title) + ".</b> " + html.EscapeString(f.Caption)
}

var (
	svgTag       = regexp.MustCompile(`<[^>]*>`)
	svgNumber    = regexp.MustCompile(`-?\d+\.\d+`)
	svgInvisible = regexp.MustCompile(`(?m)^<path [^>]*fill-opacity:0"[^>]*>\n`)
	svgBreak     = regexp.MustCompile(`\n\t`)
	svgPath      = regexp.MustCompile(` d="(M[-\d.,MLZ]*)"`) // of straight lines only
	svgStep      = regexp.MustCompile(`([ML])(-?[\d.]+),(-?[\d.]+)|Z`)
)

// compactSVG rounds coordinates to tenths of a pixel, has the lines of a path go on from the point before, which takes fewer
// digits, and leaves out what cannot be seen. An element is a line.
func compactSVG(svg string) string {
	svg = svgInvisible.ReplaceAllString(svg, "")
	svg = svgBreak.ReplaceAllString(svg, " ")
	svg = svgPath.ReplaceAllStringFunc(svg, relativePath)
	return svgTag.ReplaceAllStringFunc(svg, func(tag string) string {
		if strings.HasPrefix(tag, "<svg") { // its label may hold numbers
			return tag
		}
		return svgNumber.ReplaceAllStringFunc(tag, shortCoordinate)
	})
}

// relativePath has lines go on from the point before. Points are rounded before they are compared, so that no error adds up.
func relativePath(path string) string {
	var out strings.Builder
	x, y := 0.0, 0.0
	for _, step := range svgStep.FindAllStringSubmatch(path, -1) {
		if step[0] == "Z" {
			out.WriteString("z")
			continue
		}
		toX, errX := strconv.ParseFloat(step[2], 64)
		toY, errY := strconv.ParseFloat(step[3], 64)
		if errX != nil || errY != nil {
			return path
		}
		toX, toY = math.Round(10*toX), math.Round(10*toY)
		if step[1] == "M" {
			fmt.Fprintf(&out, "M%s,%s", tenths(toX), tenths(toY))
		} else {
			fmt.Fprintf(&out, "l%s,%s", tenths(toX-x), tenths(toY-y))
		}
		x, y = toX, toY
	}
	return ` d="` + out.String() + `"`
}

// tenths writes a whole number of tenths.
func tenths(v float64) string { return strconv.FormatFloat(v/10, 'f', -1, 64) }

// shortCoordinate rounds a coordinate to tenths, or an opacity to hundredths.
func shortCoordinate(digits string) string {
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return digits
	}
	places := 1
	if v > -1 && v < 1 {
		places = 2
	}
	short := strconv.FormatFloat(v, 'f', places, 64)
	if strings.Contains(short, ".") {
		short = strings.TrimRight(strings.TrimRight(short, "0"), ".")
	}
	if short == "-0" {
		return "0"
	}
	return short
}
