package report

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"strings"
	"testing"

	"palimpsest/pkg/goldentest"
	"palimpsest/pkg/results"
)

// withGaps is madeUp with three seeds, of which one lacks a number, and with one seed, that lacks numbers too.
func withGaps() (three, one []*results.Run) {
	three, one = madeUp(3), madeUp(1)
	for _, r := range three {
		if r.Strategy.Label == "er λ=0.3" && r.Seed == 0 {
			r.Evaluations[1].Tasks[0].FID = nil
		}
	}
	for _, r := range one {
		if r.Strategy.Label == "finetune" { // a cell no seed has
			r.Evaluations[1].Tasks[2].FID = nil
		}
	}
	return three, one
}

// What readers see of a small made-up study.
func TestGolden(t *testing.T) {
	a, b := withGaps()
	three, one := Group(a), Group(b)
	goldentest.Check(t, map[string]string{
		"table.txt":          TextTable(three),
		"table-one-seed.txt": TextTable(one),
		"table.md":           MarkdownTable(three),
		"table.html":         HTMLTable(three),
		"verdict.txt":        strings.Join(Verdict(three), "\n") + "\n",
		"targeted.txt":       strings.Join(TargetedFindings(Group(targetedRuns(2))), "\n") + "\n",
		"bpd-scorecard.md":   NewScorecard(Group(likely(3, true))).Markdown(),
	})
}

func TestGoldenStudy(t *testing.T) {
	three, _ := withGaps()
	ranking, err := NewRanking(Group(three), FinalOf(FID), "")
	if err != nil {
		t.Fatal(err)
	}
	lambdas, err := BestLambda(madeUpSweep(), "er")
	if err != nil {
		t.Fatal(err)
	}
	disagreements, err := DisagreementSentences(likely(3, true), FinalOf(BPD), FinalOf(FID))
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Check(t, map[string]string{
		"ranking.md":       ranking.Table().Markdown(),
		"lambda-best.md":   lambdas.Table().Markdown(),
		"bpd-disagree.txt": strings.Join(disagreements, "\n") + "\n",
	})
}

func TestGoldenFigures(t *testing.T) {
	a, b := withGaps()
	three, one := Group(a), Group(b)
	ranking, err := NewRanking(three, FinalOf(FID), "")
	if err != nil {
		t.Fatal(err)
	}
	front, err := Pareto(three, FinalOf(FID))
	if err != nil {
		t.Fatal(err)
	}
	lambdas, err := BestLambda(madeUpSweep(), "er")
	if err != nil {
		t.Fatal(err)
	}
	scatter, err := AgreementScatter(likely(3, true), FinalOf(BPD), FinalOf(FID))
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Check(t, map[string]string{
		"ranking.svg":             RankingFigure(ranking).SVG(),
		"pareto.svg":              front.SVG(),
		"lambda-sweep.svg":        SweepFigure(lambdas.Sweep).SVG(),
		"lambda-best.svg":         BestLambdasFigure(lambdas).SVG(),
		"heatmap.svg":             Heatmap(one, FID, 500).SVG(),
		"forgetting.svg":          ForgettingCurves(three, FID).SVG(),
		"average.svg":             AverageCurve(three, ClassAccuracy).SVG(),
		"loss.svg":                LossCurve(one).SVG(),
		"cost.svg":                CostQuality(three).SVG(),
		"copies.svg":              CopiesScatter(three).SVG(),
		"forgetting-task.svg":     ForgettingCurve(one, FID, 0).SVG(),
		"bpd-ranks.svg":           scatter.SVG(),
		"timesteps-rehearsal.svg": TargetedRehearsal(Group(targetedRuns(2))).SVG(),
	})
}

func TestTextFits110Columns(t *testing.T) {
	for _, line := range strings.Split(TextTable(Group(madeUp(3))), "\n") {
		if n := len([]rune(line)); n > 110 {
			t.Errorf("%d characters: %s", n, line)
		}
	}
}

func TestFiguresAreWellFormed(t *testing.T) {
	methods := Group(madeUp(2))
	scatter, err := AgreementScatter(likely(3, true), FinalOf(BPD), FinalOf(FID))
	if err != nil {
		t.Fatal(err)
	}
	figures := []Figure{scatter, TargetedRehearsal(Group(targetedRuns(2))), ForgettingCurves(methods, ClassAccuracy), AverageCurve(methods, FID), LossCurve(methods), CostQuality(methods),
		CopiesScatter(methods), ForgettingCurve(methods, KID, 1), ForgettingCurve(methods, KID, 7)}
	for _, m := range Metrics() {
		figures = append(figures, Heatmap(methods, m, 700))
	}
	nothing := Group(madeUp(1)[:1]) // no loss, no grid, no number: figures say so
	nothing[0].Runs[0].Evaluations, nothing[0].Runs[0].Losses = nil, nil
	figures = append(figures, ForgettingCurves(nothing, FID), AverageCurve(nothing, FID), LossCurve(nothing), CostQuality(nothing),
		CopiesScatter(nothing), Heatmap(nothing, FID, 700))
	for _, f := range figures {
		var any struct{}
		for _, text := range []string{f.SVG(), f.HTML()} {
			if err := xml.Unmarshal([]byte(text), &any); err != nil {
				t.Errorf("%s: %v", f.Title, err)
			}
			if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
				t.Errorf("%s: a coordinate is not a number", f.Title)
			}
		}
		data, err := f.PNG(1)
		if err != nil {
			t.Errorf("%s: %v", f.Title, err)
			continue
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", f.Title, err)
		} else if got, want := img.Bounds().Dx(), int(f.Width+0.5); got < want-1 || got > want+1 {
			t.Errorf("%s: %d dots wide at scale 1, want %d", f.Title, got, want)
		}
	}
	if _, err := scatter.PNG(0); err == nil {
		t.Error("a PNG at scale 0 should be refused")
	}
}
