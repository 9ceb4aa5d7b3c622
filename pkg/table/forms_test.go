package table

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// random is a table of up to four sections with cells of text that none of the forms may take for its own.
func random(r *rand.Rand) *Table {
	words := []string{"1.0 ± 0.1", "–", "−3", "a|b", `a\b`, "<b>", "&amp;", "é̂", `"quoted"`, "λ = 0.3", "0"}
	pick := func() string { return words[r.IntN(len(words))] + " " + words[r.IntN(len(words))] }
	t := &Table{Head: "who"}
	for i := range 1 + r.IntN(5) {
		t.Rows = append(t.Rows, fmt.Sprint(pick(), " ", i))
	}
	for s := range 1 + r.IntN(4) {
		section := Section{Title: fmt.Sprint("section ", s)}
		for c := range 1 + r.IntN(7) {
			column := Column{Head: fmt.Sprint("column ", s, ".", c), Long: pick()}
			for range t.Rows {
				v := math.NaN()
				if r.IntN(3) > 0 {
					v = r.NormFloat64() * math.Pow(10, float64(r.IntN(40)-20))
				}
				column.Cells = append(column.Cells, Cell{pick(), v})
			}
			section.Columns = append(section.Columns, column)
		}
		t.Sections = append(t.Sections, section)
	}
	return t
}

// fromMarkdown reads the cells back, row by row, labels and heads included, of all sections one after another.
func fromMarkdown(text string) (rows [][]string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
			continue
		}
		line = strings.ReplaceAll(line, `\|`, "\x00")
		var row []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			row = append(row, strings.ReplaceAll(strings.TrimSpace(cell), "\x00", "|"))
		}
		rows = append(rows, row)
	}
	return rows
}

// fromHTML reads the cells back likewise, and what they sort by.
func fromHTML(t *testing.T, text string) (rows [][]string, values []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader("<div>" + text + "</div>"))
	var cell *strings.Builder
	for {
		token, err := d.Token()
		if err == io.EOF {
			return rows, values
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		switch e := token.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "tr":
				rows = append(rows, nil)
			case "td", "th":
				cell = &strings.Builder{}
				for _, a := range e.Attr {
					if a.Name.Local == "data-value" {
						values = append(values, a.Value)
					}
				}
			}
		case xml.CharData:
			if cell != nil {
				cell.Write(e)
			}
		case xml.EndElement:
			if cell != nil && (e.Name.Local == "td" || e.Name.Local == "th") {
				rows[len(rows)-1] = append(rows[len(rows)-1], strings.TrimSpace(cell.String()))
				cell = nil
			}
		}
	}
}

// Markdown and HTML hold the same cells as the table, each in its row and column, and what HTML sorts by reads back bit for bit. The
// form for terminals has every cell too, whatever its width.
func TestEveryFormHoldsEveryCell(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		table := random(r)
		var want [][]string
		var values []float64
		for _, s := range table.Sections {
			head := []string{"who"}
			for _, c := range s.Columns {
				head = append(head, c.Title())
			}
			want = append(want, head)
			for i, label := range table.Rows {
				row := []string{strings.TrimSpace(label)}
				for _, c := range s.Columns {
					row, values = append(row, strings.TrimSpace(c.Cells[i].Text)), append(values, c.Cells[i].Sort)
				}
				want = append(want, row)
			}
		}
		if got := fromMarkdown(table.Markdown()); !slices.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("Markdown holds\n%q, want\n%q", got, want)
		}
		got, sorts := fromHTML(t, table.HTML())
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("HTML holds\n%q, want\n%q", got, want)
		}
		for i, text := range sorts {
			v, err := strconv.ParseFloat(text, 64)
			if math.IsNaN(values[i]) != (text == "") || !math.IsNaN(values[i]) && (err != nil || v != values[i]) {
				t.Fatalf("cell %d sorts by %q (%v), want %g", i, text, err, values[i])
			}
		}
		for _, width := range []int{30, 90} {
			text := table.Text(width)
			for _, s := range table.Sections {
				for _, c := range s.Columns {
					for _, cell := range c.Cells {
						if !strings.Contains(text, cell.Text) {
							t.Fatalf("%q is not in the %d characters' form\n%s", cell.Text, width, text)
						}
					}
				}
			}
		}
	}
}
