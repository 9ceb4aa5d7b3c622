package likelihood

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
func filled(t *testing.T) *Importance {
	t.Helper()
	m, err := NewImportance(3, 4)
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

// TestImportanceStored: a history that was written and read goes on as the one that was not, bit for bit.
func TestImportanceStored(t *testing.T) {
	m := filled(t)
	for k := range 12 {
		text, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		again, err := NewImportance(3, 4)
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
		for _, x := range []*Importance{m, again} {
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

// TestImportanceRefusesBytes: parts of a stored history, damaged ones, and those of another size are refused, also where
// the hash is right, and change nothing.
func TestImportanceRefusesBytes(t *testing.T) {
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

// TestImportanceFactors: the mean of factor·L_t under the weights is the mean of L_t over timesteps, exactly.
func TestImportanceFactors(t *testing.T) {
	const T = 7
	m, err := NewImportance(T, 1)
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
