package report

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/sheet"
	"palimpsest/pkg/study"
)

// onDisk stores a made-up study, with sheets for all runs of seed 0 but er λ=0.3's.
func onDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, r := range resultstest.MadeUp(2) {
		own := filepath.Join(dir, r.Name)
		if err := os.MkdirAll(filepath.Join(own, "samples"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := r.Save(filepath.Join(own, "result.json")); err != nil {
			t.Fatal(err)
		}
		if r.Seed > 0 || r.Strategy.Label == "er λ=0.3" {
			continue
		}
		for _, e := range r.Evaluations {
			grid, err := sheet.New(resultstest.Noise(6*4*16), 6, 4, 4, 4, 1, 1)
			if err != nil {
				t.Fatal(err)
			}
			data, err := sheet.PNG(grid)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(own, e.Sheet), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestMeasurements: a row for each run, moment and task, with the stored numbers in full, and tasks as result.json and metrics.csv
// count them.
func TestMeasurements(t *testing.T) {
	runs := resultstest.MadeUp(2)
	rows, err := csv.NewReader(strings.NewReader(Measurements(runs))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := 1
	for _, r := range runs {
		for _, e := range r.Evaluations {
			want += len(e.Tasks)
		}
	}
	first := runs[0].Evaluations[0].Tasks[0]
	fid := slices.Index(rows[0], "fid")
	if len(rows) != want || fid < 0 || rows[1][fid] != strconv.FormatFloat(*first.FID, 'g', -1, 64) || rows[1][0] != runs[0].Strategy.Label {
		t.Errorf("%d rows, want %d; the first are %q and %q", len(rows), want, rows[0], rows[1])
	}
	after, task, k := slices.Index(rows[0], "after_task"), slices.Index(rows[0], "task"), 0
	for _, r := range runs {
		for _, e := range r.Evaluations {
			for _, m := range e.Tasks {
				if k++; rows[k][after] != strconv.Itoa(e.AfterTask) || rows[k][task] != strconv.Itoa(m.Task) {
					t.Fatalf("row %d is of task %s after task %s; the run's file says %d and %d", k, rows[k][task], rows[k][after], m.Task, e.AfterTask)
				}
			}
		}
	}
}

func TestPageIsSelfContained(t *testing.T) {
	set, err := study.Open(onDisk(t))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := HTML(&b, *set); err != nil {
		t.Fatal(err)
	}
	loads := regexp.MustCompile(`(?i)url\(|@import|fetch\(|XMLHttpRequest|import\(|\bsrc *=`)
	d := xml.NewDecoder(&b) // the page is written as XHTML, so that a strict parser reads all of it
	d.Entity = xml.HTMLEntity
	var text strings.Builder
	saved := 0
	images, ids, targets, open := 0, map[string]bool{}, []string(nil), []string(nil)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			open = append(open, e.Name.Local)
			switch e.Name.Local {
			case "link", "iframe", "object", "embed", "video", "audio", "base", "form":
				t.Errorf("<%s> may load something", e.Name.Local)
			}
			for _, a := range e.Attr {
				switch a.Name.Local {
				case "src":
					images++
					if !strings.HasPrefix(a.Value, "data:image/png;base64,") {
						t.Errorf("<%s src=%.40q> is not inside the page", e.Name.Local, a.Value)
					}
				case "href":
					if strings.HasPrefix(a.Value, "data:text/csv;") { // to be saved
						saved++
						continue
					}
					if !strings.HasPrefix(a.Value, "#") {
						t.Errorf("<%s href=%.40q> leads out of the page", e.Name.Local, a.Value)
					}
					targets = append(targets, a.Value[1:])
				case "id":
					ids[a.Value] = true
				case "srcset", "poster", "action", "background":
					t.Errorf("<%s %s> may load something", e.Name.Local, a.Name.Local)
				case "style":
					if loads.MatchString(a.Value) {
						t.Errorf("style %q may load something", a.Value)
					}
				}
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if in := open[max(0, len(open)-1):]; len(in) > 0 && (in[0] == "style" || in[0] == "script") {
				if found := loads.Find(e); found != nil {
					t.Errorf("<%s> has %q, which may load something", in[0], found)
				}
				continue
			}
			text.Write(e)
			text.WriteByte('\n')
		}
	}
	if saved != 2+len(study.Rankings(set.Group())) { // the table's numbers, all measurements, and those of each order
		t.Errorf("%d links to numbers", saved)
	}
	if images != 3 { // finetune, er λ=1, joint
		t.Errorf("%d sample sheets, want 3", images)
	}
	for _, id := range targets {
		if !ids[id] {
			t.Errorf("#%s leads nowhere", id)
		}
	}
	words := text.String()
	table := NewTable(set.Group())
	for _, s := range table.Sections {
		for _, c := range s.Columns {
			for i, cell := range c.Cells {
				if !strings.Contains(words, "\n"+cell.Text+"\n") {
					t.Errorf("%s of %s, %s, is not on the page", c.Title(), table.Rows[i], cell.Text)
				}
			}
		}
	}
	for _, want := range append(append([]string{"No sample sheets are stored of er λ=0.3.", "go run . bench", "0123456789", "a processor", `"name": "<made up> & small"`,
		"er λ=1-seed1", "T-shirt/top + Trouser"}, table.Notes...), unbroken(Verdict(set.Group()))...) {
		if !strings.Contains(words, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
}

func TestPageOfNothing(t *testing.T) {
	if err := HTML(io.Discard, study.Set{}); err == nil {
		t.Error("a study without runs should be refused")
	}
	path := filepath.Join(t.TempDir(), "report.html")
	if _, err := WriteHTML(path, study.Set{Runs: resultstest.MadeUp(1)[:1]}); err != nil { // one run, no sheets
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(data, []byte("No sample sheets are stored with these runs")) {
		t.Errorf("the page does not say that there are no sheets (%v)", err)
	}
}
