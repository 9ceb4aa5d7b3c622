package likelihood

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"sync"
	"testing"
)

// reference is what testdata/reference.py stored.
type reference struct {
	N, Dim, Channels, T int
	Pixels              []int
	Noise, Weights      []float32
	Cases               []struct {
		Prediction, Variance string
		Clip                 bool
		VB, Prior, Total     []float64
		MSEImage             []float64 `json:"mse_image"`
		MSENoise             []float64 `json:"mse_noise"`
	}
	Bins []struct {
		Level      uint8
		Mean, Nats float64
		LogScale   float64 `json:"log_scale"`
	}
}

var loadReference = sync.OnceValues(func() (*reference, error) {
	text, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		return nil, err
	}
	r := &reference{}
	return r, json.Unmarshal(text, r)
})

func readReference(t *testing.T) *reference {
	t.Helper()
	r, err := loadReference()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// layer is the reference's network.
type layer struct {
	weights []float32
	outputs int
}

func (l *layer) Output(x []float32, t, y []int32) ([]float32, error) {
	dim := len(x) / len(t)
	out := make([]float32, len(t)*l.outputs)
	for k := range out {
		r, o := k/l.outputs, k%l.outputs
		sum := 0.1 * float64(o) * math.Cos(float64(t[r]))
		for j := range dim {
			sum += float64(l.weights[o*dim+j]) * float64(x[r*dim+j])
		}
		out[k] = float32(1.2 * math.Tanh(sum))
	}
	return out, nil
}

func TestAgainstReference(t *testing.T) {
	ref := readReference(t)
	data := &Data{N: ref.N, Dim: ref.Dim, Channels: ref.Channels, Labels: make([]int32, ref.N)}
	for _, p := range ref.Pixels {
		data.Pixels = append(data.Pixels, uint8(p))
	}
	if len(ref.Cases) != 12 {
		t.Fatalf("%d cases", len(ref.Cases))
	}
	for _, c := range ref.Cases {
		p := newProcess(t, ref.T, c.Prediction, c.Variance)
		outputs := p.OutChannels(ref.Channels) * ref.Dim / ref.Channels
		o := Options{Batch: 7, Clip: c.Clip, CDF: TanhCDF, Noise: func(dst []float32, id, t int) {
			copy(dst, ref.Noise[(id*ref.T+t)*ref.Dim:])
		}}
		b, err := Bound(t.Context(), p, &layer{ref.Weights, outputs}, data, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		total, err := b.TotalBPD()
		if err != nil {
			t.Fatal(err)
		}
		compare := func(name string, got func(i int) float64, want []float64, tolerance float64) {
			worst := 0.0
			for i, w := range want {
				worst = max(worst, math.Abs(got(i)-w))
				if g := got(i); math.Abs(g-w) > tolerance {
					t.Errorf("%s %s clip %v: %s[%d] is %.8g; want %.8g", c.Prediction, c.Variance, c.Clip, name, i, g, w)
				}
			}
			t.Logf("%s %s clip %v: %s off by at most %.2g of %.4g", c.Prediction, c.Variance, c.Clip, name, worst, slices.Max(want))
		}
		// float32's rounding of x_t and of the network's outputs is the only difference; squared errors are relative to
		// those of this bad network, up to 3e10 without clipping.
		mse := mseNoise(b)
		compare("term", func(i int) float64 { return float64(b.TermBPD[i]) }, c.VB, 1e-4)
		compare("MSE", func(i int) float64 { return float64(b.MSEImage[i]) }, c.MSEImage, 1e-5*max(1, slices.Max(c.MSEImage)))
		compare("noise MSE", func(i int) float64 { return float64(mse[i]) }, c.MSENoise, 1e-5*max(1, slices.Max(c.MSENoise)))
		compare("prior", func(i int) float64 { return float64(b.PriorBPD[i]) }, c.Prior, 1e-3*slices.Max(c.Prior))
		compare("total", func(i int) float64 { return total[i] }, c.Total, 1e-4)
	}
}

// Every case of the reference differs from every other, so that none can pass for another.
func TestReferenceDistinguishes(t *testing.T) {
	ref := readReference(t)
	for i := range ref.Cases {
		for j := range i {
			if slices.Equal(ref.Cases[i].VB, ref.Cases[j].VB) {
				t.Errorf("cases %d and %d are equal", i, j)
			}
		}
	}
}

// mseNoise is the squared error of the noise that agrees with each estimate of x_0, [N, K]: the image's, times the
// signal-to-noise ratio, because x_t is given.
func mseNoise(b *Terms) []float32 {
	mse := make([]float32, len(b.MSEImage))
	for i := range mse {
		mse[i] = float32(float64(b.MSEImage[i]) * math.Exp(float64(b.LogSNR[i%len(b.LogSNR)])))
	}
	return mse
}
