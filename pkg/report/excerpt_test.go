package report

import (
	"strings"
	"testing"

	"palimpsest/pkg/study"
)

// Every part of a report can be printed and written into a Markdown file by its name.
func TestReportParts(t *testing.T) {
	set, err := study.Open("../../notebooks/results/quick")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ExcerptOf(nil, "table", "er", ""); err == nil || !strings.Contains(err.Error(), "no study") {
		t.Errorf("a part of no study: %v", err)
	}
	if s := NewSummary(nil).Text(80); !strings.Contains(s, "not measured") {
		t.Errorf("a summary of no methods: %q", s)
	}
	for name, want := range map[string]string{
		"table":      "FID forgetting",
		"summary":    "Quality, forgetting and price",
		"scorecard":  "What the samples say",
		"intervals":  "mean rank",
		"pareto":     "no other that is both cheaper and better",
		"lambda":     "Is a reduced λ better than λ = 1?",
		"benchmarks": "FID forgetting, by benchmark",
		"ledger":     "verified against",
	} {
		part, err := ExcerptOf(set, name, "er", "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !strings.Contains(part.Markdown, want) || !strings.Contains(strings.Join(strings.Fields(part.Text), " "), strings.Fields(want)[0]) {
			t.Errorf("%s lacks %q:\n%s", name, want, part.Markdown)
		}
	}
	if _, err := ExcerptOf(set, "interval", "er", ""); err == nil || !strings.Contains(err.Error(), "intervals") {
		t.Errorf("an unknown part gives %v; want the nearest one named", err)
	}
	if _, err := ExcerptOf(set, "intervals", "er", "er λ=7"); err == nil || !strings.Contains(err.Error(), "er λ=0.3") {
		t.Errorf("an unknown reference gives %v; want those there are", err)
	}
}
