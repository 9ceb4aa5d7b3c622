package report

import (
	"github.com/pkg/errors"

	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
)

// TextTable is the table of the methods for a terminal of 110 columns.
func TextTable(methods []study.Method) string { return NewTable(methods).String() }

// MarkdownTable is the table of the methods in Markdown.
func MarkdownTable(methods []study.Method) string { return NewTable(methods).Markdown() }

// HTMLTable is the table of the methods as an HTML fragment.
func HTMLTable(methods []study.Method) string { return NewTable(methods).HTML() }

// WriteTable is [table.WriteSection] of the table of the runs.
func WriteTable(path, name string, runs []*results.Run) error {
	if len(runs) == 0 {
		return errors.Errorf("%s: no runs to make table %s of", path, name)
	}
	return table.WriteSection(path, name, MarkdownTable(study.Group(runs)))
}

// CheckTable is [table.CheckSection] of the table of the runs.
func CheckTable(path, name string, runs []*results.Run) error {
	if len(runs) == 0 {
		return errors.Errorf("%s: no runs to make table %s of", path, name)
	}
	return table.CheckSection(path, name, MarkdownTable(study.Group(runs)))
}
