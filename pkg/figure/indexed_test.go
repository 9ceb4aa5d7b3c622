package figure

import (
	"bytes"
	"image"
	"image/color"
	"math/rand/v2"
	"testing"
)

// Few colours stay as they are. Of many, the most frequent do, and no other moves further than it must.
func TestIndexed(t *testing.T) {
	few := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for i := range 256 {
		few.SetRGBA(i%16, i/16, color.RGBA{uint8(i), uint8(i / 2), uint8(3 * i), 255})
	}
	if got := indexed(few); !same(got, few, 0) {
		t.Error("256 colours do not stay as they are")
	}
	// 24 × 24 shades of red and green, 3 levels apart, on white: within 3 levels of one of each 3 × 3 of them are all nine, and
	// 8 × 8 such do; within less is none but itself.
	many := image.NewRGBA(image.Rect(0, 0, 48, 24))
	for x := range 48 {
		for y := range 24 {
			c := color.RGBA{255, 255, 255, 255}
			if x < 24 {
				c = color.RGBA{uint8(3 * x), uint8(3 * y), 0, 255}
			}
			many.SetRGBA(x, y, c)
		}
	}
	got := indexed(many)
	if !same(got, many, 3) || same(got, many, 2) || len(got.Palette) > 256 || got.At(40, 3) != (color.RGBA{255, 255, 255, 255}) {
		t.Errorf("%d colours; white is %v", len(got.Palette), got.At(40, 3))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		noise := image.NewRGBA(image.Rect(0, 0, 40, 40))
		for i := range noise.Pix {
			noise.Pix[i] = uint8(rng.IntN(256))
			if i%4 == 3 {
				noise.Pix[i] = 255
			}
		}
		if a, b := indexed(noise), indexed(noise); len(a.Palette) > 256 || !bytes.Equal(a.Pix, b.Pix) {
			t.Errorf("%d colours, or not the same twice", len(a.Palette))
		}
	}
}

// same tells whether no pixel of two pictures differs by more than near levels.
func same(a, b image.Image, near int) bool {
	for x := range a.Bounds().Dx() {
		for y := range a.Bounds().Dy() {
			if distance(color.RGBAModel.Convert(a.At(x, y)).(color.RGBA), color.RGBAModel.Convert(b.At(x, y)).(color.RGBA)) > near {
				return false
			}
		}
	}
	return true
}
