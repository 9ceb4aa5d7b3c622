package study

import (
	"strings"
	"testing"

	"palimpsest/pkg/goldentest"
	"palimpsest/pkg/results/resultstest"
)

func TestGolden(t *testing.T) {
	three, _ := resultstest.WithGaps()
	ranking, err := NewRanking(Group(three), FinalOf(FID), "")
	if err != nil {
		t.Fatal(err)
	}
	lambdas, err := BestLambda(resultstest.MadeUpSweep(), "er")
	if err != nil {
		t.Fatal(err)
	}
	disagreements, err := DisagreementSentences(resultstest.Likely(3, true), FinalOf(BPD), FinalOf(FID))
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Check(t, map[string]string{
		"ranking.md":       ranking.Table().Markdown(),
		"lambda-best.md":   lambdas.Table().Markdown(),
		"bpd-disagree.txt": strings.Join(disagreements, "\n") + "\n",
	})
}
