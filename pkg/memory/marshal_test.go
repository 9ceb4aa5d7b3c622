package memory

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"palimpsest/pkg/fuzztest"
)

func marshal(t testing.TB, b *Buffer) []byte {
	t.Helper()
	data, err := b.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestMarshal writes each buffer after each portion, restores it and lets both go on: they must stay equal.
func TestMarshal(t *testing.T) {
	for _, p := range policies(t) {
		rng := rand.New(rand.NewPCG(8, 8))
		b, n := newBuffer(t, 9, p, 77), 0
		for task := range 5 {
			again := newBuffer(t, 9, p, 77)
			add(t, again, 3, stream(0, 6, 6)) // what it held before must go
			data := marshal(t, b)
			if err := again.UnmarshalBinary(data); err != nil {
				t.Fatalf("%s, after %d tasks: %v", p.Name(), task, err)
			}
			// reflect.DeepEqual cannot compare herding's function.
			again.policy, b.policy = nil, nil
			if !reflect.DeepEqual(again, b) {
				t.Fatalf("%s, after %d tasks: restored %+v from %+v", p.Name(), task, again, b)
			}
			again.policy, b.policy = p, p
			labels := make([]int32, rng.IntN(20))
			for i := range labels {
				labels[i] = int32(rng.IntN(5))
			}
			add(t, b, task, stream(n, labels...))
			add(t, again, task, stream(n, labels...))
			n += len(labels)
			if !bytes.Equal(marshal(t, again), marshal(t, b)) {
				t.Fatalf("%s: restored and original part ways in task %d", p.Name(), task)
			}
		}
	}
}

// TestWideLabels: a buffer of classes above 255 is stored in the wide form and comes back; each image takes three bytes more.
func TestWideLabels(t *testing.T) {
	narrow, wide := newBuffer(t, 5, ClassBalanced{}, 1), newBuffer(t, 5, ClassBalanced{}, 1)
	add(t, narrow, 0, stream(0, 1, 255, 1, 255))
	add(t, wide, 0, stream(0, 1, 256, 1, 65_535))
	if got, want := wide.Bytes()-narrow.Bytes(), int64(4*3); got != want {
		t.Errorf("the wide form takes %d bytes more, want %d", got, want)
	}
	again := newBuffer(t, 5, ClassBalanced{}, 1)
	if err := again.UnmarshalBinary(marshal(t, wide)); err != nil {
		t.Fatal(err)
	}
	again.policy, wide.policy = nil, nil
	if !reflect.DeepEqual(again, wide) {
		t.Errorf("restored %+v from %+v", again, wide)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	for _, class := range []int32{3, 300} {
		testUnmarshalRefuses(t, class)
	}
}

func testUnmarshalRefuses(t *testing.T, class int32) {
	b := newBuffer(t, 5, ClassBalanced{}, 1)
	add(t, b, 0, stream(0, 1, 2, class, 1, 2, class))
	good := marshal(t, b)
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 0x10
		if newBuffer(t, 5, ClassBalanced{}, 1).UnmarshalBinary(bad) == nil {
			t.Errorf("a changed byte at %d was accepted", i)
		}
		if newBuffer(t, 5, ClassBalanced{}, 1).UnmarshalBinary(good[:i]) == nil {
			t.Errorf("the first %d bytes were accepted", i)
		}
	}
	if newBuffer(t, 5, ClassBalanced{}, 1).UnmarshalBinary(append(slices.Clone(good), 0)) == nil {
		t.Error("a byte too many was accepted")
	}
	for name, other := range map[string]*Buffer{
		"capacity": newBuffer(t, 6, ClassBalanced{}, 1), "policy": newBuffer(t, 5, Reservoir{}, 1),
		"seed": newBuffer(t, 5, ClassBalanced{}, 2), "no policy": {},
	} {
		if other.UnmarshalBinary(good) == nil {
			t.Errorf("another %s was accepted", name)
		}
		if other.Len() != 0 {
			t.Errorf("another %s: a refused buffer was taken over", name)
		}
	}
}

// TestUnmarshalInconsistent: contents that contradict themselves are refused though their digest is right. Offsets
// follow the layout: magic, name, header (capacity, seed, offered, classes, N, H, W, C), then (class, count) pairs,
// labels, tasks, numbers, pixels.
func TestUnmarshalInconsistent(t *testing.T) {
	b := newBuffer(t, 5, ClassBalanced{}, 1)
	add(t, b, 0, stream(0, 1, 2, 3, 1, 2, 3))
	good := marshal(t, b)
	good = good[:len(good)-sha256.Size]
	header := len(magic) + 1 + len(NameClassBalanced)
	pairs := header + 3*8 + 5*4
	labels := pairs + 3*9
	numbers := labels + 5*(1+4)
	refused := func(content []byte) bool {
		sum := sha256.Sum256(content)
		return newBuffer(t, 5, ClassBalanced{}, 1).UnmarshalBinary(append(slices.Clone(content), sum[:]...)) != nil
	}
	if refused(good) {
		t.Fatal("the sound contents are refused: the test's layout is wrong")
	}
	for name, change := range map[string]func(c []byte) []byte{
		"a byte too many":      func(c []byte) []byte { return append(c, 0) },
		"a byte too few":       func(c []byte) []byte { return c[:len(c)-1] },
		"more images than fit": func(c []byte) []byte { c[header+28] = 6; return c },
		"other pixels":         func(c []byte) []byte { c[header+32], c[header+36] = 1, 1; return c },
		"no pixels":            func(c []byte) []byte { c[header+32], c[header+28], c[header+24] = 0, 0, 0; return c[:pairs] },
		"giant images":         func(c []byte) []byte { copy(c[header+32:header+44], slices.Repeat([]byte{255}, 12)); return c },
		"a class twice": func(c []byte) []byte {
			c[pairs+9] = c[pairs]
			copy(c[labels:], []byte{1, 1, 1, 1, 3})
			return c
		},
		"a class counted 0":         func(c []byte) []byte { c[pairs+1] = 0; return c },
		"a class counted too high":  func(c []byte) []byte { c[pairs+1] = 3; return c },
		"more offered than counted": func(c []byte) []byte { c[header+16]++; return c },
		"a label never offered":     func(c []byte) []byte { c[labels] = 9; return c },
		"an image twice":            func(c []byte) []byte { copy(c[numbers:numbers+8], c[numbers+8:numbers+16]); return c },
		"an image of the future":    func(c []byte) []byte { c[numbers] = 6; return c },
	} {
		if !refused(change(slices.Clone(good))) {
			t.Errorf("%s: accepted", name)
		}
	}
	large := newBuffer(t, 6, ClassBalanced{}, 1)
	add(t, large, 0, stream(0, 1, 2, 3, 1, 2, 3))
	full := marshal(t, large)
	full[header] = 5
	if !refused(full[:len(full)-sha256.Size]) {
		t.Error("six images at capacity 5: accepted")
	}
	empty := marshal(t, newBuffer(t, 5, ClassBalanced{}, 1))
	copy(empty[header+32:], []byte{1, 0, 0, 0, 1, 0, 0, 0, 1})
	if !refused(empty[:len(empty)-sha256.Size]) {
		t.Error("a size of images before any was offered: accepted")
	}
}

// FuzzUnmarshal: no bytes may crash the reader, and what it accepts it must write back as it was. The digest is put
// right, so that the checks behind it are reached.
func FuzzUnmarshal(f *testing.F) {
	for n := range 4 {
		b := newBuffer(f, 5, ClassBalanced{}, 1)
		for task := range n {
			add(f, b, task, stream(4*task, repeat(2, int32(task), int32(task+1))...))
		}
		data := marshal(f, b)
		f.Add(data[:len(data)-sha256.Size])
		add(f, b, n, stream(4*n, repeat(2, 700)...))
		data = marshal(f, b)
		f.Add(data[:len(data)-sha256.Size])
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		sum := sha256.Sum256(content)
		data := append(slices.Clone(content), sum[:]...)
		b := newBuffer(t, 5, ClassBalanced{}, 1)
		if fuzztest.Read(t, len(data), func() error { return b.UnmarshalBinary(data) }) != nil {
			return
		}
		if b.Len() > b.capacity {
			t.Fatalf("%d images at capacity %d", b.Len(), b.capacity)
		}
		fuzztest.Same(t, marshal(t, b), data)
		if b.images != nil {
			im := *b.images
			if err := im.Validate(); err != nil {
				t.Fatal(err)
			}
			if err := b.Add(0, &im); err != nil {
				t.Fatal(err)
			}
		}
	})
}
