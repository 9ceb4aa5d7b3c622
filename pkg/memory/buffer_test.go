package memory

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"

	"palimpsest/datasets"
)

// stream returns 2×1 images with the given labels; the two pixels spell out the image's number.
func stream(first int, labels ...int32) *datasets.Images {
	im := &datasets.Images{N: len(labels), H: 2, W: 1, C: 1, Labels: labels}
	for i := range labels {
		im.Pixels = append(im.Pixels, uint8((first+i)>>8), uint8(first+i))
	}
	return im
}

// number reads back what stream wrote.
func number(im *datasets.Images, i int) int { return int(im.Image(i)[0])<<8 | int(im.Image(i)[1]) }

// repeat returns n times each of the classes, class after class.
func repeat(n int, classes ...int32) []int32 {
	var labels []int32
	for _, c := range classes {
		labels = append(labels, slices.Repeat([]int32{c}, n)...)
	}
	return labels
}

// angles gives image number n the feature (cos n, sin n), for herding in tests.
func angles(im *datasets.Images) (*mat.Dense, error) {
	m := mat.NewDense(im.N, 2, nil)
	for i := range im.N {
		sin, cos := math.Sincos(float64(number(im, i)))
		m.SetRow(i, []float64{cos, sin})
	}
	return m, nil
}

// remainders gives every image a loss by its number alone, out of order, for policies by loss in tests.
func remainders(im *datasets.Images) ([]float64, error) {
	losses := make([]float64, im.N)
	for i := range losses {
		losses[i] = float64(number(im, i) * 7 % 31)
	}
	return losses, nil
}

func policies(t testing.TB) []Policy {
	t.Helper()
	var all []Policy
	for _, name := range PolicyNames() {
		p, err := NewPolicy(name, Measures{angles, remainders})
		if err != nil {
			t.Fatal(err)
		}
		if p.Name() != name {
			t.Fatalf("policy %q calls itself %q", name, p.Name())
		}
		all = append(all, p)
	}
	return all
}

func newBuffer(t testing.TB, capacity int, p Policy, seed uint64) *Buffer {
	t.Helper()
	b, err := New(capacity, p, seed)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func add(t testing.TB, b *Buffer, task int, im *datasets.Images) {
	t.Helper()
	if err := b.Add(task, im); err != nil {
		t.Fatal(err)
	}
}

// TestBufferProperties feeds random streams to every policy and checks what all of them owe.
func TestBufferProperties(t *testing.T) {
	for _, p := range policies(t) {
		t.Run(p.Name(), func(t *testing.T) {
			for seed := range uint64(40) {
				rng := rand.New(rand.NewPCG(seed, 0))
				b := newBuffer(t, 1+rng.IntN(30), p, seed)
				var all []int32
				for task := range 5 {
					labels := make([]int32, rng.IntN(40))
					for i := range labels {
						labels[i] = int32(rng.IntN(7))
					}
					add(t, b, task, stream(len(all), labels...))
					all = append(all, labels...)
					if want := min(b.capacity, len(all)); b.Len() != want {
						t.Fatalf("seed %d, task %d: %d images kept of %d at capacity %d, want %d", seed, task, b.Len(), len(all), b.capacity, want)
					}
					im := b.Images()
					if err := im.Validate(); err != nil || im.N != b.Len() {
						t.Fatalf("seed %d: images %v, N %d of %d", seed, err, im.N, b.Len())
					}
					if want := int64(b.Len() * (2 + 13)); b.Bytes() != want {
						t.Errorf("%d bytes, want %d", b.Bytes(), want)
					}
					found := map[int]bool{}
					for i, item := range b.Items() {
						n := number(im, i)
						if n != int(item.Offer) || im.Labels[i] != all[n] || item.Class != int(all[n]) || item.Task > task || found[n] {
							t.Fatalf("seed %d: place %d holds image %d with label %d, item %+v; the stream has label %d there", seed, i, n, im.Labels[i], item, all[n])
						}
						found[n] = true
					}
				}
			}
		})
	}
}

// TestPortions checks that the random policies keep the same of a stream however it is cut.
func TestPortions(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	labels := make([]int32, 300)
	for i := range labels {
		labels[i] = int32(rng.IntN(4))
	}
	for _, p := range []Policy{Reservoir{}, ClassBalanced{}} {
		whole, parts := newBuffer(t, 25, p, 9), newBuffer(t, 25, p, 9)
		add(t, whole, 0, stream(0, labels...))
		for first := 0; first < len(labels); first += 60 {
			add(t, parts, 0, stream(first, labels[first:first+60]...))
		}
		a, b := offers(whole), offers(parts)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Errorf("%s keeps %v of the whole stream and %v of its parts", p.Name(), a, b)
		}
		other := newBuffer(t, 25, p, 10)
		add(t, other, 0, stream(0, labels...))
		if c := offers(other); slices.Equal(offers(whole), c) {
			t.Errorf("%s keeps the same images under another seed", p.Name())
		}
	}
}

func offers(b *Buffer) []int {
	var out []int
	for _, item := range b.Items() {
		out = append(out, int(item.Offer))
	}
	return out
}

// TestReservoirUniform: each of n images stays with probability p = K/n, so over S independent seeds its count has
// mean S·p and standard deviation sqrt(S·p·(1-p)). Counts of the n images sum to S·K; a chi-square over them has about
// n-1 degrees of freedom times (1-p).
func TestReservoirUniform(t *testing.T) {
	checkUniform(t, Reservoir{}, 100, 10, slices.Repeat([]int32{0}, 100))
}

// TestClassBalancedUniform: with two classes of 50 and 10 places each image stays with probability 5/50.
func TestClassBalancedUniform(t *testing.T) {
	checkUniform(t, ClassBalanced{}, 100, 10, repeat(50, 0, 1))
}

func checkUniform(t *testing.T, p Policy, n, capacity int, labels []int32) {
	const seeds = 2000
	counts := make([]float64, n)
	for seed := range uint64(seeds) {
		b := newBuffer(t, capacity, p, seed)
		add(t, b, 0, stream(0, labels[:n/2]...))
		add(t, b, 1, stream(n/2, labels[n/2:]...))
		for _, item := range b.Items() {
			counts[item.Offer]++
		}
	}
	share := float64(capacity) / float64(n)
	mean, variance := seeds*share, seeds*share*(1-share)
	chi2 := 0.0
	for i, c := range counts {
		// Five standard deviations: one in 17,000 tests of 100 images would fail by chance; the seeds are fixed.
		if math.Abs(c-mean) > 5*math.Sqrt(variance) {
			t.Errorf("image %d was kept %g times in %d runs, want %g ± %.0f", i, c, seeds, mean, math.Sqrt(variance))
		}
		chi2 += (c - mean) * (c - mean) / variance
	}
	// Mean n-1, standard deviation sqrt(2(n-1)) = 14.1: within five of them on both sides.
	if d := float64(n - 1); math.Abs(chi2-d) > 5*math.Sqrt(2*d) {
		t.Errorf("chi-square of the counts is %.1f, want %g ± %.1f", chi2, d, math.Sqrt(2*d))
	}
}

func TestClassBalancedShares(t *testing.T) {
	b := newBuffer(t, 10, ClassBalanced{}, 3)
	for _, step := range []struct {
		labels []int32
		want   map[int]int // images a class, by hand: 10 places, remainder to the first classes
	}{
		{repeat(20, 4), map[int]int{4: 10}},
		{repeat(20, 2), map[int]int{4: 5, 2: 5}},
		{repeat(20, 7), map[int]int{4: 4, 2: 3, 7: 3}},
		{repeat(1, 0), map[int]int{4: 3, 2: 3, 7: 3, 0: 1}},
		{repeat(20, 0), map[int]int{4: 3, 2: 3, 7: 2, 0: 2}},
	} {
		before := offers(b)
		add(t, b, 0, stream(int(b.offered), step.labels...))
		got := map[int]int{}
		for _, item := range b.Items() {
			got[item.Class]++
			if item.Class != int(step.labels[0]) && !slices.Contains(before, int(item.Offer)) {
				t.Errorf("image %d came back after it had been dropped", item.Offer)
			}
		}
		for class, want := range step.want {
			if got[class] != want {
				t.Errorf("class %d has %d images, want %v", class, got[class], step.want)
			}
		}
	}
}

func TestShares(t *testing.T) {
	for _, tc := range []struct {
		capacity  int
		available []int
		want      []int
	}{
		{7, []int{9, 9, 9}, []int{3, 2, 2}},
		{9, []int{1, 9, 9}, []int{1, 4, 4}},
		{8, []int{9, 1, 9}, []int{4, 1, 3}},
		{2, []int{9, 9, 9}, []int{1, 1, 0}},
		{9, []int{1, 2, 3}, []int{1, 2, 3}},
		{5, nil, nil},
	} {
		if got := shares(tc.capacity, tc.available); !slices.Equal(got, tc.want) {
			t.Errorf("shares(%d, %v) = %v, want %v", tc.capacity, tc.available, got, tc.want)
		}
	}
}

func TestErrors(t *testing.T) {
	if _, err := New(0, Reservoir{}, 0); err == nil {
		t.Error("a buffer of 0 images was accepted")
	}
	if _, err := New(3, nil, 0); err == nil {
		t.Error("a buffer without a policy was accepted")
	}
	if _, err := NewPolicy("herdin", Measures{angles, remainders}); err == nil {
		t.Error("an unknown policy was accepted")
	}
	for _, name := range []string{NameHerding, NameHighLoss, NameLowLoss} {
		if _, err := NewPolicy(name, Measures{}); err == nil {
			t.Errorf("%s without its measure was accepted", name)
		}
	}
	b := newBuffer(t, 3, Reservoir{}, 0)
	add(t, b, 0, stream(0, 1, 2))
	wide := &datasets.Images{N: 1, H: 1, W: 2, C: 1, Pixels: []uint8{1, 2}, Labels: []int32{0}}
	short := stream(0, 1, 2)
	short.Pixels = short.Pixels[1:]
	for name, err := range map[string]error{
		"another size": b.Add(1, wide), "missing pixels": b.Add(1, short), "negative task": b.Add(-1, stream(0, 1)),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	failing := newBuffer(t, 3, Herding{Features: func(*datasets.Images) (*mat.Dense, error) { return nil, errors.New("no weights") }}, 0)
	if err := failing.Add(0, stream(0, 1)); err == nil || failing.Len() != 0 {
		t.Errorf("a failing extractor gave %v and %d images", err, failing.Len())
	}
	for name, bad := range map[string][]int{"twice": {0, 0}, "outside": {5}, "too many": {0, 1, 2, 3}} {
		if err := validChoice(bad, 5, 3); err == nil {
			t.Errorf("choice %s: accepted", name)
		}
	}
}

// plain is a policy without its shortcuts.
type plain struct{ Policy }

// TestClassBalancedRefuses: a full buffer that keeps nothing of what is offered is left as it is, and has what choosing anew would give
// it, with rare classes, new ones and ones without a place among them.
func TestClassBalancedRefuses(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for _, capacity := range []int{3, 20} {
		quick, slow := newBuffer(t, capacity, ClassBalanced{}, 5), newBuffer(t, capacity, plain{ClassBalanced{}}, 5)
		at, left := 0, 0
		for step := range 300 {
			var labels []int32
			for range 1 + rng.IntN(3) {
				label := int32(rng.IntN(2 + step/40))
				if rng.IntN(30) == 0 {
					label = 9 // rare
				}
				labels = append(labels, label)
			}
			before := quick.Images()
			add(t, quick, 0, stream(at, labels...))
			add(t, slow, 0, stream(at, labels...))
			at += len(labels)
			if before == quick.Images() {
				left++
			}
			if !slices.Equal(offers(quick), offers(slow)) || !slices.Equal(quick.seen, slow.seen) || quick.offered != slow.offered {
				t.Fatalf("capacity %d, step %d: %v, want %v", capacity, step, offers(quick), offers(slow))
			}
		}
		if left < 100 {
			t.Errorf("capacity %d: left as it was %d times of 300", capacity, left)
		}
	}
}
