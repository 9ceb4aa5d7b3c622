package report

import (
	"strings"
)

// Markdown writes one Markdown table a section, and the notes below as a list.
func (t *Table) Markdown() string {
	var b strings.Builder
	for _, section := range t.Sections {
		b.WriteString("**" + section.Title + "**\n\n| " + cell(t.head()) + " |")
		for _, c := range section.Columns {
			b.WriteString(" " + cell(c.Title()) + " |")
		}
		b.WriteString("\n|---|" + strings.Repeat("--:|", len(section.Columns)) + "\n")
		for i, r := range t.Rows {
			b.WriteString("| " + cell(r) + " |")
			for _, c := range section.Columns {
				b.WriteString(" " + cell(c.Cells[i].Text) + " |")
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

// cell keeps text from ending its cell.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
