package table

import (
	"strings"
)

// Markdown writes one Markdown table a section, and the notes below as a list.
func (t *Table) Markdown() string {
	t.check()
	var b strings.Builder
	for _, section := range t.Sections {
		b.WriteString("**" + section.Title + "**\n\n| " + Escape(t.head()) + " |")
		for _, c := range section.Columns {
			b.WriteString(" " + Escape(c.Title()) + " |")
		}
		b.WriteString("\n|---|" + strings.Repeat("--:|", len(section.Columns)) + "\n")
		for i, r := range t.Rows {
			b.WriteString("| " + Escape(r) + " |")
			for _, c := range section.Columns {
				b.WriteString(" " + Escape(c.Cells[i].Text) + " |")
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	for _, n := range t.notes() {
		b.WriteString("- " + n + "\n")
	}
	return b.String()
}

// Escape keeps text from ending its cell.
func Escape(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
