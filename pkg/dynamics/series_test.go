package dynamics

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"palimpsest/pkg/results"
)

// exampleSeries is of 2 tasks at 2 timesteps: task 0 is learned by step 20, task 1 from then on.
func exampleSeries() *Series {
	return &Series{
		Axes:        Axes{Tasks: []string{"a", "b"}, Images: 4, Timesteps: []int{3, 70}, LogSNR: []float64{2.5, -1.25}, Prediction: "eps", Probe: "cafe"},
		Checkpoints: []Checkpoint{{0, 0}, {20, 0}, {30, 1}, {40, 1}, {60, 1}},
		Loss: []float32{
			8, 8, 8, 8,
			2, 1, 8, 8,
			3, 5, 6, 6,
			7, 2, 4, 4,
			6, 1, 1, 1},
		SE: []float32{
			.5, .5, .5, .5,
			.3, .3, .3, .3,
			.1, .1, .1, .1,
			.2, .2, .2, .2,
			.4, .4, .4, .4},
	}
}

func TestSeriesRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "losses.json")
	s := exampleSeries()
	s.Loss[3] = 0.1 + 1e-7
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	if again, err := LoadSeries(path); err != nil || !reflect.DeepEqual(s, again) {
		t.Errorf("%v, %v; want %v", again, err, s)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(good, []byte(`"loss":[8,`), []byte(`"loss":[9,`), 1)
	if err := os.WriteFile(path, changed, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSeries(path); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("a digit that changed gives %v", err)
	}
	// Files from before they had a sum are read as they are.
	if good, err = results.Unseal(good); err != nil || bytes.Contains(good, []byte("sha256")) {
		t.Fatal(err)
	}
	if old, err := parseSeries(good); err != nil || !reflect.DeepEqual(s, old) {
		t.Errorf("without its sum: %v, %v", old, err)
	}
	for name, bad := range map[string][]byte{
		"truncated":        good[:len(good)-3],
		"more":             append(bytes.Clone(good), '1'),
		"another format":   bytes.Replace(good, []byte("dynamics-1"), []byte("dynamics-2"), 1),
		"an unknown field": bytes.Replace(good, []byte(`"images"`), []byte(`"x":1,"images"`), 1),
		"a loss too few":   bytes.Replace(good, []byte(`"loss":[8,`), []byte(`"loss":[`), 1),
		"a negative loss":  bytes.Replace(good, []byte(`"loss":[8,`), []byte(`"loss":[-8,`), 1),
		"no timesteps":     bytes.Replace(good, []byte(`"timesteps":[3,70]`), []byte(`"timesteps":[]`), 1),
		"steps descending": bytes.Replace(good, []byte(`"step":20`), []byte(`"step":50`), 1),
		"task 2 of 2":      bytes.Replace(good, []byte(`"step":60,"task":1`), []byte(`"step":60,"task":2`), 1),
		"nothing":          nil,
	} {
		if bytes.Equal(bad, good) {
			t.Fatalf("%s changes nothing in %s", name, good)
		}
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadSeries(path); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestAppend(t *testing.T) {
	want := exampleSeries()
	s := &Series{Axes: want.Axes}
	snapshot := func(loss float64) *Snapshot {
		rows := make([]float64, 16)
		for i := range rows {
			rows[i] = loss + float64(i%4) // mean loss+1.5, variance 5/3 over 4 images
		}
		return &Snapshot{want.Axes, rows}
	}
	for i, c := range []Checkpoint{{0, 0}, {5, 0}, {9, 1}} {
		if err := s.Append(c, snapshot(float64(i))); err != nil {
			t.Fatal(err)
		}
	}
	const se = 0.6454972243679028
	if len(s.Loss) != 12 || s.Loss[0] != 1.5 || s.Loss[11] != 3.5 || s.SE[5] != float32(se) {
		t.Errorf("losses %g ± %g", s.Loss, s.SE)
	}
	for _, c := range []Checkpoint{{9, 1}, {10, 0}, {10, 2}} {
		if err := s.Append(c, snapshot(1)); err == nil {
			t.Errorf("%v passes after %v", c, s.Checkpoints[2])
		}
	}
	other := snapshot(1)
	other.Probe = "beef"
	if err := s.Append(Checkpoint{10, 1}, other); err == nil {
		t.Error("another probe's snapshot passes")
	}
	if len(s.Checkpoints) != 3 || len(s.Loss) != 12 {
		t.Errorf("a refused checkpoint stays: %v", s.Checkpoints)
	}
	if s.LearnedAt(0) != 1 || s.LearnedAt(1) != 2 || s.LearnedAt(2) != -1 {
		t.Errorf("learned at %d, %d, %d", s.LearnedAt(0), s.LearnedAt(1), s.LearnedAt(2))
	}
	s.Truncate(8)
	if err := s.Validate(); err != nil || len(s.Checkpoints) != 2 {
		t.Errorf("truncated to %v, %v", s.Checkpoints, err)
	}
	if err := s.Append(Checkpoint{8, 1}, snapshot(1)); err != nil {
		t.Errorf("a checkpoint after truncation: %v", err)
	}
}
