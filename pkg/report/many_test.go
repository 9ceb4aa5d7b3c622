package report

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"palimpsest/pkg/figure"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/sheet"
	"palimpsest/pkg/study"
)

// A page of a dozen, of over a hundred and of a thousand classes, and of as many tasks as classes, stays of a readable size, and
// names classes.
func TestManyClasses(t *testing.T) {
	for _, tc := range []struct{ classes, tasks int }{{12, 3}, {120, 12}, {1000, 5}, {30, 30}} {
		t.Run(fmt.Sprintf("%d classes in %d tasks", tc.classes, tc.tasks), func(t *testing.T) {
			dir := t.TempDir()
			runs := resultstest.ManyClasses(tc.classes, tc.tasks)
			rows := len(sheet.Rows(tc.classes, 4))
			grid, err := sheet.New(resultstest.Noise(rows*4*16), rows, 4, 4, 4, 1, 1)
			if err != nil {
				t.Fatal(err)
			}
			data, err := sheet.PNG(grid)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(dir, "samples"), 0o755); err != nil {
				t.Fatal(err)
			}
			for after := range tc.tasks {
				if err := os.WriteFile(filepath.Join(dir, "samples", fmt.Sprintf("after_task_%d.png", after)), data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, r := range runs {
				if err := r.Save(filepath.Join(dir, r.Name+".json")); err != nil {
					t.Fatal(err)
				}
			}
			set, err := study.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			methods := set.Group()

			picture, err := Strips(set.Runs[0], dir)
			if err != nil {
				t.Fatal(err)
			}
			if size := picture.Bounds().Size(); size.X > 1400 || size.Y < 100 || size.Y > 1500 {
				t.Errorf("a strip of %v dots", size)
			}
			for name, f := range map[string]figure.Figure{
				"curves": figure.ForgettingCurves(methods, study.FID), "map": figure.Heatmaps(methods, study.FID)[0], "loss": figure.LossCurve(methods),
			} {
				if f.Width > 800 || f.Height > 1000 {
					t.Errorf("%s is %g × %g pixels", name, f.Width, f.Height)
				}
				if len(f.Caption) > 1500 {
					t.Errorf("the caption of %s has %d bytes: %s", name, len(f.Caption), f.Caption)
				}
			}
			var page bytes.Buffer
			if err := HTML(&page, *set); err != nil {
				t.Fatal(err)
			}
			text := page.String()
			if len(text) > 3_000_000 {
				t.Errorf("the page has %d bytes", len(text))
			}
			first := set.Runs[0].Benchmark.ClassNames[0]
			if !strings.Contains(text, "of the classes "+html.EscapeString(map[bool]string{true: "24 of ", false: ""}[tc.classes > stripClasses]+first)) {
				t.Errorf("no alternative text names %s", first)
			}
			for line := range strings.Lines(NewTable(methods).String()) {
				if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > 110 {
					t.Errorf("a line of the table has %d letters: %s", n, line)
				}
			}
		})
	}
}
