package report

import (
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

func TestScorecardWithoutBPDSaysHowToMeasure(t *testing.T) {
	text := NewScorecard(study.Group(resultstest.MadeUp(3))).Markdown()
	if !strings.Contains(text, "Likelihoods were not measured: `go run . bench --set bpd.images=40`") || strings.Contains(text, "NaN") {
		t.Errorf("the scorecard without likelihoods is\n%s", text)
	}
}

func TestBPDIsAColumnOnlyWhereMeasured(t *testing.T) {
	if text := TextTable(study.Group(resultstest.MadeUp(2))); strings.Contains(text, "BPD") {
		t.Error("the table speaks of BPD, which no run measured")
	}
	runs := resultstest.Likely(2, false)
	table := NewTable(study.Group(runs))
	text := table.Text(110)
	for _, want := range []string{"Likelihood", "BPD forgetting,\n", "T = 100", "reverse variance\n  fixed-large"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	if len(table.Warnings) > 0 {
		t.Errorf("equal protocols give %q", table.Warnings)
	}
	runs[0].Protocol.BPD = &results.BPDProtocol{Images: 40, Terms: 9, T: 100, Variance: "fixed-small", Clip: true, Edges: []int{1, 10, 30, 60, 100}}
	if w := strings.Join(NewTable(study.Group(runs)).Warnings, "\n"); !strings.Contains(w, "the reverse variance differs between rows: fixed-small and fixed-large") {
		t.Errorf("another variance gives %q", w)
	}
}
