package report

import (
	"strings"
	"testing"

	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

func TestTargetedFindingsOfNothing(t *testing.T) {
	if got := TargetedFindings(study.Group(resultstest.MadeUp(1))); len(got) != 1 || !strings.Contains(got[0], "cannot be said") {
		t.Errorf("without targeted runs: %q", got)
	}
}
