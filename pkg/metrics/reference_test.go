package metrics

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// reference is testdata/reference.json, the values by NumPy and SciPy; testdata/reference.py
// holds the command that made it.
type reference struct {
	Sets  map[string][][]float64 `json:"sets"`
	Pairs []struct {
		Name           string  `json:"name"`
		FID            float64 `json:"fid"`
		KID            float64 `json:"kid"`
		RowsA          [][]int `json:"subset_rows_a"`
		RowsB          [][]int `json:"subset_rows_b"`
		KIDSubsetsMean float64 `json:"kid_subsets_mean"`
		KIDSubsetsStd  float64 `json:"kid_subsets_std"`
		PRDC           []struct {
			K         int     `json:"k"`
			Precision float64 `json:"precision"`
			Recall    float64 `json:"recall"`
			Density   float64 `json:"density"`
			Coverage  float64 `json:"coverage"`
		} `json:"prdc"`
	} `json:"pairs"`
	Copies struct {
		Images  [][]float32 `json:"images"`
		Samples [][]float32 `json:"samples"`
		Want    []struct {
			Ratio float64   `json:"ratio"`
			Index []int     `json:"index"`
			D1    []float64 `json:"d1"`
			D2    []float64 `json:"d2"`
			Share float64   `json:"share"`
		} `json:"want"`
	} `json:"copies"`
	Labels struct {
		Reference []float64 `json:"reference"`
		Generated []float64 `json:"generated"`
		KL        float64   `json:"kl"`
		ARD       float64   `json:"ard"`
	} `json:"labels"`
}

func loadReference(t *testing.T) *reference {
	t.Helper()
	data, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	r := new(reference)
	if err := json.Unmarshal(data, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *reference) pair(name string) (a, b *mat.Dense) {
	return dense(r.Sets[name+"_a"]), dense(r.Sets[name+"_b"])
}

func dense(rows [][]float64) *mat.Dense {
	m := mat.NewDense(len(rows), len(rows[0]), nil)
	for i, row := range rows {
		m.SetRow(i, row)
	}
	return m
}

// near fails unless got agrees with want to the relative tolerance tol, or to tol itself around 0.
func near(t *testing.T, name string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol*math.Max(math.Abs(want), tol)) {
		t.Errorf("%s = %.15g, want %.15g to %g", name, got, want, tol)
	}
}

func TestAgainstNumPy(t *testing.T) {
	r := loadReference(t)
	for _, p := range r.Pairs {
		t.Run(p.Name, func(t *testing.T) {
			a, b := r.pair(p.Name)
			fid, err := FID(a, b, FIDOptions{AllowSmallN: true})
			if err != nil {
				t.Fatal(err)
			}
			near(t, "FID", fid, p.FID, 1e-10) // 1e-6 would do, but hides the roots of rounding errors
			back, err := FID(b, a, FIDOptions{AllowSmallN: true})
			if err != nil {
				t.Fatal(err)
			}
			near(t, "FID with the sets exchanged", back, p.FID, 1e-10)

			kid, err := KID(a, b, KIDOptions{})
			if err != nil {
				t.Fatal(err)
			}
			near(t, "KID", kid.Mean, p.KID, 1e-9)
			subsets := kidOfSubsets(a, b, p.RowsA, p.RowsB)
			near(t, "KID over subsets", subsets.Mean, p.KIDSubsetsMean, 1e-9)
			near(t, "its deviation", subsets.Std, p.KIDSubsetsStd, 1e-9)

			for _, want := range p.PRDC {
				got, err := PRDC(a, b, want.K)
				if err != nil {
					t.Fatal(err)
				}
				near(t, "precision", got.Precision, want.Precision, 1e-12)
				near(t, "recall", got.Recall, want.Recall, 1e-12)
				near(t, "density", got.Density, want.Density, 1e-12)
				near(t, "coverage", got.Coverage, want.Coverage, 1e-12)
			}
		})
	}
	t.Run("labels", func(t *testing.T) {
		kl, err := LabelKL(r.Labels.Reference, r.Labels.Generated)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "KL", kl, r.Labels.KL, 1e-9)
		ard, err := LabelARD(r.Labels.Reference, r.Labels.Generated)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "ARD", ard, r.Labels.ARD, 1e-12)
	})
	t.Run("copies", func(t *testing.T) {
		size := len(r.Copies.Images[0])
		set, err := newImageSet(flatten(r.Copies.Images), 1, size, 1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := set.Nearest(flatten(r.Copies.Samples))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range r.Copies.Want {
			for i, nb := range got {
				if nb.Index != want.Index[i] {
					t.Errorf("sample %d: nearest image is %d, want %d", i, nb.Index, want.Index[i])
				}
				// NumPy subtracts the float32 pixels in float64, as we do.
				near(t, "d1", nb.D1, want.D1[i], 1e-6)
				near(t, "d2", nb.D2, want.D2[i], 1e-6)
			}
			near(t, "share of copies", weightedCopyShare(got, want.Ratio, nil), want.Share, 1e-12)
		}
	})
}

func flatten(rows [][]float32) []float32 {
	var out []float32
	for _, r := range rows {
		out = append(out, r...)
	}
	return out
}
