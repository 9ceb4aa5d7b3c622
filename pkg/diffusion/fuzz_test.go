package diffusion

import (
	"crypto/sha256"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"palimpsest/pkg/fuzztest"
)

// FuzzLossHistory reads arbitrary remembered losses under a digest put right; what it accepts is written as the bytes it was
// read from, and timesteps can be drawn by it.
func FuzzLossHistory(f *testing.F) {
	const T, memory = 3, 2
	fresh := func() *LossHistory {
		m, err := NewLossHistory(T, memory)
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
