package report

import (
	"bytes"
	"encoding/xml"
	"flag"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew; look at them before committing")

// TestGolden holds what readers see of a small made-up study: go test ./pkg/report -run Golden -update
func TestGolden(t *testing.T) {
	three, one := Group(madeUp(3)), Group(madeUp(1))
	three[1].Runs[0].Evaluations[1].Tasks[0].FID = nil // one seed of three lacks a cell
	for _, r := range one[0].Runs {                    // a cell no seed has
		r.Evaluations[1].Tasks[2].FID = nil
	}
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
	for name, got := range map[string]string{
		"ranking.svg":         ranking.Figure().SVG(),
		"ranking.md":          ranking.Table().Markdown(),
		"pareto.svg":          front.SVG(),
		"lambda-sweep.svg":    lambdas.Sweep.Figure().SVG(),
		"lambda-best.svg":     lambdas.Figure().SVG(),
		"lambda-best.md":      lambdas.Table().Markdown(),
		"table.txt":           TextTable(three),
		"table-one-seed.txt":  TextTable(one),
		"table.md":            MarkdownTable(three),
		"table.html":          HTMLTable(three),
		"verdict.txt":         strings.Join(Verdict(three), "\n") + "\n",
		"heatmap.svg":         Heatmap(one, FID, 500).SVG(),
		"forgetting.svg":      ForgettingCurves(three, FID).SVG(),
		"average.svg":         AverageCurve(three, ClassAccuracy).SVG(),
		"loss.svg":            LossCurve(one).SVG(),
		"cost.svg":            CostQuality(three).SVG(),
		"copies.svg":          CopiesScatter(three).SVG(),
		"forgetting-task.svg": ForgettingCurve(one, FID, 0).SVG(),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			a, b := strings.Split(got, "\n"), strings.Split(string(want), "\n")
			for i := range max(len(a), len(b)) {
				switch {
				case i >= len(a) || i >= len(b):
					t.Fatalf("%d lines, want %d as in %s", len(a), len(b), path)
				case a[i] != b[i]:
					t.Fatalf("line %d is\n%s\nwant, as in %s,\n%s", i+1, a[i], path, b[i])
				}
			}
		})
	}
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
	figures := []Figure{ForgettingCurves(methods, ClassAccuracy), AverageCurve(methods, FID), LossCurve(methods), CostQuality(methods),
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
	if _, err := figures[0].PNG(0); err == nil {
		t.Error("a PNG at scale 0 should be refused")
	}
}
