package likelihood

import (
	"bytes"
	"compress/gzip"
	"image"
	"image/png"
	"math/rand/v2"
	"testing"

	"github.com/HugoSmits86/nativewebp"
)

// Noise costs its 8 bits and headers, a constant next to nothing, and files of single images more than one of all.
func TestYardsticks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, c := range []int{1, 3} {
		const n, h, w = 20, 16, 16
		noise := make([]uint8, n*h*w*c)
		for i := range noise {
			noise[i] = uint8(random.UintN(256))
		}
		for name, pixels := range map[string][]uint8{"noise": noise, "constant": make([]uint8, len(noise))} {
			all, err := Yardsticks(pixels, n, h, w, c)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []string{"png", "webp", "gzip"} {
				y := all[i]
				t.Logf("%s, %d channels: %s %.3f each, %.3f together", name, c, y.Name, y.EachBPD, y.TogetherBPD)
				switch {
				case y.Name != want:
					t.Errorf("format %d is %s; want %s", i, y.Name, want)
				case name == "noise" && (y.TogetherBPD < 8 || y.TogetherBPD > 8.6 || y.EachBPD <= y.TogetherBPD):
					t.Errorf("%s of noise in %d channels: %+v bits", want, c, y)
				case name == "constant" && y.TogetherBPD > 0.3:
					t.Errorf("%s of a constant in %d channels: %+v bits", want, c, y)
				}
			}
		}
		// The sizes are those of files that decode to the pixels.
		im := picture(noise[:h*w*c], h, w, c)
		var out bytes.Buffer
		if err := png.Encode(&out, im); err != nil {
			t.Fatal(err)
		}
		decoded, err := png.Decode(&out)
		if err != nil {
			t.Fatal(err)
		}
		comparePixels(t, decoded, noise, h, w, c)
		out.Reset()
		if err := nativewebp.Encode(&out, im, nil); err != nil {
			t.Fatal(err)
		}
		if decoded, err = nativewebp.Decode(&out); err != nil {
			t.Fatal(err)
		}
		comparePixels(t, decoded, noise, h, w, c)
	}
	// By the library itself: one stream of zeros.
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	z.Write(make([]byte, 64))
	z.Close()
	all, err := Yardsticks(make([]uint8, 64), 1, 8, 8, 1)
	if err != nil || all[2].TogetherBPD != float64(out.Len())*8/64 || all[2].EachBPD != all[2].TogetherBPD {
		t.Errorf("gzip of 64 zeros: %+v (%v); want %d bytes", all, err, out.Len())
	}
	if _, err := Yardsticks(make([]uint8, 64), 1, 8, 8, 2); err == nil {
		t.Error("two channels pass")
	}
}

func comparePixels(t *testing.T, im image.Image, pixels []uint8, h, w, c int) {
	t.Helper()
	for i := range h * w {
		r, g, b, _ := im.At(i%w, i/w).RGBA()
		p := pixels[i*c : (i+1)*c]
		if uint8(r>>8) != p[0] || uint8(g>>8) != p[c/2] || uint8(b>>8) != p[c-1] {
			t.Fatalf("pixel %d is %d %d %d; want %v", i, r>>8, g>>8, b>>8, p)
		}
	}
}
