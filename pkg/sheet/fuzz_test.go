package sheet

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"testing"

	"palimpsest/pkg/fuzztest"
)

// FuzzSheet reads arbitrary sheets. The check sums of their chunks are put right, so that what lies behind is reached.
func FuzzSheet(f *testing.F) {
	grid, err := New(make([]float32, 6*4), 2, 3, 2, 2, 1, 1)
	if err != nil {
		f.Fatal(err)
	}
	good := fuzztest.PNG(f, grid)
	f.Add(good)
	f.Add(good[:50])
	huge := bytes.Clone(good)
	binary.BigEndian.PutUint32(huge[16:], 1<<31-1)
	f.Add(huge)
	f.Add(fuzztest.PNG(f, image.NewGray16(image.Rect(0, 0, 6, 4))))
	f.Add(fuzztest.PNG(f, image.NewPaletted(image.Rect(0, 0, 6, 4), color.Palette{color.White, color.Black})))
	f.Fuzz(func(t *testing.T, data []byte) {
		data = fuzztest.RepairPNG(data)
		var img image.Image
		// A byte of a well compressed picture of 16 bits a channel is worth so many of memory.
		if fuzztest.Read(t, 32*len(data), func() (err error) { img, err = decodePNG(data); return err }) != nil {
			return
		}
		if l, ok := Find(img.Bounds().Size(), 2, 2, 2); ok && (l.H < 1 || l.W != l.H || (l.H+l.Gap)*2 > img.Bounds().Dy()+4 || l.Columns < 0) {
			t.Fatalf("a picture of %v has cells %+v", img.Bounds(), l)
		}
	})
}
