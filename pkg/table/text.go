package table

import (
	"strings"
	"unicode/utf8"
)

// Text writes the table for a terminal, no line wider than width characters if labels allow it. Columns that do
// not fit are continued below, with the labels again.
func (t *Table) Text(width int) string {
	t.check()
	const gap = "  "
	labels := utf8.RuneCountInString(t.head())
	for _, r := range t.Rows {
		labels = max(labels, utf8.RuneCountInString(r))
	}
	var b strings.Builder
	for _, section := range t.Sections {
		b.WriteString(section.Title + "\n")
		for columns := section.Columns; len(columns) > 0; {
			var widths []int
			total := labels
			for _, c := range columns {
				w := c.width() + len(gap)
				if len(widths) > 0 && total+w > width {
					break
				}
				total += w
				widths = append(widths, w)
			}
			shown := columns[:len(widths)]
			columns = columns[len(widths):]
			b.WriteString(strings.Repeat("─", total) + "\n")
			line(&b, t.head(), labels, widths, func(k int) string { return shown[k].head(0) })
			line(&b, "", labels, widths, func(k int) string { return shown[k].head(1) })
			b.WriteString(strings.Repeat("─", total) + "\n")
			for i, r := range t.Rows {
				line(&b, r, labels, widths, func(k int) string { return shown[k].Cells[i].Text })
			}
		}
		b.WriteString("\n")
	}
	for _, n := range t.notes() {
		b.WriteString(wrap(n, width) + "\n")
	}
	return b.String()
}

// line writes one row with right-aligned cells.
func line(b *strings.Builder, label string, labels int, widths []int, cell func(int) string) {
	text := pad(label, labels, false)
	for k, w := range widths {
		text += pad(cell(k), w, true)
	}
	b.WriteString(strings.TrimRight(text, " ") + "\n")
}

// pad fills text with blanks to width characters.
func pad(text string, width int, right bool) string {
	blanks := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
	if right {
		return blanks + text
	}
	return text + blanks
}

// head returns line 0 or 1 of the column's title, broken so that neither is much longer than the other.
func (c Column) head(k int) string {
	first, second := "", c.Title()
	for i, r := range c.Title() {
		if r == ' ' && (first == "" || i <= len(c.Title())/2+1) && len(c.Title()) > 9 {
			first, second = c.Title()[:i], c.Title()[i+1:]
		}
	}
	if first == "" { // a title of one line is in the first
		first, second = second, ""
	}
	return strings.ReplaceAll([2]string{first, second}[k], "\u00a0", " ")
}

// width is that of the column's widest cell.
func (c Column) width() int {
	w := max(utf8.RuneCountInString(c.head(0)), utf8.RuneCountInString(c.head(1)))
	for _, cell := range c.Cells {
		w = max(w, utf8.RuneCountInString(cell.Text))
	}
	return w
}

// wrap breaks a paragraph into lines of at most width characters, all but the first indented.
func wrap(text string, width int) string {
	var b strings.Builder
	n := 0
	for _, word := range strings.Fields(text) {
		w := utf8.RuneCountInString(word)
		switch {
		case n == 0:
		case n+1+w > width:
			b.WriteString("\n  ")
			n = 2
		default:
			b.WriteString(" ")
			n++
		}
		b.WriteString(word)
		n += w
	}
	return b.String()
}
