package memory

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"palimpsest/datasets"
)

// TestKeptApart: a buffer kept apart is named by its content, which is what it would otherwise be stored as; the name stays while
// nothing is added; and it is restored from the content of that name and from no other.
func TestKeptApart(t *testing.T) {
	for _, p := range policies(t) {
		store := map[string][]byte{}
		read := func(name string) ([]byte, error) {
			if content, ok := store[name]; ok {
				return content, nil
			}
			return nil, errors.New("gone")
		}
		b := newBuffer(t, 9, p, 77)
		b.KeepApart(100, read)
		add(t, b, 0, stream(0, 1, 2))
		if b.Apart() {
			t.Fatalf("%s: two images of 15 bytes are kept apart", p.Name())
		}
		add(t, b, 1, stream(2, repeat(5, 1, 2, 3)...))
		name, again := marshal(t, b), marshal(t, b)
		if !b.Apart() || !bytes.Equal(name, again) || len(name) > 100 {
			t.Fatalf("%s: nine images are stored in %d bytes, then in others", p.Name(), len(name))
		}
		sum, err := b.Sum()
		if err != nil {
			t.Fatal(err)
		}
		var content bytes.Buffer
		if err := b.WriteContent(&content); err != nil {
			t.Fatal(err)
		}
		store[sum] = content.Bytes()
		whole := newBuffer(t, 9, p, 77)
		if err := whole.UnmarshalBinary(content.Bytes()); err != nil || !bytes.Equal(marshal(t, whole), content.Bytes()) {
			t.Errorf("%s: the content is not a stored buffer: %v", p.Name(), err)
		}
		restored := newBuffer(t, 9, p, 77)
		if err := restored.UnmarshalBinary(name); err == nil || !strings.Contains(err.Error(), "no place") {
			t.Errorf("%s: a name is restored without a place to read from: %v", p.Name(), err)
		}
		restored.KeepApart(100, read)
		if err := restored.UnmarshalBinary(name); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(marshal(t, restored), name) || !slices.Equal(offers(restored), offers(b)) {
			t.Errorf("%s: restored %v from %v", p.Name(), offers(restored), offers(b))
		}
		add(t, restored, 2, stream(17, repeat(20, 4)...))
		if changed := marshal(t, restored); bytes.Equal(changed, name) {
			t.Errorf("%s: the name stays although images were added", p.Name())
		}
		store[sum] = append(slices.Clone(content.Bytes()), 0)
		if err := newApart(t, p, read).UnmarshalBinary(name); err == nil || !strings.Contains(err.Error(), "not what it was") {
			t.Errorf("%s: another content is restored: %v", p.Name(), err)
		}
		delete(store, sum)
		for _, bad := range [][]byte{name, name[:len(name)-1], append(slices.Clone(name), 'a')} {
			if newApart(t, p, read).UnmarshalBinary(bad) == nil {
				t.Errorf("%s: %q is restored", p.Name(), bad)
			}
		}
	}
}

func newApart(t testing.TB, p Policy, read func(string) ([]byte, error)) *Buffer {
	t.Helper()
	b := newBuffer(t, 9, p, 77)
	b.KeepApart(100, read)
	return b
}

// chosen is a reservoir whose images are chosen together, as those of other policies are.
type chosen struct{ Policy }

// TestReservoirInPlace: images put into their places one by one are those that the policy chooses of them all, in the same order.
func TestReservoirInPlace(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	placed, together := newBuffer(t, 13, Reservoir{}, 9), newBuffer(t, 13, chosen{Reservoir{}}, 9)
	for first, task := 0, 0; first < 200; task++ {
		labels := make([]int32, 1+rng.IntN(20))
		for i := range labels {
			labels[i] = int32(rng.IntN(500))
		}
		im := stream(first, labels...)
		add(t, placed, task, im)
		add(t, together, task, im)
		first += len(labels)
		if !bytes.Equal(marshal(t, placed), marshal(t, together)) {
			t.Fatalf("after %d images the buffers hold %v and %v", first, offers(placed), offers(together))
		}
		draw := func(b *Buffer) []int { return b.DrawBalanced(rand.New(rand.NewPCG(1, 1)), 7) }
		if !slices.Equal(draw(placed), draw(together)) {
			t.Fatalf("after %d images the buffers are drawn from in other ways", first)
		}
	}
}

// BenchmarkRows is a step's share of a buffer: 16 rows drawn and brought to numbers. It costs the same whatever the buffer holds.
func BenchmarkRows(b *testing.B) {
	for name, n := range map[string]int{"1e3": 1e3, "1e6": 1e6} {
		for _, classes := range []int{10, 65_535} {
			large := newBuffer(b, n, Reservoir{}, 1)
			im := &datasets.Images{N: n, H: 16, W: 16, C: 1, Pixels: make([]uint8, n*256), Labels: make([]int32, n)}
			for i := range im.Labels {
				im.Labels[i] = int32(i % classes)
			}
			add(b, large, 0, im)
			rng, row := rand.New(rand.NewPCG(1, 2)), make([]float32, 256)
			for what, draw := range map[string]func(*rand.Rand, int) []int{"uniform": large.Draw, "balanced": large.DrawBalanced} {
				draw(rng, 1)
				b.Run(name+"/"+what+"/"+map[int]string{10: "10 classes", 65_535: "65535 classes"}[classes], func(b *testing.B) {
					for range b.N {
						for _, i := range draw(rng, 16) {
							datasets.Scale(row, large.Images().Image(i))
						}
					}
				})
			}
		}
	}
}

// BenchmarkAdd is a step's share of a buffer that a stream without borders is offered to: 16 images.
func BenchmarkAdd(b *testing.B) {
	for name, n := range map[string]int{"1e3": 1e3, "1e6": 1e6} {
		large := newBuffer(b, n, Reservoir{}, 1)
		add(b, large, 0, &datasets.Images{N: n, H: 16, W: 16, C: 1, Pixels: make([]uint8, n*256), Labels: make([]int32, n)})
		few := &datasets.Images{N: 16, H: 16, W: 16, C: 1, Pixels: make([]uint8, 16*256), Labels: make([]int32, 16)}
		b.Run(name, func(b *testing.B) {
			for range b.N {
				add(b, large, 0, few)
			}
		})
	}
}
