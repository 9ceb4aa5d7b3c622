//go:build cgo && linux && (amd64 || arm64)

package fastconv

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// philox is one group of words, by its definition ([philox]).
func philox(key uint64, counter [2]uint64) [4]uint32 {
	c := [4]uint32{uint32(counter[0]), uint32(counter[0] >> 32), uint32(counter[1]), uint32(counter[1] >> 32)}
	k := [2]uint32{uint32(key), uint32(key >> 32)}
	for range 10 {
		p, q := uint64(c[0])*0xD2511F53, uint64(c[2])*0xCD9E8D57
		c = [4]uint32{uint32(q>>32) ^ c[1] ^ k[0], uint32(q), uint32(p>>32) ^ c[3] ^ k[1], uint32(p)}
		k[0], k[1] = k[0]+0x9E3779B9, k[1]+0xBB67AE85
	}
	return c
}

// TestRandomBits compares the kernel with the definition, whose values are held against the authors' known answers, over numbers
// of words, threads and vectors, and where the counter's lower half runs over.
func TestRandomBits(t *testing.T) {
	needKernels(t)
	for _, known := range []struct {
		key     uint64
		counter [2]uint64
		want    [4]uint32
	}{
		{0, [2]uint64{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{math.MaxUint64, [2]uint64{math.MaxUint64, math.MaxUint64}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{0x299f31d0a4093822, [2]uint64{0x85a308d3243f6a88, 0x0370734413198a2e}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox(known.key, known.counter); got != known.want {
			t.Errorf("key %x, counter %x: %x, the authors have %x", known.key, known.counter, got, known.want)
		}
	}
	rng := rand.New(rand.NewPCG(15, 16))
	for _, n := range []int{1, 3, 4, 31, 32, 33, 4*4096 - 1, 4 * 4096, 4*4096 + 1, 50001} {
		state := [3]uint64{rng.Uint64(), rng.Uint64(), rng.Uint64()}
		if n > 30 {
			state[1] = math.MaxUint64 - 5
		}
		want, counter := make([]uint32, 0, n+3), [2]uint64{state[1], state[2]}
		for len(want) < n {
			group := philox(state[0], counter)
			want = append(want, group[:]...)
			if counter[0]++; counter[0] == 0 {
				counter[1]++
			}
		}
		for _, threads := range []int{1, 3} {
			for _, vector := range []int{0, 8} {
				next, got, err := words(state, n, threads, vector)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want[:n]) || next != [3]uint64{state[0], counter[0], counter[1]} {
					t.Errorf("%d words on %d threads with vectors of at most %d: other words, or the state %x, want %x", n, threads, vector, next, counter)
				}
			}
		}
	}
}
