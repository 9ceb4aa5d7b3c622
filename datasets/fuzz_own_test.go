package datasets

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/fuzztest"
)

// oneLine reports an error that does not fit on a line.
func oneLine(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("more than a line: %q", err)
	}
}

// FuzzPicture decodes arbitrary bytes as a picture. Whatever is accepted has the size that its head claims. Heads that claim many
// pixels are not followed, since a decoder may allocate them.
func FuzzPicture(f *testing.F) {
	files, err := filepath.Glob(own("pictures", "*"))
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := lookAtPicture(b)
		oneLine(t, err)
		if err != nil || info.h*info.w > 1<<16 {
			return
		}
		px, err := decodePicture(b, info)
		oneLine(t, err)
		if err == nil && len(px) != info.h*info.w*info.c {
			t.Errorf("%d bytes for %d×%d×%d", len(px), info.h, info.w, info.c)
		}
	})
}

// FuzzOrientation looks for the orientation in arbitrary bytes.
func FuzzOrientation(f *testing.F) {
	for i, name := range []string{"turned6.jpg", "turned.png", "turned.webp", "turned.tiff"} {
		b, err := os.ReadFile(own("pictures", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b)
	}
	f.Fuzz(func(t *testing.T, format uint8, b []byte) {
		if o := orientation(b, []string{"jpeg", "png", "webp", "tiff"}[format%4]); o < 1 || o > 8 {
			t.Errorf("orientation %d", o)
		}
	})
}

// npyOf is a NumPy array in C order.
func npyOf(dtype, shape string, data []byte) []byte { return npyOrdered(dtype, "False", shape, data) }

// npyOrdered is a NumPy array, in Fortran order if fortran is "True".
func npyOrdered(dtype, fortran, shape string, data []byte) []byte {
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", dtype, fortran, shape)
	b := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(head)))
	return append(append(b, head...), data...)
}

// FuzzNPY reads arbitrary bytes as an array of labels and of images. Memory follows what is there, not what a head claims.
func FuzzNPY(f *testing.F) {
	f.Add(npyOf("<i8", "(2,)", make([]byte, 16)), 2)
	f.Add(npyOf("|u1", "(2, 2, 3)", make([]byte, 12)), 2)
	f.Add(npyOf("|u1", "(2, 12)", make([]byte, 24)), 2)
	f.Add(npyOf("|u1", "(9223372036854775807, 3, 4, 4)", nil), 2)
	f.Add(npyOf(">u4", "(1000000000, 1)", make([]byte, 8)), 2)
	f.Add(npyOf("<f8", "(1000000000, 1)", make([]byte, 15)), 2)
	f.Add(npyOf("<U2", "(2,)", []byte("a\x00\x00\x00b\x00\x00\x00c\x00\x00\x00\xff\xff\xff\xff")), 2)
	f.Add(npyOf("|S0", "(1000000000,)", nil), 2)
	f.Add(npyOf("|S99999", "(1000000000,)", []byte("a")), 2)
	f.Add(npyOf("<i4", "(2, 2)", []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}), 2)
	f.Add(npyOf("|b1", "(1, 1000000000)", make([]byte, 8)), 2)
	f.Add(npyOf("B", "(2,)", make([]byte, 2)), 2)
	f.Add(npyOrdered("|u1", "True", "(2, 2, 3)", make([]byte, 12)), 2)
	f.Add(npyOrdered("|u1", "True", "(2, 7000, 7000, 3)", make([]byte, 12)), 2)
	f.Add(npyOrdered("|u1", "True", "(1000000000, 1, 1)", make([]byte, 12)), 1000000000)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		var labels []int64
		err := fuzztest.Read(t, len(b), func() (err error) { labels, _, err = readNPYLabels(bytes.NewReader(b), textLabels{}); return err })
		oneLine(t, err)
		if len(labels) > len(b) {
			t.Errorf("%d labels of %d bytes", len(labels), len(b))
		}
		next, err := npyImages(func() (io.Reader, error) { return bytes.NewReader(b), nil }, n, n%2 == 0)
		oneLine(t, err)
		for err == nil {
			px, h, w, c, nextErr := next()
			if err = nextErr; err == nil && (len(px) != h*w*c || c != 1 && c != 3) {
				t.Errorf("%d bytes for %d×%d×%d", len(px), h, w, c)
			}
			if len(px) > 1<<20 {
				return
			}
		}
		oneLine(t, err)
	})
}

// FuzzIDXStream reads arbitrary bytes as a stream of images. What it takes to the end, ParseIDX takes too.
func FuzzIDXStream(f *testing.F) {
	f.Add(idxBytes(0x0803, []uint32{3, 2, 2}, make([]byte, 12)), 3)
	f.Add(idxBytes(0x0803, []uint32{3, 2, 2}, make([]byte, 13)), 3)
	f.Add(idxBytes(0x0803, []uint32{1, 1 << 31, 1 << 31}, nil), 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		next, end, err := idxImages("f", bytes.NewReader(b), n, false)
		if err != nil {
			return
		}
		var pixels []byte
		for range min(n, 1<<10) {
			px, h, w, _, err := next()
			if err != nil {
				checkFormatError(t, err, len(b))
				return
			}
			if pixels = append(pixels, px...); h*w > 1<<16 {
				return
			}
		}
		if n > 1<<10 || n < 1 || end() != nil {
			return
		}
		x, err := ParseIDX("f", b)
		if err != nil || !bytes.Equal(x.Data, pixels) {
			t.Errorf("a stream of %d bytes was read, ParseIDX says %v", len(b), err)
		}
	})
}

// FuzzCIFARLabels reads arbitrary bytes as records of two labels.
func FuzzCIFARLabels(f *testing.F) {
	f.Add(make([]byte, 3074))
	f.Add(make([]byte, 3075))
	f.Fuzz(func(t *testing.T, b []byte) {
		labels, err := cifarLabels("f", bytes.NewReader(b), 2, 1)
		if err != nil {
			checkFormatError(t, err, len(b))
		} else if len(labels)*3074 != len(b) {
			t.Errorf("%d labels of %d bytes", len(labels), len(b))
		}
	})
}

// FuzzTar reads arbitrary bytes as a shard. As many labels as pictures come out.
func FuzzTar(f *testing.F) {
	var good bytes.Buffer
	w := tar.NewWriter(&good)
	for _, name := range []string{"a.cls", "a.jpg", "b.png", "b.json", "c/d.cls", "c/d.webp"} {
		text := map[string]string{"cls": "3", "json": `{"label": "x"}`}[name[strings.LastIndex(name, ".")+1:]]
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644}); err != nil {
			f.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes(), "")
	f.Add(good.Bytes()[:700], "")
	f.Add(good.Bytes(), "label")
	f.Add(good.Bytes(), "no\nlabel")
	f.Fuzz(func(t *testing.T, b []byte, chosen string) {
		labels, _, err := tarLabels(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }, chosen)
		oneLine(t, err)
		if err != nil {
			return
		}
		n := 0
		err = eachSample(bytes.NewReader(b), func(string) bool { return false }, func(key string, members map[string][]byte) error {
			n++
			_, err := pictureOf(key, members)
			return err
		})
		if err != nil || n != len(labels) {
			t.Errorf("%d labels, %d samples, %v", len(labels), n, err)
		}
	})
}

// FuzzPrepared opens arbitrary bytes as a prepared file. Its sums are put right where its head can be found, so that the checks behind
// them are reached.
func FuzzPrepared(f *testing.F) {
	head := preparedHead{Version: preparedVersion, N: 2, H: 1, W: 2, C: 1, Source: "x"}
	sound := []byte{1, 2, 3, 4, 0, 0, 0, 0, 1, 0, 0, 0, 1, 3}
	head.PixelSum, head.LabelSum = crc32.Checksum(sound[:4], castagnoli), crc32.Checksum(sound[4:], castagnoli)
	f.Add(sound, mustJSON(f, head))
	head.N = 1 << 40
	f.Add([]byte{1}, mustJSON(f, head))
	head.N, head.H = 1, -1
	f.Add([]byte{1}, mustJSON(f, head))
	f.Fuzz(func(t *testing.T, content, head []byte) {
		m, err := parsePrepared(closePrepared(content, head))
		oneLine(t, err)
		if err == nil && (len(m.labels) != m.head.N || len(m.pixels) != m.head.N*m.head.H*m.head.W*m.head.C) {
			t.Errorf("%d labels and %d bytes for %+v", len(m.labels), len(m.pixels), m.head)
		}
		if _, err := parsePrepared(head); err == nil && !bytes.HasSuffix(head, []byte(preparedEnd)) {
			t.Error("a file without an end was opened")
		}
	})
}

// FuzzGlimpses reads arbitrary bytes as the glimpses of a set, and reads again what it writes.
func FuzzGlimpses(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 1})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		_, err := parseGlimpses(content)
		oneLine(t, err)
		sum := sha256.Sum256(content)
		seen, err := parseGlimpses(append(content[:len(content):len(content)], sum[:]...))
		oneLine(t, err)
		if (err == nil) != (len(content)%glimpseBytes == 0) || err == nil && len(seen) != len(content)/glimpseBytes {
			t.Fatalf("%d bytes: %d glimpses, %v", len(content), len(seen), err)
		}
		if err == nil && !bytes.Equal(formGlimpses(seen), append(content[:len(content):len(content)], sum[:]...)) {
			t.Error("written otherwise than it was read")
		}
	})
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzChoices reads arbitrary choices; what is read is written as it was meant.
func FuzzChoices(f *testing.F) {
	f.Add("label=fine,test=0.1,seed=3")
	f.Add("test=1e-3")
	f.Add("label")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseChoices(text)
		if err != nil {
			return
		}
		again, ok := strings.CutPrefix(c.String(), "#")
		if !ok {
			return // says nothing
		}
		if back, err := parseChoices(again); err != nil || back != c {
			t.Errorf("%q is read as %+v and written as %q, which is read as %+v, %v", text, c, again, back, err)
		}
	})
}

// FuzzRegistry reads an arbitrary list of registered sets.
func FuzzRegistry(f *testing.F) {
	f.Add([]byte(`{"mine":{"path":"/x","how":{"test":0.1}}}`))
	f.Add([]byte(`{"mine":`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseRegistry("own.json", b)
		oneLine(t, err)
		if err == nil && all == nil {
			t.Error("nothing can be added to it")
		}
		for name, p := range all {
			if p.Name != name {
				t.Errorf("%q is called %q", name, p.Name)
			}
		}
	})
}

// FuzzParquet reads arbitrary bytes as a Parquet file of the Hub. What cannot be read is an error of one line, and takes no more memory
// than a file of its size may.
func FuzzParquet(f *testing.F) {
	for _, seed := range []string{"parquet/train-00001-of-00002.parquet", "text_labels/named.parquet", "text_labels/category.parquet", "text_labels/forms.parquet", "float_labels/double.parquet"} {
		b, err := os.ReadFile(own(strings.Split(seed, "/")...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file := filepath.Join(t.TempDir(), "a.parquet")
		put(t, file, b)
		err := fuzztest.Read(t, len(b), func() error {
			r, err := openParquet(file, []string{file}, choices{})
			if err != nil {
				return err
			}
			return r.each(func(picture) error { return nil })
		})
		oneLine(t, err)
	})
}
