package likelihood

import (
	"bytes"
	"crypto/sha256"
	"math"
	"math/rand/v2"
	"slices"
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

// FuzzImportance reads arbitrary remembered losses under a digest put right; what it accepts is written as the bytes it was
// read from, and timesteps can be drawn by it.
func FuzzImportance(f *testing.F) {
	const T, memory = 3, 2
	fresh := func() *Importance {
		m, err := NewImportance(T, memory)
		if err != nil {
			f.Fatal(err)
		}
		return m
	}
	m := fresh()
	for i := range 8 {
		data, err := m.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:len(data)-sha256.Size])
		if err := m.Update(i%T, float64(i)/8); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		sum := sha256.Sum256(content)
		data := append(slices.Clone(content), sum[:]...)
		m := fresh()
		if fuzztest.Read(t, len(data), func() error { return m.UnmarshalBinary(data) }) != nil {
			return
		}
		written, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		fuzztest.Same(t, written, data)
		drawn, factors := m.Draw(rand.New(rand.NewPCG(1, 2)), 4)
		for i := range drawn {
			if drawn[i] < 0 || drawn[i] >= T || !(factors[i] > 0) || math.IsInf(factors[i], 0) {
				t.Fatalf("timestep %d with factor %g", drawn[i], factors[i])
			}
		}
		if err := m.Update(0, 1); err != nil {
			t.Fatal(err)
		}
	})
}
