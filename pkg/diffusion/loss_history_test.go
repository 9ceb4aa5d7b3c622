package diffusion

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// filled remembers some losses of three timesteps, the second one's in part, the third one's over and over.
func filled(t *testing.T) *LossHistory {
	t.Helper()
	m, err := NewLossHistory(3, 4)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for step, n := range []int{4, 2, 11} {
		for range n {
			if err := m.Update(step, random.ExpFloat64()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

// TestLossHistoryStored: a history that was written and read goes on as the one that was not, bit for bit.
func TestLossHistoryStored(t *testing.T) {
	m := filled(t)
	for k := range 12 {
		text, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		again, err := NewLossHistory(3, 4)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalBinary(text); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(again.Weights(), m.Weights()) || again.Ready() != m.Ready() {
			t.Fatalf("after %d more losses: weights %v, ready %v; want %v, %v", k, again.Weights(), again.Ready(), m.Weights(), m.Ready())
		}
		// The next loss must overwrite the same one.
		for _, x := range []*LossHistory{m, again} {
			if err := x.Update(k%3, float64(k)); err != nil {
				t.Fatal(err)
			}
		}
		a, _ := m.MarshalBinary()
		b, _ := again.MarshalBinary()
		if !bytes.Equal(a, b) {
			t.Fatalf("after %d more losses the two differ", k+1)
		}
	}
	if !m.Ready() {
		t.Error("no full history in the end")
	}
}

// TestLossHistoryRefusesBytes: parts of a stored history, damaged ones, and those of another size are refused, also where
// the hash is right, and change nothing.
func TestLossHistoryRefusesBytes(t *testing.T) {
	m := filled(t)
	good, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	content := good[:len(good)-sha256.Size]
	hashed := func(content []byte) []byte {
		sum := sha256.Sum256(content)
		return append(bytes.Clone(content), sum[:]...)
	}
	word := func(at int, w uint64) []byte {
		changed := bytes.Clone(content)
		binary.LittleEndian.PutUint64(changed[at:], w)
		return hashed(changed)
	}
	first := len(importanceMagic) + 8
	wrong := map[string][]byte{
		"no bytes":          nil,
		"a byte more":       hashed(append(bytes.Clone(content), 0)),
		"a word more":       hashed(append(bytes.Clone(content), make([]byte, 8)...)),
		"other timesteps":   word(len(importanceMagic), 2|4<<32),
		"another memory":    word(len(importanceMagic), 3|5<<32),
		"a loss less":       word(first, 3),
		"a negative count":  word(first, math.MaxUint64),
		"not a number":      word(first+8, math.Float64bits(math.NaN())),
		"an infinite loss":  word(first+8, math.Float64bits(math.Inf(1))),
		"another form":      hashed(append([]byte("palimpsest importance 2\n"), content[len(importanceMagic):]...)),
		"a flipped bit":     append(append(bytes.Clone(good[:50]), good[50]^1), good[51:]...),
		"a longer history":  word(len(importanceMagic), 3|2<<32),
		"more than is here": hashed(content[:len(content)-8]),
	}
	for n := range content {
		wrong["a part"] = hashed(content[:n])
		for name, data := range wrong {
			if m.UnmarshalBinary(data) == nil {
				t.Fatalf("%s (%d of %d bytes): accepted", name, n, len(content))
			}
		}
	}
	if after, _ := m.MarshalBinary(); !bytes.Equal(after, good) {
		t.Error("a refused history changed the one at hand")
	}
}

// TestLossHistoryFactors: the mean of factor·L_t under the weights is the mean of L_t over timesteps, exactly.
func TestLossHistoryFactors(t *testing.T) {
	const T = 7
	m, err := NewLossHistory(T, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for step := range T {
		loss := math.Exp(-float64(step))
		want += loss / T
		if err := m.Update(step, loss); err != nil {
			t.Fatal(err)
		}
	}
	steps, factors := m.Draw(rand.New(rand.NewPCG(1, 2)), 20000)
	mean := map[int32]float64{}
	for i, step := range steps {
		mean[step] = m.Weights()[step] * factors[i] * math.Exp(-float64(step))
	}
	got := 0.0
	for _, x := range mean {
		got += x
	}
	if len(mean) != T || math.Abs(got-want) > 1e-15 {
		t.Errorf("%d timesteps drawn, expectation %g; want all %d and %g", len(mean), got, T, want)
	}
}

// TestLossHistory: draws are uniform until every timestep has a full history, and then in proportion to root mean squares.
func TestLossHistory(t *testing.T) {
	m, err := NewLossHistory(3, 2)
	if err != nil {
		t.Fatal(err)
	}
	update := func(t_ int, losses ...float64) {
		for _, l := range losses {
			if err := m.Update(t_, l); err != nil {
				t.Fatal(err)
			}
		}
	}
	update(0, 9, 3, 4) // 9 is forgotten
	update(1, 1, 1)
	if m.Ready() || m.Weights()[0] != 1./3 {
		t.Error("ready without a history of timestep 2")
	}
	update(2, 0, 0)
	// Root mean squares sqrt(12.5), 1 and 0.
	w := m.Weights()
	if want := 0.999/(1+1/math.Sqrt(12.5)) + 0.001/3; !m.Ready() || math.Abs(w[0]-want) > 1e-12 || math.Abs(w[2]-0.001/3) > 1e-12 {
		t.Errorf("weights %v; want the first %g", w, want)
	}
	// The factor keeps the mean of a function of t: E[factor·f(t)] = mean of f. n = 20,000 draws of factor·f, deviation
	// below 2: standard error 0.014.
	steps, factors := m.Draw(rand.New(rand.NewPCG(1, 1)), 20000)
	sum := 0.0
	for i, step := range steps {
		sum += factors[i] * []float64{3, 1, 0}[step] / 20000
	}
	if math.Abs(sum-4./3) > 0.07 {
		t.Errorf("weighted mean %g; want 4/3", sum)
	}
	for _, l := range []float64{math.NaN(), math.Inf(1)} {
		if m.Update(0, l) == nil {
			t.Errorf("loss %g passes", l)
		}
	}
	if m.Update(3, 1) == nil {
		t.Error("timestep 3 of 3 passes")
	}
}
