package figure

import (
	"bytes"
	"encoding/xml"
	"image"
	"image/png"
	"maps"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/figure/figuretest"
	"palimpsest/pkg/goldentest"
	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

func TestScatterWithoutBPDSaysHowToMeasure(t *testing.T) {
	if _, err := AgreementScatter(resultstest.MadeUp(3), study.FinalOf(study.BPD), study.FinalOf(study.FID)); err == nil || !strings.Contains(err.Error(), study.BPDCommand) {
		t.Errorf("%v; want an error that names the command", err)
	}
}

// drawn are the figures of made-up studies. A new figure has a line here, and both tests below look at it.
func drawn(t *testing.T) map[string]Figure {
	t.Helper()
	return drawnAs(t, "")
}

// drawnAs are the figures where the label of each method that has settings ends in more.
func drawnAs(t *testing.T, more string) map[string]Figure {
	t.Helper()
	longer := func(runs []*results.Run) []*results.Run {
		for _, r := range runs {
			if r.Strategy.Name != study.Finetune && r.Strategy.Name != study.Joint {
				r.Strategy.Label += more
			}
		}
		return runs
	}
	a, b := resultstest.WithGaps()
	three, one := study.Group(longer(a)), study.Group(longer(b))
	reference := ""
	if more != "" {
		reference = "er λ=1" + more
	}
	ranking, err := study.NewRanking(three, study.FinalOf(study.FID), reference)
	if err != nil {
		t.Fatal(err)
	}
	front, err := Pareto(three, study.FinalOf(study.FID))
	if err != nil {
		t.Fatal(err)
	}
	lambdas, err := study.BestLambda(longer(resultstest.MadeUpSweep()), "er")
	if err != nil {
		t.Fatal(err)
	}
	scatter, err := AgreementScatter(longer(resultstest.Likely(3, true)), study.FinalOf(study.BPD), study.FinalOf(study.FID))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]Figure{
		"ranking":             Ranking(ranking),
		"pareto":              front,
		"lambda-sweep":        Sweep(lambdas.Sweep),
		"lambda-best":         BestLambdas(lambdas),
		"heatmap":             Heatmap(one, study.FID, 500),
		"forgetting":          ForgettingCurves(three, study.FID),
		"average":             AverageCurve(three, study.ClassAccuracy),
		"loss":                LossCurve(one),
		"cost":                CostQuality(three),
		"copies":              CopiesScatter(three),
		"forgetting-task":     ForgettingCurve(one, study.FID, 0),
		"bpd-ranks":           scatter,
		"timesteps-rehearsal": TargetedRehearsal(study.Group(longer(resultstest.TargetedRuns(2)))),
	}
}

func TestGolden(t *testing.T) {
	texts := map[string]string{}
	for name, f := range drawn(t) {
		texts[name+".svg"] = f.SVG()
	}
	goldentest.Check(t, texts)
}

// Nothing that is written leaves a figure, however long the names are.
func TestWordsStayInside(t *testing.T) {
	for _, more := range []string{"", " buffer=20 classes_per_task=1", strings.Repeat(" buffer=20 classes_per_task=1", 8), strings.Repeat("é", 150)} {
		for name, f := range drawnAs(t, more) {
			for _, out := range figuretest.Read(t, f.SVG()).Outside() {
				t.Errorf("%s of methods that end in %q: %s", name, more, out)
			}
		}
	}
	runs := resultstest.MadeUpSweep()
	for _, r := range resultstest.MadeUpSweep() { // the same for longer
		r.Cost.Steps, r.Strategy.Label, r.Config["variant"] = 2250, r.Strategy.Label+" longer", "longer"
		runs = append(runs, r)
	}
	lambdas, err := study.BestLambda(runs, "er")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []Figure{Sweep(lambdas.Sweep), BestLambdas(lambdas), Absent("title", strings.Repeat("why it is absent ", 9))} {
		for _, out := range figuretest.Read(t, f.SVG()).Outside() {
			t.Errorf("%s: %s", f.Title, out)
		}
	}
}

func TestFiguresAreWellFormed(t *testing.T) {
	methods := study.Group(resultstest.MadeUp(2))
	figures := slices.Collect(maps.Values(drawn(t)))
	figures = append(figures, ForgettingCurves(methods, study.ClassAccuracy), ForgettingCurve(methods, study.KID, 1), ForgettingCurve(methods, study.KID, 7))
	for _, m := range study.Metrics() {
		figures = append(figures, Heatmap(methods, m, 700))
	}
	nothing := study.Group(resultstest.MadeUp(1)[:1]) // no loss, no sheet, no number: figures say so
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
	if _, err := figures[0].PNG(0); err == nil {
		t.Error("a PNG at scale 0 should be refused")
	}
}
