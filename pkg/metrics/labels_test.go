package metrics

import (
	"math"
	"testing"
)

func TestLabelMeasures(t *testing.T) {
	for _, tc := range []struct {
		name    string
		p, q    []float64
		kl, ard float64
	}{
		{"equal", []float64{5, 5}, []float64{50, 50}, 0, 0},
		// ln 2 + tiny: all mass on one of two equal classes loses the other, which costs
		// ½·ln(½/1) + ½·ln(½/1e-8).
		{"one of two lost", []float64{1, 1}, []float64{1, 0}, 0.5*math.Log(0.5) + 0.5*math.Log(0.5/1e-8), 0.5},
		// ½·ln(½/¼) + ½·ln(½/¾) = ½·ln(4/3).
		{"a half against a quarter", []float64{1, 1}, []float64{1, 3}, 0.5 * math.Log(4.0/3), 0.25},
		{"a class the reference lacks", []float64{1, 0}, []float64{1, 1}, math.Ln2, 0.5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kl, err := LabelKL(tc.p, tc.q)
			if err != nil {
				t.Fatal(err)
			}
			// The smoothing of 1e-8 moves a share of a half by 2e-8.
			if math.Abs(kl-tc.kl) > 1e-6 {
				t.Errorf("KL = %g nats, want %g", kl, tc.kl)
			}
			ard, err := LabelARD(tc.p, tc.q)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(ard-tc.ard) > 1e-12 {
				t.Errorf("ARD = %g, want %g", ard, tc.ard)
			}
		})
	}
	for name, pair := range map[string][2][]float64{
		"lengths": {{1}, {1, 2}}, "empty": {{0, 0}, {1, 2}}, "negative": {{1, 1}, {2, -1}}, "none": {{}, {}},
		"not a number": {{1, math.NaN()}, {1, 1}},
	} {
		if kl, err := LabelKL(pair[0], pair[1]); err == nil || !math.IsNaN(kl) {
			t.Errorf("%s: KL = %g and no error", name, kl)
		}
		if ard, err := LabelARD(pair[0], pair[1]); err == nil || !math.IsNaN(ard) {
			t.Errorf("%s: ARD = %g and no error", name, ard)
		}
	}
}

func TestLabelHistogramAndAccuracy(t *testing.T) {
	h, err := LabelHistogram([]int{2, 0, 2, 2}, 4)
	if err != nil {
		t.Fatal(err)
	}
	for c, want := range []float64{1, 0, 3, 0} {
		if h[c] != want {
			t.Errorf("class %d occurs %g times, want %g", c, h[c], want)
		}
	}
	if _, err := LabelHistogram([]int{0, 4}, 4); err == nil {
		t.Error("label 4 of 4 classes gave no error")
	}
	acc, err := Accuracy([]int{1, 2, 3, 3}, []int{1, 2, 0, 3})
	if err != nil || acc != 0.75 {
		t.Errorf("accuracy %g, error %v; want 0.75", acc, err)
	}
	if _, err := Accuracy(nil, nil); err == nil {
		t.Error("accuracy of nothing gave no error")
	}
}
