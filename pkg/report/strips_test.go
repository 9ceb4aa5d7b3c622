package report

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/figure"
	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// storeSheet writes a sheet with a row a class: class k in grey 20·(k+1), its samples the same, and gap pixels between.
func storeSheet(t *testing.T, path string, classes, columns, side, gap int) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, columns*(side+gap)-gap, classes*(side+gap)-gap))
	for k := range classes {
		for c := range columns {
			for y := range side {
				for x := range side {
					v := uint8(20 * (k + 1))
					img.SetRGBA(c*(side+gap)+x, k*(side+gap)+y, color.RGBA{v, v, v, 255})
				}
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

func TestStrips(t *testing.T) {
	for _, gap := range []int{0, 1} {
		dir := t.TempDir()
		r := resultstest.NewRun("finetune", "finetune", 0, 2) // 4 classes of 4 pixels
		for after := range 2 {
			name := filepath.Join("samples", string(rune('a'+after))+".png")
			r.Evaluations = append(r.Evaluations, results.Evaluation{AfterTask: after, Sheet: name})
			storeSheet(t, filepath.Join(dir, name), 4, 8, 4, gap)
		}
		img, err := Strips(r, dir)
		if err != nil {
			t.Fatalf("gap %d: %v", gap, err)
		}
		// Every class has its grey in row 2, faded to v/3+170 for the task to come in row 1.
		seen := map[color.RGBA]bool{}
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				seen[img.At(x, y).(color.RGBA)] = true
			}
		}
		for k := range 4 {
			v := uint8(20 * (k + 1))
			if !seen[color.RGBA{v, v, v, 255}] {
				t.Errorf("gap %d: class %d is missing", gap, k)
			}
			f := v/3 + 170
			if faded := seen[color.RGBA{f, f, f, 255}]; faded != (k >= 2) {
				t.Errorf("gap %d: class %d faded: %t", gap, k, faded)
			}
		}
		if !seen[color.RGBA{figure.Vermilion.R, figure.Vermilion.G, figure.Vermilion.B, 255}] {
			t.Errorf("gap %d: the task just learned is not framed", gap)
		}
		if seen[color.RGBA{}] {
			t.Errorf("gap %d: transparent gaps of the sheet are shown", gap)
		}
	}
}

func TestStripsWithoutSheets(t *testing.T) {
	r := resultstest.NewRun("finetune", "finetune", 0, 2)
	r.Evaluations = []results.Evaluation{{AfterTask: 0, Sheet: "samples/gone.png"}, {AfterTask: 1}}
	dir := t.TempDir()
	if _, err := Strips(r, dir); !errors.Is(err, ErrNoSheets) {
		t.Errorf("no sheets give %v, want ErrNoSheets", err)
	}
	storeSheet(t, filepath.Join(dir, "samples", "gone.png"), 3, 5, 7, 0) // 21 pixels high: no 4 rows
	if _, err := Strips(r, dir); err == nil || errors.Is(err, ErrNoSheets) {
		t.Errorf("a sheet of another shape gives %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "samples", "gone.png"), []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Strips(r, dir); err == nil || errors.Is(err, ErrNoSheets) {
		t.Errorf("a broken file gives %v", err)
	}
}

// A page is made without a sheet that is cut short, whose file and remedy it and the warnings name; the sheets that are whole are on it.
func TestPageWithoutDamagedSheets(t *testing.T) {
	dir := t.TempDir()
	r := resultstest.MadeUp(1)[0]
	r.Evaluations = slices.Clone(r.Evaluations)
	classes := 0
	for _, task := range r.Benchmark.Tasks {
		classes += len(task.Classes)
	}
	for i := range r.Evaluations {
		r.Evaluations[i].Sheet = fmt.Sprintf("%d.png", i)
		storeSheet(t, filepath.Join(dir, r.Name, r.Evaluations[i].Sheet), classes, 8, r.Benchmark.ImageSize, 0)
	}
	cut := filepath.Join(dir, r.Name, "0.png")
	if err := os.Truncate(cut, 60); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "report.html")
	warnings, err := WriteHTML(path, study.Set{Dir: dir, Runs: []*results.Run{r}})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{cut, "left out; making the run again"} {
		if len(warnings) != 1 || !strings.Contains(warnings[0], want) || !strings.Contains(string(page), want) {
			t.Errorf("the warnings are %q; want them and the page to say %q", warnings, want)
		}
	}
	if !strings.Contains(string(page), "data:image/png") {
		t.Error("the sheets that are whole are not on the page")
	}
}

// A class whose name the font cannot draw is drawn as its number.
func TestNamesThatTheFontLacks(t *testing.T) {
	picture := func(names ...string) *image.RGBA {
		dir := t.TempDir()
		r := resultstest.NewRun("finetune", "finetune", 0, 2)
		copy(r.Benchmark.ClassNames, names)
		r.Evaluations = []results.Evaluation{{AfterTask: 1, Sheet: "a.png"}}
		storeSheet(t, filepath.Join(dir, "a.png"), 4, 8, 4, 0)
		img, err := Strips(r, dir)
		if err != nil {
			t.Fatal(err)
		}
		return img.(*image.RGBA)
	}
	if got, want := picture("Žluťoučký", "玫瑰", "バラ", "Ωμέγα"), picture("Žluťoučký", "class 1", "class 2", "Ωμέγα"); !slices.Equal(got.Pix, want.Pix) {
		t.Error("names in Chinese and Japanese are not drawn as the classes' numbers, or other names are")
	}
}
