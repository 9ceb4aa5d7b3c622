package report

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"strings"
	"testing"

	"palimpsest/pkg/fuzztest"
)

// FuzzSection renews a section of arbitrary Markdown: it holds what was written, all around it is as it was, and renewing it
// again changes nothing.
func FuzzSection(f *testing.F) {
	const begin, end, table = "<!-- table:quick -->", "<!-- /table:quick -->", "| a |\n|---|\n"
	for _, text := range []string{begin + end, "# A\n" + begin + "\nold\n" + end + "\nrest", end + begin, begin, begin + begin + end, end[:7] + begin + end[7:], ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		old, updated := string(text), ""
		if fuzztest.Read(t, len(text), func() (err error) { updated, err = replaceSection(old, "quick", table); return err }) != nil {
			return
		}
		before, _, _ := strings.Cut(old, begin)
		_, after, _ := strings.Cut(old, end)
		if want := before + begin + "\n\n" + table + "\n" + end + after; updated != want {
			t.Fatalf("the text becomes %q, want %q", updated, want)
		}
		again, err := replaceSection(updated, "quick", table)
		if err != nil {
			t.Fatal(err)
		}
		fuzztest.Same(t, []byte(again), []byte(updated))
	})
}

// FuzzGrid reads arbitrary sample grids. The check sums of their chunks are put right, so that what lies behind is reached.
func FuzzGrid(f *testing.F) {
	grid, err := Grid(make([]float32, 6*4), 2, 3, 2, 2, 1, 1)
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
		if l, ok := cellsOf(img.Bounds().Size(), 2, 2); ok && (l.pixels < 1 || l.pitch*2 > img.Bounds().Dy()+4 || l.columns < 0) {
			t.Fatalf("a picture of %v has cells %+v", img.Bounds(), l)
		}
	})
}
