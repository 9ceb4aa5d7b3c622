package results

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// valid is a small run that makes sense.
func valid() *Run {
	p := func(v float64) *float64 { return &v }
	r := &Run{Schema: Schema, Name: "a", Strategy: Strategy{Name: "er", Label: "er λ=1"},
		Benchmark: Benchmark{Dataset: "mnist", ClassNames: []string{"0", "1"}, ImageSize: 16, Channels: 1,
			Tasks: []Task{{Name: "0", Classes: []int{0}, Train: 10, Test: 5}, {Name: "1", Classes: []int{1}, Train: 10, Test: 5}}},
		Protocol:   Protocol{SamplesPerTask: 4, TaskWeights: []float64{0.25, 0.75}, BPD: &BPDProtocol{T: 10, Edges: []int{1, 5, 10}, LogSNR: []float64{2, -1}}},
		Provenance: Provenance{Command: "go run . bench"}, Losses: []LossPoint{{Step: 10, Loss: 0.5}, {Step: 20, Task: 1, Loss: 9e20}}}
	for after := range 2 {
		r.Evaluations = append(r.Evaluations, Evaluation{AfterTask: after, Step: 10, Sheet: "samples/after_task_0.png",
			Tasks: []TaskMetrics{{Task: 0, N: 4, FID: p(12.5), KID: p(-0.1), Precision: p(1), BPD: &BPD{Mean: 3, Bins: []float64{1, 2}},
				Copies: &Copies{Train: &CopyRates{Pixels: p(0.5)}}}}})
	}
	return r
}

// Each value that makes no sense is one line that names the file, the key, the value and what to do.
func TestLoadSaysWhatIsWrong(t *testing.T) {
	good, err := Encode(valid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parse(good); err != nil {
		t.Fatal(err)
	}
	replaced := func(old, new string) string {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("%q is not in\n%s", old, good)
		}
		return strings.Replace(string(good), old, new, 1)
	}
	for _, tc := range []struct{ text, want string }{
		{`{}`, "schema is 0; this version reads 1"},
		{`{"schema": 1}`, "name is empty; need that of the run"},
		{``, "not a stored run"},
		{`[]`, "not a stored run"},
		{`{"schema": 1, "name": 7}`, "not a stored run"},
		{string(good) + "{}", "not a stored run"},
		{replaced(`"schema": 1`, `"schema": 2`), "schema is 2, this version reads 1"},
		{replaced(`"fid": 12.5`, `"fid": 1e300`), "evaluations[0].tasks[0].fid is 1e+300; need a number from 0 to 1e+45"},
		{replaced(`"fid": 12.5`, `"fid": 1e999`), "1e999"},
		{replaced(`"after_task": 0`, `"after_task": -1`), "evaluations[0].after_task is -1; need 0 .. 1, as benchmark.tasks has 2"},
		{replaced(`"after_task": 1`, `"after_task": 2`), "evaluations[1].after_task is 2; need 0 .. 1"},
		{replaced(`"task": 0`, `"task": 5`), "evaluations[0].tasks[0].task is 5; need 0 .. 1"},
		{replaced(`"grid": "samples/after_task_0.png"`, `"grid": "../../secret.png"`), `evaluations[0].grid is "../../secret.png"; need a path with slashes inside the folder of the result`},
		{replaced(`"grid": "samples/after_task_0.png"`, `"grid": "/etc/passwd"`), `evaluations[0].grid is "/etc/passwd"`},
		{replaced(`"grid": "samples/after_task_0.png"`, `"grid": "..\\x.png"`), `evaluations[0].grid is "..\\x.png"`},
		{replaced(`"fid": 12.5`, `"fid": -5`), "evaluations[0].tasks[0].fid is -5; need a number from 0 to 1e+45"},
		{replaced(`"se": 0`, `"se": -1`), "evaluations[0].tasks[0].bpd.se is -1; need a number from 0 to 1e+45"},
		{replaced(`"precision": 1`, `"precision": 1.5`), "evaluations[0].tasks[0].precision is 1.5; need a number from 0 to 1"},
		{replaced(`"pixels": 0.5`, `"pixels": -2`), "evaluations[0].tasks[0].copies.train.pixels is -2; need a number from 0 to 1"},
		{replaced(`"loss": 900000000000000000000`, `"loss": 9e200`), "losses[1].loss is 9e+200"},
		{replaced(`"step": 20`, `"step": -20`), "losses[1].step is -20; need 0 or more"},
		{replaced(`"classes": [1]`, `"classes": [9]`), "benchmark.tasks[1].classes[0] is 9; need 0 .. 1, as there are 2 class names"},
		{replaced(`"label": "er λ=1"`, `"label": "er\nλ=1"`), `strategy.label is "er\nλ=1"; need one line of text`},
		{replaced(`"label": "er λ=1"`, `"label": ""`), `strategy.label ""; need both`},
		{replaced(`0.75`, `0.5`), "protocol.task_weights is [0.25 0.5]; need 2 shares that sum to 1"},
		{replaced(`"edges": [1,`, `"edges": [7,`), "protocol.bpd.edges[1] is 5; need ascending numbers in 0 .. 10"},
		{replaced(`"image_size": 16`, `"image_size": 0`), "benchmark.image_size is 0"},
		{`{"schema": 1, "name": "` + strings.Repeat("x", 100_000) + `\n"}`, "strategy.name is"},
		{`{"schema": "` + strings.Repeat("x", 100_000) + `"}`, "not a stored run"},
	} {
		path := filepath.Join(t.TempDir(), "result.json")
		if err := os.WriteFile(path, []byte(tc.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), path+": ") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 900 {
			t.Errorf("%.60q gives %.900v; want one line that names the file and says %q", tc.text, err, tc.want)
		}
	}
}

// All stored runs of this repository load.
func TestStoredRunsLoad(t *testing.T) {
	for _, f := range storedRuns(t) {
		if _, err := Load(f); err != nil {
			t.Error(err)
		}
	}
}

// No number that JSON has none for costs a run its file: it is null, or left out, and why is said.
func TestSaveWithoutNumbers(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	r := valid()
	m := &r.Evaluations[0].Tasks[0]
	m.FID, m.KID, m.Copies.Train.Pixels, m.BPD = &nan, &inf, &nan, &BPD{Mean: 3, SE: nan}
	r.Evaluations[0].Union.FID = &inf
	r.Evaluations[1].Tasks[0].Missing = map[string]string{"memorised_train": "no training images were at hand", "fid": "forged"}
	r.Losses = append(r.Losses, LossPoint{Step: 30, Loss: nan})
	r.Outside = []OutsideBPD{{Dataset: "in", ByImage: []float64{1}}, {Dataset: "out", ByImage: []float64{1, nan}}}
	r.Sensitivity = []BPDVariant{{Name: "unclipped", Tasks: []float64{1, 2}, SE: []float64{0, -inf}}}
	path := filepath.Join(t.TempDir(), "result.json")
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	back, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	got := back.Evaluations[0].Tasks[0]
	if got.FID != nil || got.KID != nil || got.Copies.Train.Pixels != nil || got.BPD != nil || back.Evaluations[0].Union.FID != nil {
		t.Errorf("read back as %+v", got)
	}
	for place, want := range map[string]string{"fid": "came out as NaN", "kid": "came out as +Inf", "copies.train.pixels": "came out as NaN", "bpd": "se came out as NaN",
		"memorised_buffer": "the strategy held no images", "class_accuracy": "no classifier looked, or no class was asked for", "copies.buffer": "the strategy held no images",
		"recall": "not measured"} {
		if got.Missing[place] != want {
			t.Errorf("%s is missing as %q, want %q", place, got.Missing[place], want)
		}
	}
	if why := back.Evaluations[0].Union.Missing["fid"]; why != "came out as +Inf" {
		t.Errorf("the union's FID is missing as %q", why)
	}
	if why := back.Evaluations[1].Tasks[0].Missing; why["memorised_train"] != "no training images were at hand" || why["fid"] != "" {
		t.Errorf("a reason that was known is %q, one for a number that is there %q", why["memorised_train"], why["fid"])
	}
	if len(back.Losses) != 2 || len(back.Outside) != 1 || len(back.Sensitivity) != 0 {
		t.Errorf("%d losses, %d outside, %d variants; want those alone that are numbers", len(back.Losses), len(back.Outside), len(back.Sensitivity))
	}
	for place, want := range map[string]string{"losses: step 30": "loss came out as NaN", "outside: out": "by_image[1] came out as NaN", "sensitivity: unclipped": "se[1] came out as -Inf"} {
		if back.Missing[place] != want {
			t.Errorf("%s is missing as %q, want %q", place, back.Missing[place], want)
		}
	}
	if !math.IsNaN(*m.FID) || !math.IsNaN(*m.Copies.Train.Pixels) || m.BPD == nil || len(r.Losses) != 3 {
		t.Error("saving changed the run")
	}
	// Elsewhere such a number is an error that names its place.
	r.Config = map[string]any{"train": map[string]any{"learning_rate": inf}}
	if err := r.Save(path); err == nil || !strings.Contains(err.Error(), "config.train.learning_rate is +Inf") {
		t.Errorf("got %v", err)
	}
	// Any encoder of evaluations does the same: checkpoints and tables have them too.
	if data, err := json.Marshal(r.Evaluations); err != nil || bytes.Contains(data, []byte("NaN,")) {
		t.Errorf("%s, %v", data, err)
	}
}

// A pipe in place of a result is not waited for.
func TestLoadOfNoFile(t *testing.T) {
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is a folder; need a file") {
		t.Errorf("a folder gives %v", err)
	}
}

// Of several values that make no sense the same is told each time.
func TestValidateTellsTheSame(t *testing.T) {
	r := valid()
	r.Cost.Steps, r.Cost.FreshRows, r.Cost.ReplayRows, r.Cost.Parameters, r.Cost.StoredImages = -1, -1, -1, -1, -1
	for range 20 {
		if err := r.Validate(); err == nil || !strings.HasPrefix(err.Error(), "cost.fresh_rows is -1") {
			t.Fatalf("got %v", err)
		}
	}
}
