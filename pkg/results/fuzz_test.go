package results

import (
	"encoding/json"
	"strings"
	"testing"

	"palimpsest/pkg/fuzztest"
)

// FuzzRun reads arbitrary stored runs. What is accepted is written as something that reads back as the same.
func FuzzRun(f *testing.F) {
	fid := 3.5
	text, err := json.MarshalIndent(&Run{Schema: Schema, Name: "er-seed1", Strategy: Strategy{Name: "er", Label: "er", Settings: map[string]any{"lambda": 0.5}},
		Benchmark: Benchmark{Dataset: "mnist", Scenario: "class-incremental", ClassNames: []string{"0", "1"}, ImageSize: 16, Channels: 1,
			Tasks: []Task{{Name: "a", Classes: []int{0}, Train: 9, Test: 3}, {Name: "b", Classes: []int{1}, Train: 9, Test: 3}}},
		Config: map[string]any{"seed": 1}, Seed: 1, Losses: []LossPoint{{Step: 3, Loss: 0.5}},
		Evaluations: []Evaluation{{AfterTask: 0, Step: 3, Tasks: []TaskMetrics{{N: 4, FID: &fid}, {Task: 1, N: 4}}, Sheet: "samples/after_task_0.png"},
			{AfterTask: 1, Step: 6, Tasks: []TaskMetrics{{N: 4}, {Task: 1, N: 4}}}}}, "", " ")
	if err != nil {
		f.Fatal(err)
	}
	for _, change := range []struct{ from, to string }{{"", ""}, {`"after_task": 0`, `"after_task": -1`}, {`"schema": 1`, `"schema": 2`},
		{`"fid": 3.5`, `"fid": 1e300`}, {`"fid": 3.5`, `"fid": 1e999`}, {`"task": 0`, `"task": 99`}, {`"grid": "`, `"grid": "../../`},
		{`"class_names": [`, `"class_names": ["x\n",`}, {`"seed": 1`, `"seed": 1.5`}} {
		f.Add([]byte(strings.Replace(string(text), change.from, change.to, 1)))
	}
	whole, err := Seal(append(text, '\n'))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte("{}"))
	f.Add([]byte(`{"schema":1}`))
	f.Add([]byte("null"))
	load := func(text []byte) (*Run, error) { return decode("run/result.json", text) }
	f.Fuzz(func(t *testing.T, text []byte) {
		var r *Run
		if fuzztest.Read(t, len(text), func() (err error) { r, err = load(text); return err }) != nil {
			return
		}
		fuzztest.Rereads(t, r, fuzztest.JSON, load)
	})
}
