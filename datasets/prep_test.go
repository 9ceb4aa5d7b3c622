package datasets

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// noise is n images of random bytes with labels 0, 1, 2, ...
func noise(n, h, w, c int) *Images {
	r := rand.New(rand.NewPCG(1, 2))
	im := &Images{N: n, H: h, W: w, C: c, Pixels: make([]uint8, n*h*w*c), Labels: make([]int32, n)}
	for i := range im.Pixels {
		im.Pixels[i] = uint8(r.Uint32())
	}
	for i := range im.Labels {
		im.Labels[i] = int32(uint8(i))
	}
	return im
}

func apply(t testing.TB, p Prep, im *Images) *Images {
	t.Helper()
	out, err := p.Apply(im)
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Validate(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPadPutsImagesInTheMiddle(t *testing.T) {
	for _, tc := range []struct{ h, w, c, size, top, left int }{
		{28, 28, 1, 32, 2, 2},
		{3, 4, 3, 8, 2, 2}, // an odd border: 2 above, 3 below
		{5, 2, 2, 5, 0, 1},
	} {
		im := noise(3, tc.h, tc.w, tc.c)
		out := apply(t, Prep{Size: tc.size, Method: "pad"}, im)
		for i := range im.N {
			for y := range tc.size {
				for x := range tc.size {
					for c := range tc.c {
						want := uint8(0)
						if sy, sx := y-tc.top, x-tc.left; sy >= 0 && sy < tc.h && sx >= 0 && sx < tc.w {
							want = im.Image(i)[(sy*tc.w+sx)*tc.c+c]
						}
						if got := out.Image(i)[(y*tc.size+x)*tc.c+c]; got != want {
							t.Fatalf("%+v: image %d pixel (%d,%d,%d) is %d, want %d", tc, i, y, x, c, got, want)
						}
					}
				}
			}
		}
	}
	if out := apply(t, Prep{}, noise(1, 28, 28, 1)); out.H != 32 || out.W != 32 {
		t.Errorf("the default gives %dx%d, want 32x32", out.H, out.W)
	}
}

func TestAreaClosedForms(t *testing.T) {
	// 2×2 to 1×1: the mean of four, rounded half up. (1+2+2+1)/4 = 1.5 -> 2, (0+0+0+1)/4 -> 0.
	im := &Images{N: 2, H: 2, W: 2, C: 1, Pixels: []uint8{1, 2, 2, 1, 0, 0, 0, 1}, Labels: []int32{0, 1}}
	if out := apply(t, Prep{Size: 1, Method: "area"}, im); !slices.Equal(out.Pixels, []uint8{2, 0}) {
		t.Errorf("2x2 -> 1x1 gives %v, want [2 0]", out.Pixels)
	}
	// 3 to 2 in both axes: an output pixel covers one input pixel and half of the next, so
	// the weights are (2,1)/3 and (1,2)/3. Rows of 0, 90, 180 give 30 and 150 in each.
	im = &Images{N: 1, H: 3, W: 3, C: 1, Pixels: []uint8{0, 90, 180, 0, 90, 180, 0, 90, 180}, Labels: []int32{0}}
	if out := apply(t, Prep{Size: 2, Method: "area"}, im); !slices.Equal(out.Pixels, []uint8{30, 150, 30, 150}) {
		t.Errorf("3x3 -> 2x2 gives %v, want [30 150 30 150]", out.Pixels)
	}
	// 2 to 4: each pixel becomes four.
	im = &Images{N: 1, H: 2, W: 2, C: 1, Pixels: []uint8{1, 2, 3, 4}, Labels: []int32{0}}
	want := []uint8{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}
	if out := apply(t, Prep{Size: 4, Method: "area"}, im); !slices.Equal(out.Pixels, want) {
		t.Errorf("2x2 -> 4x4 gives %v, want %v", out.Pixels, want)
	}
}

func TestAreaWeights(t *testing.T) {
	for _, tc := range [][2]int{{28, 16}, {28, 32}, {32, 16}, {28, 7}, {5, 5}, {1, 9}, {13, 4}} {
		in, out := tc[0], tc[1]
		gives := make([]int, in)
		for o, s := range areaWeights(in, out) {
			sum := 0
			for k, w := range s.weights {
				if w <= 0 {
					t.Errorf("%d -> %d: output %d weighs input %d by %d", in, out, o, s.first+k, w)
				}
				sum += w
				gives[s.first+k] += w
			}
			if sum != in {
				t.Errorf("%d -> %d: weights of output %d sum to %d, want %d", in, out, o, sum, in)
			}
		}
		for i, g := range gives {
			if g != out {
				t.Errorf("%d -> %d: input %d gives %d, want %d", in, out, i, g, out)
			}
		}
	}
}

func TestAreaAgainstIntegration(t *testing.T) {
	// Independent: sample the piecewise-constant image on a grid of 7·16 = 4·28 = 112 points
	// an axis, which no border of either grid crosses, and average 7×7 of them.
	im := noise(4, 28, 28, 3)
	out := apply(t, Prep{Size: 16, Method: "area"}, im)
	for i := range im.N {
		for y := range 16 {
			for x := range 16 {
				for c := range 3 {
					sum := 0.0
					for v := range 7 {
						for u := range 7 {
							sum += float64(im.Image(i)[((y*7+v)/4*28+(x*7+u)/4)*3+c])
						}
					}
					if got, want := out.Image(i)[(y*16+x)*3+c], uint8(math.Floor(sum/49+0.5)); got != want {
						t.Fatalf("image %d pixel (%d,%d,%d) is %d, want %d", i, y, x, c, got, want)
					}
				}
			}
		}
	}
}

func TestAreaKeepsTheMean(t *testing.T) {
	d, err := Load("fashion-mnist-sample")
	if err != nil {
		t.Fatal(err)
	}
	im := d.Test.Select([]int{0, 1, 2, 3, 4, 5, 6, 7})
	for _, size := range []int{16, 32} {
		out := apply(t, Prep{Size: size, Method: "area"}, im)
		for i := range im.N {
			// Each pixel is rounded by at most 1/2, so the mean moves by less.
			if a, b := mean(im.Image(i)), mean(out.Image(i)); math.Abs(a-b) > 0.5 {
				t.Errorf("size %d: image %d has mean %g, was %g", size, i, b, a)
			}
		}
	}
}

func mean(px []uint8) float64 {
	sum := 0
	for _, p := range px {
		sum += int(p)
	}
	return float64(sum) / float64(len(px))
}

func TestPrepErrors(t *testing.T) {
	im := noise(1, 28, 28, 1)
	for _, p := range []Prep{{Height: 2000}, {Width: -1}, {Size: -1}, {Size: 2000}, {Method: "bilinear"}} {
		if _, err := p.Apply(im); err == nil {
			t.Errorf("%+v gave no error", p)
		}
	}
	if out := apply(t, Prep{Size: 16, Method: "none"}, im); out != im {
		t.Error("\"none\" changed the images")
	}
	if _, err := (Prep{}).Apply(&Images{N: 2, H: 2, W: 2, C: 1, Pixels: make([]uint8, 7), Labels: make([]int32, 2)}); err == nil {
		t.Error("images with a byte missing gave no error")
	}
}

func TestScale(t *testing.T) {
	src := make([]uint8, 256)
	for v := range src {
		src[v] = uint8(v)
	}
	scaled, back := make([]float32, 256), make([]uint8, 256)
	Scale(scaled, src)
	if scaled[0] != -1 || scaled[255] != 1 {
		t.Errorf("0 and 255 become %g and %g, want -1 and 1", scaled[0], scaled[255])
	}
	for v := 1; v < 256; v++ {
		// Neighbours are 2/255 apart; float32 below 1 rounds by at most 2^-25 each.
		if step := float64(scaled[v]) - float64(scaled[v-1]); math.Abs(step-2.0/255) > 1.0/(1<<24) {
			t.Errorf("from %d to %d is a step of %g, want %g", v-1, v, step, 2.0/255)
		}
	}
	Unscale(back, scaled)
	if !slices.Equal(back, src) {
		t.Error("Unscale(Scale(x)) is not x")
	}
	// Off by less than half a level either way, still the same; outside, clamped.
	for v, x := range scaled {
		scaled[v] = x + 0.99/255*float32(1-2*(v%2))
	}
	Unscale(back, scaled)
	if !slices.Equal(back, src) {
		t.Error("within half a level of x, Unscale does not give x")
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	Unscale(back[:6], []float32{-1.5, 1.5, nan, inf, -inf, 0})
	if !slices.Equal(back[:6], []uint8{0, 255, 0, 255, 0, 128}) {
		t.Errorf("clamped to %v, want [0 255 0 255 0 128]", back[:6])
	}
}

func TestFlipRow(t *testing.T) {
	px := []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12} // 2 rows of 3 pixels of 2 channels
	FlipRow(px, 2, 3, 2)
	if want := []uint8{5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8}; !slices.Equal(px, want) {
		t.Errorf("got %v, want %v", px, want)
	}
	im := noise(1, 6, 5, 3)
	twice := slices.Clone(im.Pixels)
	FlipRow(twice, 6, 5, 3)
	if slices.Equal(twice, im.Pixels) {
		t.Error("a flip changed nothing")
	}
	FlipRow(twice, 6, 5, 3)
	if !slices.Equal(twice, im.Pixels) {
		t.Error("flipped twice, the image differs")
	}
}

func TestFlips(t *testing.T) {
	if !slices.Equal(Flips(7, 3, 32), Flips(7, 3, 32)) {
		t.Error("the same seed and step flip differently")
	}
	if slices.Equal(Flips(7, 3, 32), Flips(7, 4, 32)) || slices.Equal(Flips(7, 3, 32), Flips(8, 3, 32)) {
		t.Error("another step or seed flips the same rows")
	}
	n := 0
	for step := range uint64(1024) {
		for _, f := range Flips(0, step, 16) {
			if f {
				n++
			}
		}
	}
	// 2^14 throws of a coin: the standard deviation is 64.
	if n < 8192-5*64 || n > 8192+5*64 {
		t.Errorf("%d of 16384 rows are flipped, want 8192 ± 320", n)
	}
}
