package results

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/atomicfile"
)

func TestSaveLoad(t *testing.T) {
	fid := 12.5
	r := valid()
	r.Evaluations = []Evaluation{{Tasks: []TaskMetrics{{N: 3, FID: &fid}}}}
	path := filepath.Join(t.TempDir(), "result.json")
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	back, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	m := back.Evaluations[0].Tasks[0]
	if m.FID == nil || *m.FID != fid || m.KID != nil || m.N != 3 {
		t.Errorf("read back as %+v; want FID %g and KID missing", m, fid)
	}
}

// What Load would refuse is not saved, and leaves no file.
func TestSaveRefusesWhatLoadWould(t *testing.T) {
	other := valid()
	other.Schema = 0
	for want, r := range map[string]*Run{"no run to save": nil, "schema is 0": new(Run), "name is empty": {Schema: Schema}, "this version reads 1": other} {
		path := filepath.Join(t.TempDir(), "result.json")
		if err := r.Save(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want an error with %q", err, want)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s: a file is left (%v)", want, err)
		}
	}
}

// There is no study of no runs, and none of a run that is nil.
func TestStoreRefuses(t *testing.T) {
	to := filepath.Join(t.TempDir(), "to")
	for want, runs := range map[string][]*Run{"no runs": nil, "run 1 of those": {valid(), nil}} {
		if err := Store(t.TempDir(), to, runs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want an error with %q", err, want)
		}
	}
	if _, err := os.Stat(to); !os.IsNotExist(err) {
		t.Errorf("a folder is left (%v)", err)
	}
	if err := (*Run)(nil).Validate(); err == nil {
		t.Error("no run is valid")
	}
}

// Files of another schema and files that are no runs are told apart.
func TestLoadErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{"schema": 99, "name": 7}`:                                  "a newer version",
		`{"schema": 0, "provenance": {"command": "go run . bench"}}`: "go run . bench",
		`not json`: "not a stored run",
	} {
		path := filepath.Join(t.TempDir(), "x.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s gives %v; want an error that names the file and says %q", text, err, want)
		}
	}
}

// Store keeps the sheets of one run of each label and leaves the runs it was given alone.
func TestStore(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	var runs []*Run
	for _, name := range []string{"er-seed0", "er-seed1"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "samples"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "samples", "after_task_0.png"), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, DynamicsFile), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
		r := valid()
		r.Name, r.Strategy.Label, r.Evaluations = name, "er", []Evaluation{{Sheet: "samples/after_task_0.png"}}
		runs = append(runs, r)
	}
	if err := Store(dir, to, runs); err != nil {
		t.Fatal(err)
	}
	first, err := Load(filepath.Join(to, "er-seed0.json"))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(to, first.Evaluations[0].Sheet)); err != nil || string(data) != "er-seed0" {
		t.Errorf("the first run's sheet is %q, %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(to, "dynamics", "er-seed1.json")); err != nil {
		t.Error(err)
	}
	second, err := Load(filepath.Join(to, "er-seed1.json"))
	if err != nil {
		t.Fatal(err)
	}
	if second.Evaluations[0].Sheet != "" {
		t.Errorf("the second run of the label keeps the sheet %s", second.Evaluations[0].Sheet)
	}
	if runs[1].Evaluations[0].Sheet == "" {
		t.Error("Store changed the run it was given")
	}
}

// Sheets that are alike are one file, whenever they are stored, and none is replaced that another run refers to.
func TestStoreKeepsASheetOnce(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "a[b]") // which is no pattern
	run := func(name string, sheets ...string) *Run {
		r := valid()
		r.Name, r.Strategy.Label, r.Evaluations = name, name, nil
		for task, sheet := range sheets {
			e := Evaluation{AfterTask: task, Sheet: fmt.Sprintf("samples/after_task_%d.png", task)}
			r.Evaluations = append(r.Evaluations, e)
			path := filepath.Join(dir, name, filepath.FromSlash(e.Sheet))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(sheet), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	store := func(runs ...*Run) {
		t.Helper()
		if err := Store(dir, to, runs); err != nil {
			t.Fatal(err)
		}
	}
	want := func(files int, name string, sheets ...string) {
		t.Helper()
		if all, err := atomicfile.Glob(to, "samples/*"); err != nil || len(all) != files {
			t.Errorf("there are %v (%v), want %d", all, err, files)
		}
		r, err := Load(filepath.Join(to, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		for i, sheet := range sheets {
			if got, err := os.ReadFile(filepath.Join(to, r.Evaluations[i].Sheet)); err != nil || string(got) != sheet {
				t.Errorf("%s has after task %d the sheet %q (%v), want %q", name, i, got, err, sheet)
			}
		}
	}
	store(run("er", "first", "er's second"), run("ewc", "first", "ewc's second"))
	want(3, "er", "first", "er's second")
	want(3, "ewc", "first", "ewc's second")
	store(run("si", "first", "si's second")) // to a study that has begun
	want(4, "si", "first", "si's second")
	store(run("er", "another", "er's second")) // whose first sheet the others still need
	want(5, "er", "another", "er's second")
	want(5, "ewc", "first", "ewc's second")
}

// A study of very many strategies keeps the last sheet of each alone.
func TestStoreManyLabels(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	var runs []*Run
	for i := range manyLabels + 1 {
		r := valid()
		r.Name, r.Strategy.Label, r.Evaluations = fmt.Sprintf("method%d-seed0", i), fmt.Sprint("method", i), nil
		if err := os.MkdirAll(filepath.Join(dir, r.Name, "samples"), 0o755); err != nil {
			t.Fatal(err)
		}
		for task := range 2 {
			grid := fmt.Sprintf("samples/after_task_%d.png", task)
			if err := os.WriteFile(filepath.Join(dir, r.Name, grid), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			r.Evaluations = append(r.Evaluations, Evaluation{AfterTask: task, Sheet: grid})
		}
		runs = append(runs, r)
	}
	for count, want := range map[int][]bool{manyLabels: {true, true}, manyLabels + 1: {false, true}} {
		if err := Store(dir, to, runs[:count]); err != nil {
			t.Fatal(err)
		}
		kept, err := Load(filepath.Join(to, "method0-seed0.json"))
		if err != nil {
			t.Fatal(err)
		}
		for task, e := range kept.Evaluations {
			if (e.Sheet != "") != want[task] {
				t.Errorf("of %d strategies the sheet after task %d is kept as %q; want it kept: %v", count, task, e.Sheet, want[task])
			}
		}
	}
}

// A digit, a letter or a truth value that changed in a file is found, wherever it stands; other white space is no change, and
// a file of before there were sums is read.
func TestSum(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	r := valid()
	r.Losses = []LossPoint{{Step: 3, Loss: 0.5}}
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.LastIndex(text, []byte(",\n"))
	accepted := map[string][]byte{"as written": text, "with other line ends": bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), "without a sum": append(bytes.Clone(text[:end]), '}')}
	for what, text := range accepted {
		if _, err := decode(path, text); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	changes := 0
	for i, c := range text[:end] {
		if c < '0' || c > '9' || i%5 != 0 { // a fifth of them tells as much
			continue
		}
		changed := bytes.Clone(text)
		changed[i] = '0' + (c-'0'+1)%10
		changes++
		if _, err := decode(path, changed); err == nil {
			t.Errorf("digit %d changed without a word: %q", i, changed[max(0, i-30):i+5])
		}
	}
	if changes < 10 {
		t.Errorf("only %d digits to change", changes)
	}
	if _, err := decode(path, bytes.Replace(text, []byte("0.5"), []byte("0.7"), 1)); err == nil || !strings.Contains(err.Error(), "as when it was written") {
		t.Errorf("got %v", err)
	}
}

// A run that is not there is told apart from one that has not finished, with what to do; either is an error of a file that is not there.
func TestLoadMissing(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "result.json"):         "the run in " + dir + " has not finished; finish it first: in a notebook, run the cell that trains it again, elsewhere `go run . resume " + dir + "`",
		filepath.Join(dir, "none", "result.json"): "there is no run in " + filepath.Join(dir, "none") + " yet; make it first: in a notebook, run the cell that trains it",
		filepath.Join(dir, "er-seed0.json"):       filepath.Join(dir, "er-seed0.json") + " is not there; need the file of a stored run",
	} {
		if _, err := Load(path); err == nil || err.Error() != want || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s gives %v; want an fs.ErrNotExist that says %q", path, err, want)
		}
	}
}
