package table

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"strings"
)

// HTML writes the table as a fragment without styles of its own: one <table> a section and a list of notes. Cells
// carry their value in data-value, so that a script can sort by it; heads carry their meaning as a tool tip. A table that is wider
// than the page scrolls, by the keyboard too.
func (t *Table) HTML() string {
	t.check()
	var b strings.Builder
	for _, section := range t.Sections {
		fmt.Fprintf(&b, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"%s\"><table class=\"numbers\"><caption>%s</caption>\n<thead><tr><th scope=\"col\">%s</th>",
			html.EscapeString(cmp.Or(section.Title, "table")), html.EscapeString(section.Title), html.EscapeString(t.head()))
		for _, c := range section.Columns {
			fmt.Fprintf(&b, "<th scope=\"col\" title=\"%s\">%s</th>", html.EscapeString(c.Long), html.EscapeString(c.Title()))
		}
		b.WriteString("</tr></thead>\n<tbody>\n")
		for i, r := range t.Rows {
			fmt.Fprintf(&b, "<tr><th scope=\"row\">%s</th>", html.EscapeString(r))
			for _, c := range section.Columns {
				value := ""
				if !math.IsNaN(c.Cells[i].Sort) {
					value = fmt.Sprintf("%g", c.Cells[i].Sort)
				}
				fmt.Fprintf(&b, "<td data-value=\"%s\">%s</td>", value, html.EscapeString(c.Cells[i].Text))
			}
			b.WriteString("</tr>\n")
		}
		b.WriteString("</tbody></table></div>\n")
	}
	b.WriteString("<ul class=\"notes\">\n")
	for _, a := range t.Alarms {
		fmt.Fprintf(&b, "<li class=\"warning\"><strong>%s</strong></li>\n", html.EscapeString(a))
	}
	for _, w := range t.Warnings {
		fmt.Fprintf(&b, "<li class=\"warning\"><strong>Not comparable:</strong> %s</li>\n", html.EscapeString(w))
	}
	for _, n := range append([]string{t.legend()}, t.Notes...) {
		fmt.Fprintf(&b, "<li>%s</li>\n", html.EscapeString(n))
	}
	b.WriteString("</ul>\n" + t.Below())
	return b.String()
}

// Glossary lists the columns that say what they mean, as an HTML definition list; "" where none does.
func (t *Table) Glossary() string {
	var b strings.Builder
	for _, section := range t.Sections {
		for _, c := range section.Columns {
			if c.Long != "" {
				fmt.Fprintf(&b, "<dt>%s</dt><dd>%s</dd>\n", html.EscapeString(c.Title()), html.EscapeString(c.Long))
			}
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "<dl class=\"glossary\">\n" + b.String() + "</dl>\n"
}
