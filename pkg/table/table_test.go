package table

import (
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// wide is a table of so many columns and three rows, with texts that Markdown and HTML treat in their own ways.
func wide(columns int) *Table {
	t := &Table{Rows: []string{"a|b", "λ=0.3 <x>", "joint"}, Notes: []string{"A note of several words & a sign."}, Alarms: []string{"DIVERGED: joint."}, Warnings: []string{"the data differ."}}
	s := Section{Title: "Numbers"}
	for k := range columns {
		s.Columns = append(s.Columns, Column{Head: "column " + strings.Repeat("x", k%5), Unit: "%", Arrow: "↓", Long: "What \"it\" means.",
			Cells: []Cell{{Text: "1.0 ± 0.1", Sort: 1}, {Text: "–", Sort: math.NaN()}, {Text: "12|3", Sort: 12.5}}})
	}
	t.Sections = []Section{s}
	return t
}

// Text keeps to its width, repeats the labels where columns go on below, and loses no cell.
func TestTextKeepsItsWidth(t *testing.T) {
	for _, width := range []int{40, 80, 110} {
		for _, columns := range []int{1, 4, 17} {
			text := wide(columns).Text(width)
			for line := range strings.Lines(text) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
					t.Errorf("%d characters of %d: %s", n, width, line)
				}
			}
			if got := strings.Count(text, "1.0 ± 0.1"); got != columns {
				t.Errorf("%d of %d columns at a width of %d", got, columns, width)
			}
			if labels, heads := strings.Count(text, "\na|b"), strings.Count(text, "\nstrategy"); labels != heads || labels < 1 {
				t.Errorf("%d rows of labels below %d heads", labels, heads)
			}
		}
	}
	if got := wide(1).String(); strings.HasSuffix(got, "\n") || !strings.Contains(got, "NOT COMPARABLE: the data differ.") {
		t.Errorf("the table ends so: %q", got)
	}
}

// A column whose labels alone pass the width is still written.
func TestTextOfNarrowTerminal(t *testing.T) {
	if text := wide(3).Text(5); strings.Count(text, "12|3") != 3 {
		t.Errorf("columns are lost:\n%s", text)
	}
}

// A | in a cell or a label does not end the cell: every line of a Markdown table has as many bars as its head.
func TestMarkdownCells(t *testing.T) {
	text := wide(4).Markdown()
	bars := func(line string) int { return strings.Count(line, "|") - strings.Count(line, `\|`) }
	rows := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "|") {
			if rows++; bars(line) != 6 {
				t.Errorf("%d bars, want 6: %s", bars(line), line)
			}
		}
	}
	if rows != 5 || !strings.Contains(text, `| a\|b |`) || !strings.Contains(text, "- DIVERGED: joint.\n- NOT COMPARABLE: the data differ.\n- ↓ lower is better") {
		t.Errorf("%d rows:\n%s", rows, text)
	}
}

// HTML is well-formed whatever texts hold; a cell that is no number has no value to sort by.
func TestHTMLIsWellFormed(t *testing.T) {
	for _, text := range []string{wide(3).HTML(), wide(3).Glossary()} {
		d := xml.NewDecoder(strings.NewReader("<div>" + text + "</div>"))
		d.Entity = xml.HTMLEntity
		for {
			if token, err := d.Token(); err != nil {
				t.Fatalf("%v:\n%s", err, text)
			} else if end, ok := token.(xml.EndElement); ok && end.Name.Local == "div" && d.InputOffset() == int64(len(text)+11) {
				break
			}
		}
	}
	text := wide(1).HTML()
	for _, want := range []string{`<td data-value="">–</td>`, `<td data-value="12.5">12|3</td>`, "λ=0.3 &lt;x&gt;", "several words &amp; a sign"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
}

// CSV has numbers in full beside what is shown, and an empty field where there is none.
func TestCSV(t *testing.T) {
	table := &Table{Rows: []string{"a, b", "c"}, Sections: []Section{{Columns: []Column{
		{Head: "FID", Arrow: "↓", Cells: []Cell{{"12.5 ± 1.0", 12.5123}, {"–", math.NaN()}}},
		{Head: "stored", Unit: "MiB", Cells: []Cell{{"0", 0}, {"7", 7}}},
	}}}}
	const want = "strategy,FID,\"FID, as shown\",\"stored, MiB\",\"stored, MiB, as shown\"\n" +
		"\"a, b\",12.5123,12.5 ± 1.0,0,0\nc,,–,7,7\n"
	if got := table.CSV(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	link := Download("a.csv", "save <it>", "x")
	if want := `<a download="a.csv" href="data:text/csv;charset=utf-8;base64,eA==">save &lt;it&gt;</a>`; link != want {
		t.Errorf("got %s, want %s", link, want)
	}
	if below := table.Below(); strings.Contains(below, "What the columns mean") {
		t.Errorf("no column says what it means, but below stands %s", below)
	}
}

// Heads are those of the table, and its legend explains arrows where there are some.
func TestHeads(t *testing.T) {
	table := wide(1)
	table.Head, table.Sections[0].Columns[0].Arrow = "who", ""
	if text := table.Text(80); !strings.Contains(text, "\nwho ") || strings.Contains(text, "lower is better") {
		t.Errorf("without arrows:\n%s", text)
	}
	for want, c := range map[string]Column{"FID\u00a0↓": {Head: "FID", Arrow: "↓"}, "accuracy, %\u00a0↑": {Head: "accuracy", Unit: "%", Arrow: "↑"}, "stored, MiB": {Head: "stored", Unit: "MiB"}} {
		if got := c.Title(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A section of a file is checked line by line, and written only where it differs.
func TestSections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	before := "# Page\n<!-- table:a -->\nold\n<!-- /table:a -->\nend\n"
	if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := CheckSection(path, "a", "new\n"); err == nil || !strings.Contains(err.Error(), "page.md:3: table a is not that of the stored runs:\nfound  old\n") {
		t.Errorf("%v", err)
	}
	for range 2 {
		if err := WriteSection(path, "a", "new\n"); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if want := "# Page\n<!-- table:a -->\n\nnew\n\n<!-- /table:a -->\nend\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v; want %q", text, err, want)
	}
	if err := CheckSection(path, "a", "new\n"); err != nil {
		t.Error(err)
	}
	if err := CheckSection(path, "a", "new\nand more\n"); err == nil {
		t.Error("a longer table passes")
	}
	if err := WriteSection(path, "b", ""); err == nil || !strings.Contains(err.Error(), "need the lines <!-- table:b --> and <!-- /table:b -->") {
		t.Errorf("a section that there is not: %v", err)
	}
	if err := WriteSection(path+"x", "a", ""); err == nil {
		t.Error("a file that there is not is written")
	}
}

// A column without a cell for each row is a mistake, told as one.
func TestColumnsHaveEveryRow(t *testing.T) {
	short := &Table{Rows: []string{"a", "b"}, Sections: []Section{{Title: "numbers", Columns: []Column{{Head: "x", Cells: []Cell{{Text: "1"}}}}}}}
	for name, write := range map[string]func(){"text": func() { short.Text(80) }, "Markdown": func() { short.Markdown() }, "HTML": func() { short.HTML() }, "CSV": func() { short.CSV() }} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, `column "x" of "numbers" has 1 cells for 2 rows`) {
					t.Errorf("%s panics with %q", name, got)
				}
			}()
			write()
		}()
	}
}
