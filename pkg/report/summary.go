package report

import (
	"slices"

	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
)

// NewSummary is [NewTable] in short, for a page that a newcomer reads first: quality, forgetting and what remembering took, with
// the notes that the numbers need.
func NewSummary(methods []study.Method) *table.Table {
	t := NewTable(methods)
	var kept []table.Column
	for _, section := range t.Sections {
		for _, c := range section.Columns {
			switch c.Head {
			case "FID", "FID forgetting", "last task FID", "accuracy", "accuracy lost", "stored", "training":
				kept = append(kept, c)
			}
		}
	}
	t.Sections = []table.Section{{Title: "Quality, forgetting and price", Columns: kept}}
	// What qualifies the columns left out goes with them.
	copies := study.CopyNotes(methods)
	t.Notes = slices.DeleteFunc(Notes(methods), func(note string) bool { return slices.Contains(copies, note) })
	return t
}
