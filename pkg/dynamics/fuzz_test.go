package dynamics

import (
	"strings"
	"testing"

	"palimpsest/pkg/fuzztest"
	"palimpsest/pkg/results"
)

// withoutSum is what encode writes but for its sum, by which every change would be refused.
func withoutSum(f *testing.F, encode func() ([]byte, error)) []byte {
	f.Helper()
	whole, err := encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	text, err := results.Unseal(whole)
	if err != nil {
		f.Fatal(err)
	}
	return append(text, '\n')
}

// FuzzSeries reads arbitrary stored losses. What it accepts can be looked at as the report does.
func FuzzSeries(f *testing.F) {
	s := &Series{Axes: Axes{Tasks: []string{"a", "b"}, Images: 2, Timesteps: []int{1, 5}, LogSNR: []float64{3, -2}, Prediction: "eps", Probe: "p"},
		Checkpoints: []Checkpoint{{0, 0}, {9, 1}}, Loss: []float32{1, 2, 3, 4, 5, 6, 7, 8}, SE: make([]float32, 8)}
	text := withoutSum(f, s.encode)
	for _, change := range []struct{ from, to string }{{"", ""}, {`"step":9`, `"step":-9`}, {`"task":1`, `"task":7`}, {"[1,5]", "[5,1]"}, {"3,-2", "3,1e999"},
		{`"eps"`, `"eps\n"`}, {"}\n", "} {}"}, {`"format"`, `"for"`}, {"[1,2,3", "[[],2,3"}, {`"images":2`, `"images":99999999999`}} {
		f.Add([]byte(strings.Replace(string(text), change.from, change.to, 1)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s *Series
		if fuzztest.Read(t, len(text), func() (err error) { s, err = parseSeries(text); return err }) != nil {
			return
		}
		fuzztest.Rereads(t, s, (*Series).encode, parseSeries)
		if _, _, err := s.Mean("v"); err != nil {
			t.Fatal(err)
		}
		for task := range s.Tasks {
			s.LearnedAt(task)
		}
		for i := range s.Checkpoints {
			_, _ = s.Map("x0", i) // may say that there is too little
		}
		s.Truncate(3)
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzAutopsy reads arbitrary stored autopsies.
func FuzzAutopsy(f *testing.F) {
	curve := StitchCurve{FID: []float64{1, 2}, ClassAccuracy: []float64{0, 1}}
	a := &Autopsy{Tasks: []string{"a", "b"}, T: 9, Timesteps: []int{1, 5}, LogSNR: []float64{3, -2},
		Stitches:     []Stitching{{Task: 0, Samples: 4, Steps: 2, Thresholds: []int{0, 9}, OldHigh: curve, OldLow: curve}},
		Drifts:       []TaskDrift{{0, []float64{1, 0.5}, []float64{1, 0.25}}},
		Interference: []Interference{{1, []float64{1, -1}, []float64{1, 1}, []float64{1, 1}}}}
	text := withoutSum(f, a.encode)
	for _, change := range []struct{ from, to string }{{"", ""}, {`"task":0`, `"task":-1`}, {`"task":1`, `"task":7`}, {"[1,5]", "[5]"}, {"3,-2", "3,1e999"},
		{`"t":9`, `"t":9.5`}, {"}\n", "} {}"}, {`"tasks"`, `"tusks"`}, {`"stitches":[`, `"stitches":[[],`}} {
		f.Add([]byte(strings.Replace(string(text), change.from, change.to, 1)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var a *Autopsy
		if fuzztest.Read(t, len(text), func() (err error) { a, err = parseAutopsy(text); return err }) == nil {
			fuzztest.Rereads(t, a, (*Autopsy).encode, parseAutopsy)
		}
	})
}
