package sheet

import (
	"image"
	"image/color"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	// Two images of 1×2 pixels side by side below each other, scale 2: -1 is black, 0 is 128 (127.5 rounded), 1 white.
	img, err := New([]float32{-1, 0, 1, 9}, 2, 1, 1, 2, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if img.Rect != image.Rect(0, 0, 4, 4) {
		t.Fatalf("size %v, want 4×4", img.Rect)
	}
	for _, tc := range []struct {
		x, y int
		want uint8
	}{{0, 0, 0}, {1, 1, 0}, {2, 0, 128}, {3, 1, 128}, {0, 2, 255}, {3, 3, 255}} {
		if got := img.RGBAAt(tc.x, tc.y); got != (color.RGBA{tc.want, tc.want, tc.want, 255}) {
			t.Errorf("pixel %d,%d is %v, want grey %d", tc.x, tc.y, got, tc.want)
		}
	}
	colour, err := New([]float32{1, -1, 0}, 1, 2, 1, 1, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := colour.RGBAAt(0, 0); got != (color.RGBA{255, 0, 128, 255}) {
		t.Errorf("channels are %v, want red 255, green 0, blue 128", got)
	}
	if got := colour.RGBAAt(1, 0); got != (color.RGBA{A: 255}) {
		t.Errorf("an empty cell is %v, want black", got)
	}
	for _, bad := range [][2]int{{3, 1}, {4, 2}} { // half an image, too many
		if _, err := New(make([]float32, bad[0]), 1, 1, 1, 2, 1, 1); err == nil {
			t.Errorf("%d values for one image of 2 pixels should be refused", bad[0])
		}
	}
	for _, huge := range [][5]int{{1 << 40, 1, 1, 1, 1}, {1, 1, 1 << 32, 1 << 32, 1}, {1, 1, 1, 1, 1 << 20}} {
		if _, err := New(nil, huge[0], huge[1], huge[2], huge[3], 3, huge[4]); err == nil {
			t.Errorf("a sheet of %v should be refused", huge)
		}
	}
	if _, err := PNG(nil); err == nil {
		t.Error("no image should be refused")
	}
	if _, err := New(nil, 1, 1, 1, 1, 2, 1); err == nil {
		t.Error("two channels should be refused")
	}
}

// TestFind: the layout of a sheet that New made is found again, of squares and others, enlarged or not, and that of one with gaps.
func TestFind(t *testing.T) {
	for _, tc := range []struct{ rows, cols, h, w, scale int }{{3, 5, 4, 4, 1}, {3, 5, 8, 16, 2}, {2, 1, 16, 8, 1}, {1, 7, 3, 5, 3}} {
		img, err := New(nil, tc.rows, tc.cols, tc.h, tc.w, 1, tc.scale)
		if err != nil {
			t.Fatal(err)
		}
		want := Lattice{H: tc.h * tc.scale, W: tc.w * tc.scale, Columns: tc.cols}
		if got, ok := Find(img.Rect.Size(), tc.rows, tc.h, tc.w); !ok || got != want {
			t.Errorf("%+v: found %+v, %v; want %+v", tc, got, ok, want)
		}
	}
	if got, ok := Find(image.Pt(3*16+2*2, 2*8+2), 2, 8, 16); !ok || got != (Lattice{8, 16, 2, 3}) {
		t.Errorf("with gaps of 2: %+v, %v", got, ok)
	}
	if _, ok := Find(image.Pt(50, 16), 2, 8, 16); ok {
		t.Error("a width that no whole number of images has is found to be a sheet")
	}
	for _, none := range [][3]int{{0, 8, 16}, {-1, 8, 16}, {2, 4, 1 << 62}} {
		if l, ok := Find(image.Pt(64, 16), none[0], none[1], none[2]); ok {
			t.Errorf("%d rows of %d×%d pixels are found to be a sheet of %+v", none[0], none[1], none[2], l)
		}
	}
	defer func() {
		if p := recover(); p == nil || !strings.Contains(p.(error).Error(), "sheet.Rows: -1 classes") {
			t.Errorf("Rows of -1 classes: %v", p)
		}
	}()
	Rows(-1, 8)
}
