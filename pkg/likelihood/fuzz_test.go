package likelihood

import (
	"bytes"
	"testing"

	"palimpsest/pkg/fuzztest"
)

// FuzzTerms reads arbitrary stored terms; what it accepts is written as the bytes it was read from.
func FuzzTerms(f *testing.F) {
	for _, timesteps := range [][]int32{{0}, {0, 3, 7}} {
		b := &Terms{Info: Info{N: 2, Dim: 4, T: 8, Schedule: "linear", Prediction: "eps", Variance: "fixed-large", CDF: "exact", Seed: 1}, Timesteps: timesteps}
		for i := range timesteps {
			b.LogSNR = append(b.LogSNR, float32(4-i))
		}
		b.TermBPD, b.MSEImage = make([]float32, b.N*len(timesteps)), make([]float32, b.N*len(timesteps))
		b.PriorBPD, b.Labels = []float32{0.25, 0.5}, []int32{3, -1}
		data, err := b.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-1])
		f.Add(bytes.Replace(data, []byte(`\"T\":8`), []byte(`\"T\":-`), 1))
		f.Add(bytes.Replace(data, []byte(`\"N\":2`), []byte(`\"N\":9`), 1))
	}
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		var b *Terms
		if fuzztest.Read(t, len(data), func() (err error) { b, err = parse(data); return err }) != nil {
			return
		}
		written, err := b.encode()
		if err != nil {
			t.Fatal(err)
		}
		fuzztest.Same(t, written, data)
	})
}
