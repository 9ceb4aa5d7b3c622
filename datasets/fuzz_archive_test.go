package datasets

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"path"
	"strings"
	"testing"

	"palimpsest/pkg/fuzztest"
)

// storing is the writer of stored.
var storing *gzip.Writer

// stored is content as a .gz file. Nothing is compressed, so that a change to content is a small change to the file.
func stored(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if storing == nil { // a writer has large tables: one serves all executions
		var err error
		if storing, err = gzip.NewWriterLevel(&out, gzip.NoCompression); err != nil {
			t.Fatal(err)
		}
	}
	storing.Reset(&out)
	_, err := storing.Write(content)
	if err == nil {
		err = storing.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// FuzzUnpack reads arbitrary archives: of the files wanted it returns those that are there, each within its limit.
func FuzzUnpack(f *testing.F) {
	const limit = 600
	archive := func(files ...string) []byte {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for _, name := range files {
			content := strings.Repeat(name, 30)
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
				f.Fatal(err)
			}
			if _, err := w.Write([]byte(content)); err != nil {
				f.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		return out.Bytes()
	}
	f.Add(archive("a/b/wanted", "other"))
	f.Add(archive("wanted", "wanted"))
	f.Add(archive("../../wanted"))
	f.Add(archive("package/" + strings.Repeat("x", 150) + "/wanted"))
	f.Add(archive("package/a-long-folder-name/wanted"))
	f.Add(archive("wanted")[:700])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		packed := stored(t, content)
		var files map[string][]byte
		err := fuzztest.Read(t, len(packed), func() (err error) {
			files, err = unpackFrom("f.tar.gz", bytes.NewReader(packed), func(base string) (int64, bool) { return limit, base == "wanted" })
			return err
		})
		if err != nil {
			return
		}
		for name, b := range files {
			if name != "wanted" || name != path.Base(name) || len(b) > limit {
				t.Errorf("%d bytes of %q were taken", len(b), name)
			}
		}
	})
}

// FuzzGzip reads arbitrary files whose name ends in .gz.
func FuzzGzip(f *testing.F) {
	const limit = 1 << 16
	f.Add([]byte{})
	f.Add(stored(f, []byte("some bytes")))
	f.Add(stored(f, make([]byte, limit+1)))
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 8<<20)); err != nil {
		f.Fatal(err)
	}
	if err := z.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(bomb.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		var content []byte
		err := fuzztest.Read(t, len(b), func() (err error) {
			content, err = readOpen("f.gz", bytes.NewReader(b), limit)
			return err
		})
		var fe *FormatError
		if err != nil && !errors.As(err, &fe) {
			t.Errorf("error %v says not where or what", err)
		}
		if len(content) > limit {
			t.Errorf("%d bytes of at most %d", len(content), limit)
		}
	})
}

// FuzzJSONLabels and FuzzJSONPixels read arbitrary files of the npm packages. What they accept, written again, is accepted as
// the same.
func FuzzJSONLabels(f *testing.F) {
	for _, text := range []string{"[0,1,255]", "[]", "[256]", "[-1]", "[1.5]", "null", `{"a":1}`, "[1] 2", `"AQID"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var labels []uint8
		if fuzztest.Read(t, len(b), func() (err error) { labels, err = jsonLabels("f.json", b); return err }) != nil {
			return
		}
		list := make([]int, len(labels))
		for i, l := range labels {
			list[i] = int(l)
		}
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		again, err := jsonLabels("f.json", text)
		if err != nil {
			t.Fatal(err)
		}
		fuzztest.Same(t, again, labels)
	})
}

func FuzzJSONPixels(f *testing.F) {
	for _, text := range []string{`{"data":[0,1,0.502,0.004]}`, `{"data":[0.5,0,0,0]}`, `{"data":[]}`, `{"data":[1e999]}`, `{"data":[-0,0,0,0]}`,
		`{"data":[1]}`, "{}", "[]", `{"data":null}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const size = 4
		var pixels []uint8
		if fuzztest.Read(t, len(b), func() (err error) { pixels, err = jsonPixels("f.json", b, size); return err }) != nil {
			return
		}
		if len(pixels) == 0 || len(pixels)%size != 0 {
			t.Errorf("%d pixels", len(pixels))
		}
	})
}

// FuzzPNGRows reads arbitrary pictures. The check sums of their chunks are put right, so that what lies behind is reached.
func FuzzPNGRows(f *testing.F) {
	const w, h = 4, 3
	opaque := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			opaque.SetRGBA(x, y, color.RGBA{uint8(x), uint8(y), 200, 255})
		}
	}
	good := fuzztest.PNG(f, opaque)
	f.Add(good)
	f.Add(good[:40])
	f.Add(fuzztest.PNG(f, image.NewRGBA(opaque.Rect)))
	f.Add(fuzztest.PNG(f, image.NewGray(opaque.Rect)))
	f.Add(fuzztest.PNG(f, image.NewPaletted(opaque.Rect, color.Palette{color.White, color.Black})))
	f.Add(fuzztest.PNG(f, image.NewRGBA64(image.Rect(0, 0, w+1, h))))
	f.Fuzz(func(t *testing.T, b []byte) {
		repaired := fuzztest.RepairPNG(b)
		var pixels []uint8
		if fuzztest.Read(t, len(b), func() (err error) { pixels, err = pngRows("f.png", repaired, w, h); return err }) != nil {
			return
		}
		if len(pixels) != 3*w*h {
			t.Fatalf("%d bytes of pixels", len(pixels))
		}
		m := image.NewRGBA(image.Rect(0, 0, w, h))
		for i := range w * h {
			copy(m.Pix[4*i:], pixels[3*i:3*i+3])
			m.Pix[4*i+3] = 255
		}
		again, err := pngRows("f.png", fuzztest.PNG(t, m), w, h)
		if err != nil {
			t.Fatal(err)
		}
		fuzztest.Same(t, again, pixels)
	})
}
