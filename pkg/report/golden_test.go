package report

import (
	"strings"
	"testing"

	"palimpsest/pkg/goldentest"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// What readers see of a small made-up study.
func TestGolden(t *testing.T) {
	a, b := resultstest.WithGaps()
	three, one := study.Group(a), study.Group(b)
	goldentest.Check(t, map[string]string{
		"table.txt":          TextTable(three),
		"table-one-seed.txt": TextTable(one),
		"table.md":           MarkdownTable(three),
		"table.html":         NewTable(three).HTML(),
		"verdict.txt":        strings.Join(Verdict(three), "\n") + "\n",
		"targeted.txt":       strings.Join(TargetedFindings(study.Group(resultstest.TargetedRuns(2))), "\n") + "\n",
		"bpd-scorecard.md":   NewScorecard(study.Group(resultstest.Likely(3, true))).Markdown(),
	})
}
