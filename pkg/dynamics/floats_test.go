package dynamics

import (
	"math"
	"path/filepath"
	"testing"
)

// An autopsy keeps what it measured where one number came out as none: that is null in the file, which says why, and NaN again
// when read.
func TestAutopsyWithoutNumbers(t *testing.T) {
	curve := StitchCurve{FID: []float64{1, math.Inf(1)}, ClassAccuracy: []float64{0, 1}}
	a := &Autopsy{Tasks: []string{"a", "b"}, T: 9, Timesteps: []int{1, 5}, LogSNR: []float64{3, -2},
		Stitches:     []Stitching{{Thresholds: []int{0, 9}, OldHigh: curve, OldLow: StitchCurve{FID: []float64{1, 2}, ClassAccuracy: []float64{0, 1}}}},
		Drifts:       []TaskDrift{{CKA: []float64{math.NaN(), 0.5}, Unbiased: []float64{1, 0.25}}},
		Interference: []Interference{{Task: 1, Cosine: []float64{1, -1}, HalvesOld: []float64{1, 1}, HalvesNew: []float64{1, math.NaN()}}}}
	path := filepath.Join(t.TempDir(), "autopsy.json")
	if err := a.Save(path); err != nil {
		t.Fatal(err)
	}
	b, err := LoadAutopsy(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := b.Drifts[0]; !math.IsNaN(d.CKA[0]) || d.CKA[1] != 0.5 || d.Unbiased[0] != 1 || !math.IsNaN(b.Interference[0].HalvesNew[1]) || !math.IsNaN(b.Stitches[0].OldHigh.FID[1]) {
		t.Errorf("read back as %+v", b)
	}
	want := map[string]string{"drifts[0].cka[0]": "came out as NaN", "interference[0].halves_new[1]": "came out as NaN", "stitches[0].old_high.fid[1]": "came out as +Inf"}
	if len(b.Missing) != len(want) {
		t.Errorf("missing are %v, want %v", b.Missing, want)
	}
	for place, why := range want {
		if b.Missing[place] != why {
			t.Errorf("%s is missing as %q, want %q", place, b.Missing[place], why)
		}
	}
}
