package table

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pkg/errors"
)

// Table is the comparison of strategies: sections of columns over the same rows, and the notes that make its
// numbers readable. [Table.Text], [Table.Markdown], [Table.HTML] and [Table.CSV] write it; they panic unless every column has a cell
// for every row.
type Table struct {
	Head     string   // what the rows are; "" for "strategy"
	Rows     []string // labels of the methods
	Sections []Section
	Notes    []string // how the numbers were measured
	Alarms   []string // which rows are of runs that diverged or collapsed
	Warnings []string // why rows must not be compared, if so
}

// Section is a set of columns that belong together.
type Section struct {
	Title   string
	Columns []Column
}

// Column is one number for every row.
type Column struct {
	Head  string // "FID"
	Unit  string // "", "%", "MiB"
	Arrow string // "↓" lower is better, "↑" higher is better, "" neither
	Long  string // what it means, one sentence
	Cells []Cell
}

// Cell is one number of the table.
type Cell struct {
	Text string // "12.3 ± 0.4", "–"
	Sort float64
}

// Title is the column's head with its unit and arrow, "class accuracy, % ↑".
func (c Column) Title() string {
	text := c.Head
	if c.Unit != "" {
		text += ", " + c.Unit
	}
	if c.Arrow != "" {
		text += "\u00a0" + c.Arrow // never alone on a line
	}
	return text
}

// legend says what the arrows of the heads mean, if there are any.
func (t *Table) legend() string {
	const dash = "– not measured or does not apply."
	for _, s := range t.Sections {
		for _, c := range s.Columns {
			if c.Arrow != "" {
				return "↓ lower is better, ↑ higher is better, " + dash
			}
		}
	}
	return dash
}

// notes are the table's warnings, legend and notes, which follow the table in every form.
func (t *Table) notes() []string {
	out := slices.Clone(t.Alarms)
	for _, w := range t.Warnings {
		out = append(out, "NOT COMPARABLE: "+w)
	}
	return append(append(out, t.legend()), t.Notes...)
}

// check panics where a column has not a cell for every row.
func (t *Table) check() {
	for _, s := range t.Sections {
		for _, c := range s.Columns {
			if len(c.Cells) != len(t.Rows) {
				panic(errors.Errorf("table: column %q of %q has %d cells for %d rows; need one each", c.Head, s.Title, len(c.Cells), len(t.Rows)))
			}
		}
	}
}

// head is the title of the rows' labels.
func (t *Table) head() string { return cmp.Or(t.Head, "strategy") }

// String is the table for a terminal of 110 columns.
func (t *Table) String() string { return strings.TrimRight(t.Text(110), "\n") }
