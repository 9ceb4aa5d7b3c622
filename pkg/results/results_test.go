package results

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

// Files of another schema and files that are no runs are told apart.
func TestLoadErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{"schema": 99, "provenance": {"command": "go run . bench"}}`: "go run . bench",
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

// Store keeps the grids of one run of each label and leaves the runs it was given alone.
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
		r.Name, r.Strategy.Label, r.Evaluations = name, "er", []Evaluation{{Grid: "samples/after_task_0.png"}}
		runs = append(runs, r)
	}
	if err := Store(dir, to, runs); err != nil {
		t.Fatal(err)
	}
	first, err := Load(filepath.Join(to, "er-seed0.json"))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(to, first.Evaluations[0].Grid)); err != nil || string(data) != "er-seed0" {
		t.Errorf("the first run's grid is %q, %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(to, "dynamics", "er-seed1.json")); err != nil {
		t.Error(err)
	}
	second, err := Load(filepath.Join(to, "er-seed1.json"))
	if err != nil {
		t.Fatal(err)
	}
	if second.Evaluations[0].Grid != "" {
		t.Errorf("the second run of the label keeps the grid %s", second.Evaluations[0].Grid)
	}
	if runs[1].Evaluations[0].Grid == "" {
		t.Error("Store changed the run it was given")
	}
}

// A study of very many strategies keeps the last grid of each alone.
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
			r.Evaluations = append(r.Evaluations, Evaluation{AfterTask: task, Grid: grid})
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
			if (e.Grid != "") != want[task] {
				t.Errorf("of %d strategies the grid after task %d is kept as %q; want it kept: %v", count, task, e.Grid, want[task])
			}
		}
	}
}
