package metrics

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestNearestByHand(t *testing.T) {
	// Two images a distance of 8 apart on a line, so d1 < d2/3 holds within 2 of either.
	set, err := newImageSet([]float32{0, 0, 8, 0}, 1, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		x     float32
		index int
		copy  bool
	}{{0, 0, true}, {1.9, 0, true}, {2.1, 0, false}, {4.5, 1, false}, {6.5, 1, true}, {8, 1, true}} {
		nb, err := set.Nearest([]float32{tc.x, 0})
		if err != nil {
			t.Fatal(err)
		}
		if nb[0].Index != tc.index || nb[0].Copy(DefaultCopyRatio) != tc.copy {
			t.Errorf("at %g: %+v, copy %v; want image %d, copy %v", tc.x, nb[0], nb[0].Copy(DefaultCopyRatio), tc.index, tc.copy)
		}
	}
}

func TestDuplicatesDoNotHideCopies(t *testing.T) {
	// Image 1 repeats image 0: an exact copy must still count, with the distance to image 2 as d2.
	images := []float32{0.5, -0.5, 0.5, -0.5, -1, 1}
	set, err := newImageSet(images, 1, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if set.Len() != 2 {
		t.Fatalf("%d distinct images, want 2", set.Len())
	}
	nb, err := set.Nearest([]float32{0.5, -0.5, -0.9, 1})
	if err != nil {
		t.Fatal(err)
	}
	if nb[0].D1 != 0 || nb[0].Index != 0 || math.Abs(nb[0].D2-math.Sqrt(4.5)) > 1e-12 {
		t.Errorf("exact copy: %+v, want d1 = 0 and d2 = %g", nb[0], math.Sqrt(4.5))
	}
	if nb[1].Index != 2 {
		t.Errorf("nearest image is %d, want 2, its number in the caller's slice", nb[1].Index)
	}
	if got := weightedCopyShare(nb, DefaultCopyRatio, nil); got != 1 {
		t.Errorf("share of copies %g, want 1", got)
	}
}

func TestFewImages(t *testing.T) {
	for _, images := range [][]float32{nil, {0.5, 0.5}, {0.5, 0.5, 0.5, 0.5}} {
		set, err := newImageSet(images, 1, 2, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.Nearest([]float32{0, 0}); !errors.Is(err, ErrFewImages) {
			t.Errorf("%d distinct images: error %v, want ErrFewImages", set.Len(), err)
		}
	}
	if _, err := newImageSet(make([]float32, 7), 1, 2, 1); err == nil {
		t.Error("3½ images gave no error")
	}
	if _, err := newImageSet([]float32{0, float32(math.NaN())}, 1, 2, 1); err == nil {
		t.Error("an image with NaN gave no error")
	}
	if !math.IsNaN(weightedCopyShare(nil, DefaultCopyRatio, nil)) {
		t.Error("a share of no samples is not NaN")
	}
}

// exhaustive finds the two nearest distinct images in float64, one image after the other.
func exhaustive(x, images []float32, size int) Neighbour {
	nb := Neighbour{Index: -1, D1: math.Inf(1), D2: math.Inf(1)}
	for j := range len(images) / size {
		sum := 0.0
		for p := range size {
			d := float64(x[p]) - float64(images[j*size+p])
			sum += d * d
		}
		if d := math.Sqrt(sum); d < nb.D1 {
			nb = Neighbour{j, d, nb.D1}
		} else if d < nb.D2 {
			nb.D2 = d
		}
	}
	return nb
}

func TestNearestEqualsExhaustiveSearch(t *testing.T) {
	for _, shape := range [][3]int{{1, 256, 1}, {16, 16, 1}, {17, 20, 1}, {7, 5, 3}, {1, 1, 1}} {
		h, w, c := shape[0], shape[1], shape[2]
		size := h * w * c
		const n, m = 150, 200 // more samples than a block
		for name, draw := range map[string]func(rng *rand.Rand, i, p int) float64{
			// Bright images that differ by 1e-3 are where a float32 product cannot tell them apart; the result must be the exact
			// one all the same.
			"bright": func(rng *rand.Rand, i, p int) float64 { return 0.9 + 1e-3*rng.Float64() },
			// Flat ones are as far apart as their thumbnails: nothing is to spare. Many come at one distance.
			"flat": func(rng *rand.Rand, i, p int) float64 { return float64(i*7%33)/16 - 1 },
			// In noise, thumbnails say next to nothing.
			"noise": func(rng *rand.Rand, i, p int) float64 { return 2*rng.Float64() - 1 },
			"smooth": func(rng *rand.Rand, i, p int) float64 {
				return math.Sin(float64(i) + float64(p/c%w)/5 + float64(i%7)*float64(p/c/w)/9)
			},
		} {
			rng := rand.New(rand.NewPCG(1, 1))
			images, samples := make([]float32, m*size), make([]float32, n*size)
			for i := range images {
				images[i] = float32(draw(rng, i/size, i%size))
			}
			for i := range samples {
				samples[i] = images[i] + 1e-4*rng.Float32()
			}
			set, err := newImageSet(images, h, w, c)
			if err != nil {
				t.Fatal(err)
			}
			distinct := images
			if set.Len() < m {
				distinct = set.pixels
			}
			for i, nb := range set.nearest(samples) {
				want := exhaustive(samples[i*size:(i+1)*size], distinct, size)
				want.Index = set.first[want.Index]
				if nb != want {
					t.Fatalf("%s images of %v: sample %d: %+v, want %+v", name, shape, i, nb, want)
				}
			}
		}
	}
}

// TestThumbnails: the thumbnail of an image with one value v in each square of p pixels has v·√p there, and nothing is left. Images of at
// most 256 pixels have squares of 2×2, others of 4×4, here with one below them cut off to 1×4.
func TestThumbnails(t *testing.T) {
	for _, shape := range []struct{ h, w, edge int }{{4, 2, 2}, {65, 4, 4}} {
		small := newThumbnailer(shape.h, shape.w, 2)
		image := make([]float32, shape.h*shape.w*2)
		var want []float64
		for y := range shape.h {
			v := 1 + y/shape.edge
			for x := range shape.w {
				image[(y*shape.w+x)*2], image[(y*shape.w+x)*2+1] = float32(v), float32(-v)
			}
			if y%shape.edge == 0 {
				root := math.Sqrt(float64(min(shape.edge, shape.h-y) * shape.edge))
				want = append(want, root*float64(v), -root*float64(v))
			}
		}
		got := make([]float64, small.size+1)
		small.sketch(image, got)
		if want := append(want, 0); !slices.Equal(got, want) {
			t.Errorf("the thumbnail is %v, want %v", got, want)
		}
		// A pixel 1 brighter, another 1 darker: the squares stay, and what is left is √2 long.
		image[0]++
		image[2]--
		small.sketch(image, got)
		if want := append(want, math.Sqrt2); !slices.Equal(got, want) {
			t.Errorf("the thumbnail is %v, want %v", got, want)
		}
	}
}

func BenchmarkNearest(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	const size, n, m = 1024, 1000, 6000
	images, samples := make([]float32, m*size), make([]float32, n*size)
	for _, s := range [][]float32{images, samples} {
		for i := range s {
			s[i] = 2*rng.Float32() - 1
		}
	}
	set, err := newImageSet(images, 1, size, 1)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := set.Nearest(samples); err != nil {
			b.Fatal(err)
		}
	}
}
