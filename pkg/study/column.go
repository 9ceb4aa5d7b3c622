package study

import (
	"palimpsest/pkg/table"
)

// StatColumn is a column of numbers in one unit, with the decimals that show them, within least and most.
func StatColumn(head, arrow, unit, long string, least, most int, values []Stat) table.Column {
	c := table.Column{Head: head, Unit: unit, Arrow: arrow, Long: long}
	decimals := DecimalsFor(values, least, most)
	for _, s := range values {
		c.Cells = append(c.Cells, table.Cell{Text: s.Format(decimals), Sort: s.Mean})
	}
	return c
}
