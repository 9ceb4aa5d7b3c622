package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// A run whose loss exploded, though finite, and one that draws the same image always are said to be so wherever a table
// compares them.
func TestAlarms(t *testing.T) {
	runs := resultstest.MadeUp(2)
	if a := study.Alarms(study.Group(runs)); len(a) > 0 {
		t.Fatalf("healthy runs give %q", a)
	}
	for _, r := range runs {
		switch r.Strategy.Label {
		case "er λ=1":
			if r.Seed == 1 {
				for i := range r.Losses {
					r.Losses[i].Loss = 9e20
				}
			}
		case "finetune":
			r.Evaluations[len(r.Evaluations)-1].Union.IdenticalSamples = resultstest.Float(1)
		}
	}
	methods := study.Group(runs)
	want := []string{"DIVERGED: er λ=1, seed 1: the training loss ends at 9e+20;", "COLLAPSED: finetune, seed 0 and 1: 100 % of the samples have an exact duplicate;"}
	ranking, err := study.NewRanking(methods, study.FinalOf(study.FID), "")
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := study.NewLedger(nil, methods)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"table": TextTable(methods), "markdown": MarkdownTable(methods), "html": NewTable(methods).HTML(), "verdict": strings.Join(Verdict(methods), "\n"),
		"scorecard": NewScorecard(methods).Markdown(), "ranking": ranking.Table().Markdown(), "ledger": ledger.Markdown(),
		"across": study.AcrossBenchmarks(methods, study.FinalOf(study.FID)).Markdown(), "pareto": strings.Join(study.ParetoSentences(methods, study.FinalOf(study.FID)), "\n"),
	} {
		flat := strings.Join(strings.Fields(text), " ")
		for _, w := range want {
			if !strings.Contains(flat, w) {
				t.Errorf("the %s lacks %q:\n%s", name, w, text)
			}
		}
		if marked := strings.Contains(text, "er λ=1 (diverged)") || strings.Contains(text, " (diverged) |"); !marked &&
			name != "verdict" && name != "ledger" && name != "pareto" {
			t.Errorf("the %s does not mark the row that diverged:\n%s", name, text)
		}
	}
	if text := TextTable(methods); strings.Contains(text, "joint (") || strings.Contains(text, "er λ=0.3 (") {
		t.Errorf("a healthy row is marked:\n%s", text)
	}
}

// withCopies gives the final samples of a run shares of copies by the fixed yardstick.
func withCopies(r *results.Run, buffer, train float64) {
	feature := 1.5
	r.Protocol.Copies = &results.CopyProtocol{Quantile: 0.001, HeldOut: 2000, Train: 6000, PixelThreshold: 8.25, FeatureThreshold: &feature}
	for i := range r.Evaluations {
		for j := range r.Evaluations[i].Tasks {
			m := &r.Evaluations[i].Tasks[j]
			m.Copies = &results.Copies{Train: &results.CopyRates{Pixels: resultstest.Float(train), Features: resultstest.Float(train / 2), RealPixels: resultstest.Float(0.001), RealFeatures: resultstest.Float(0.002)}}
			if m.MemorisedBuffer != nil {
				m.Copies.Buffer = &results.CopyRates{Pixels: resultstest.Float(buffer), Features: resultstest.Float(buffer / 2), RealPixels: resultstest.Float(0.003), RealFeatures: resultstest.Float(0.004)}
			}
		}
	}
}

// Both ways to tell copies stand in columns of their own, the fixed one with the rate of real images beside it; runs from before
// it was measured have dashes there.
func TestTableShowsBothCopyMeasures(t *testing.T) {
	runs := resultstest.MadeUp(1)
	text := MarkdownTable(study.Group(runs))
	if strings.Contains(text, "yardstick") || !strings.Contains(text, "buffer copies by ratio") {
		t.Errorf("runs without the yardstick:\n%s", text)
	}
	for _, r := range runs {
		if r.Strategy.Label != "er λ=0.3" {
			withCopies(r, 0.069, 0.02)
		}
	}
	methods := study.Group(runs)
	text = MarkdownTable(methods)
	for _, want := range []string{
		"**Copies by the fixed yardstick (in brackets: real held-out images by the same)**",
		"| strategy | of the buffer, by pixels, % | of the buffer, by features, % | of training images, by pixels, % | of training images, by features, % |",
		"| finetune | – | – | 2.0 (0.1) | 1.0 (0.2) |", "| er λ=1 | 6.9 (0.3) | 3.5 (0.4) | 2.0 (0.1) | 1.0 (0.2) |", "| er λ=0.3 | – | – | – | – |",
		"no farther from it than 8.25 grey levels rms a pixel, or in features 1.5: the 0.001 quantile of the distances of 2000 real held-out images to 6000 training images",
		"shares of buffers of different sizes do not compare",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	// Words use the yardstick where all that they compare have it, and say which criterion that is.
	if _, _, name := study.CopyMetrics(methods); name != "the distance ratio" {
		t.Errorf("er λ=0.3 has no yardstick, but all are compared by %s", name)
	}
	if _, _, name := study.CopyMetrics([]study.Method{methods[0], methods[2]}); name != "the fixed yardstick in pixels" { // finetune and one er
		t.Errorf("finetune and %s are compared by %s", methods[2].Label, name)
	}
	er, joint := methods[2], methods[3]
	if got := copies(er, joint); !strings.HasPrefix(got, "By the fixed yardstick in pixels, 6.9 % of its samples copy a buffer image and 2.0 % copy a training image; of joint's, 2.0 % ") {
		t.Errorf("%s: %q", er.Label, got)
	}
	if got := copies(methods[1], joint); !strings.HasPrefix(got, "By the distance ratio, ") {
		t.Errorf("%s: %q", methods[1].Label, got)
	}
}

// A page of runs whose numbers are as large as a stored run may have them ends, without a coordinate that is none.
func TestPageOfHugeNumbers(t *testing.T) {
	runs := resultstest.MadeUp(2)
	for _, r := range runs[:2] {
		for i := range r.Evaluations {
			for j := range r.Evaluations[i].Tasks {
				m := &r.Evaluations[i].Tasks[j]
				m.FID, m.KID = resultstest.Float(1e45), resultstest.Float(-1e45)
			}
		}
		for i := range r.Losses {
			r.Losses[i].Loss = 1e45
		}
		r.Cost.TrainSeconds, r.Cost.StoredBytes = 1e45, 1<<62
		if err := r.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "report.html")
	if _, err := WriteHTML(path, study.Set{Runs: runs}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, not := range []string{">NaN", "\"NaN", "NaN,", ",NaN", "+Inf", "00000000000000000000"} {
		if at := strings.Index(string(text), not); at >= 0 {
			t.Errorf("the page holds %q: …%s…", not, text[max(0, at-200):min(len(text), at+40)])
		}
	}
	if table := TextTable(study.Group(runs)); !strings.Contains(table, "1e+45") {
		t.Errorf("the table lacks the number:\n%s", table)
	}
}
