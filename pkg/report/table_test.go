package report

import (
	"strings"
	"testing"

	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

func TestTableOfMissingCells(t *testing.T) {
	runs := resultstest.MadeUp(2)
	for _, r := range runs {
		for i := range r.Evaluations {
			for j := range r.Evaluations[i].Tasks {
				r.Evaluations[i].Tasks[j].KID = nil
			}
		}
	}
	runs[0].Evaluations[2].Tasks[0].FID = nil // of finetune, first seed
	m := study.Group(runs)[0]
	cells := NewTable([]study.Method{m}).Sections[0].Columns
	if got := cells[0].Cells[0].Text; !strings.HasSuffix(got, " (1 seed)") || strings.Contains(got, "±") {
		t.Errorf("the table shows %q, want it to say that one seed of two measured it", got)
	}
	if got := cells[4].Cells[0].Text; got != "–" {
		t.Errorf("KID shows as %q, want –", got)
	}
}

func TestTableWarns(t *testing.T) {
	runs := resultstest.MadeUp(2)
	if table := TextTable(study.Group(runs)); strings.Contains(table, "NOT COMPARABLE") {
		t.Errorf("equal protocols do not compare:\n%s", table)
	}
	runs[0].Protocol.SamplesPerTask = 99
	if table := TextTable(study.Group(runs)); !strings.Contains(table, "NOT COMPARABLE") {
		t.Error("the table does not say that its rows do not compare")
	}
}

// What is printed for a terminal ends its last line.
func TestTextEndsItsLine(t *testing.T) {
	if text := TextTable(study.Group(resultstest.MadeUp(1))); !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") {
		t.Errorf("the table ends with %q, want one line break", text[max(0, len(text)-10):])
	}
}

func TestTextFits110Columns(t *testing.T) {
	for _, line := range strings.Split(TextTable(study.Group(resultstest.MadeUp(3))), "\n") {
		if n := len([]rune(line)); n > 110 {
			t.Errorf("%d characters: %s", n, line)
		}
	}
}
