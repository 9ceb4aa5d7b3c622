package figure

import (
	"bytes"
	"encoding/xml"
	"image"
	"image/png"
	"strings"
	"testing"

	"palimpsest/pkg/goldentest"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

func TestScatterWithoutBPDSaysHowToMeasure(t *testing.T) {
	if _, err := AgreementScatter(resultstest.MadeUp(3), study.FinalOf(study.BPD), study.FinalOf(study.FID)); err == nil || !strings.Contains(err.Error(), study.BPDCommand) {
		t.Errorf("%v; want an error that names the command", err)
	}
}

func TestGolden(t *testing.T) {
	a, b := resultstest.WithGaps()
	three, one := study.Group(a), study.Group(b)
	ranking, err := study.NewRanking(three, study.FinalOf(study.FID), "")
	if err != nil {
		t.Fatal(err)
	}
	front, err := Pareto(three, study.FinalOf(study.FID))
	if err != nil {
		t.Fatal(err)
	}
	lambdas, err := study.BestLambda(resultstest.MadeUpSweep(), "er")
	if err != nil {
		t.Fatal(err)
	}
	scatter, err := AgreementScatter(resultstest.Likely(3, true), study.FinalOf(study.BPD), study.FinalOf(study.FID))
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Check(t, map[string]string{
		"ranking.svg":             Ranking(ranking).SVG(),
		"pareto.svg":              front.SVG(),
		"lambda-sweep.svg":        Sweep(lambdas.Sweep).SVG(),
		"lambda-best.svg":         BestLambdas(lambdas).SVG(),
		"heatmap.svg":             Heatmap(one, study.FID, 500).SVG(),
		"forgetting.svg":          ForgettingCurves(three, study.FID).SVG(),
		"average.svg":             AverageCurve(three, study.ClassAccuracy).SVG(),
		"loss.svg":                LossCurve(one).SVG(),
		"cost.svg":                CostQuality(three).SVG(),
		"copies.svg":              CopiesScatter(three).SVG(),
		"forgetting-task.svg":     ForgettingCurve(one, study.FID, 0).SVG(),
		"bpd-ranks.svg":           scatter.SVG(),
		"timesteps-rehearsal.svg": TargetedRehearsal(study.Group(resultstest.TargetedRuns(2))).SVG(),
	})
}

func TestFiguresAreWellFormed(t *testing.T) {
	methods := study.Group(resultstest.MadeUp(2))
	scatter, err := AgreementScatter(resultstest.Likely(3, true), study.FinalOf(study.BPD), study.FinalOf(study.FID))
	if err != nil {
		t.Fatal(err)
	}
	figures := []Figure{scatter, TargetedRehearsal(study.Group(resultstest.TargetedRuns(2))), ForgettingCurves(methods, study.ClassAccuracy), AverageCurve(methods, study.FID), LossCurve(methods), CostQuality(methods),
		CopiesScatter(methods), ForgettingCurve(methods, study.KID, 1), ForgettingCurve(methods, study.KID, 7)}
	for _, m := range study.Metrics() {
		figures = append(figures, Heatmap(methods, m, 700))
	}
	nothing := study.Group(resultstest.MadeUp(1)[:1]) // no loss, no grid, no number: figures say so
	nothing[0].Runs[0].Evaluations, nothing[0].Runs[0].Losses = nil, nil
	figures = append(figures, ForgettingCurves(nothing, study.FID), AverageCurve(nothing, study.FID), LossCurve(nothing), CostQuality(nothing),
		CopiesScatter(nothing), Heatmap(nothing, study.FID, 700))
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
		} else if _, small := img.(*image.Paletted); !small {
			t.Errorf("%s: the PNG is a %T, three times as large as one of 256 colours", f.Title, img)
		}
	}
	if _, err := scatter.PNG(0); err == nil {
		t.Error("a PNG at scale 0 should be refused")
	}
}
