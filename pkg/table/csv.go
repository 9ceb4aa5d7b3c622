package table

import (
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// CSV is the table with a row a method: of each column the number in full and, "as shown", the cell with its spread. What was not
// measured is empty.
func (t *Table) CSV() string {
	t.check()
	head := []string{t.head()}
	for _, s := range t.Sections {
		for _, c := range s.Columns {
			name := c.Head
			if c.Unit != "" {
				name += ", " + c.Unit
			}
			head = append(head, name, name+", as shown")
		}
	}
	rows := [][]string{head}
	for i, label := range t.Rows {
		row := []string{label}
		for _, s := range t.Sections {
			for _, c := range s.Columns {
				number := ""
				if v := c.Cells[i].Sort; !math.IsNaN(v) {
					number = strconv.FormatFloat(v, 'g', -1, 64)
				}
				row = append(row, number, c.Cells[i].Text)
			}
		}
		rows = append(rows, row)
	}
	return CSV(rows)
}

// CSV writes rows as RFC 4180 has them.
func CSV(rows [][]string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.WriteAll(rows) // into memory, with the usual comma: it cannot fail
	return b.String()
}

// Download is a link in HTML that saves text, which it holds, as a CSV file of the given name.
func Download(file, words, text string) string {
	return fmt.Sprintf(`<a download="%s" href="data:text/csv;charset=utf-8;base64,%s">%s</a>`,
		html.EscapeString(file), base64.StdEncoding.EncodeToString([]byte(text)), html.EscapeString(words))
}

// Below is what stands below a table, in HTML: what its columns mean, where they say so, and its numbers to save.
func (t *Table) Below() string {
	said := t.Glossary()
	if said != "" {
		said = "<details><summary>What the columns mean</summary>\n" + said + "</details>\n"
	}
	return said + "<p class=\"meta\">" + Download("table.csv", "These numbers as CSV", t.CSV()) + "</p>\n"
}
