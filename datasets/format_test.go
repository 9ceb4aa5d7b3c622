package datasets

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// idxBytes is an IDX file with the header as given, honest or not, followed by data.
func idxBytes(magic uint32, dims []uint32, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, magic)
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, data...)
}

func wantFormatError(t *testing.T, err error, offset int64, found, needed string) {
	t.Helper()
	var f *FormatError
	if !errors.As(err, &f) {
		t.Fatalf("error %v is not a *FormatError", err)
	}
	if f.File == "" || f.Offset != offset || !strings.Contains(f.Found, found) || !strings.Contains(f.Needed, needed) {
		t.Errorf("got %q; want offset %d, found ...%s..., needed ...%s...", f, offset, found, needed)
	}
}

func TestParseIDXErrors(t *testing.T) {
	twelve := make([]byte, 12)
	for _, tc := range []struct {
		name          string
		b             []byte
		offset        int64
		found, needed string
	}{
		{"empty", nil, 0, "end of the file", "magic number"},
		{"short magic", []byte{0, 0, 8}, 3, "end of the file", "magic number"},
		{"wrong type", idxBytes(0x0d03, []uint32{3, 2, 2}, twelve), 0, "00 00 0d 03", "unsigned bytes"},
		{"wrong start", idxBytes(0x1f8b0803, []uint32{3, 2, 2}, twelve), 0, "1f 8b 08 03", "00 00 08"},
		{"no dimensions", idxBytes(0x0800, nil, twelve), 0, "00 00 08 00", "1 to 4"},
		{"five dimensions", idxBytes(0x0805, []uint32{1, 1, 1, 1, 12}, twelve), 0, "00 00 08 05", "1 to 4"},
		{"header cut", idxBytes(0x0803, []uint32{3, 2}, nil), 12, "end of the file", "16 bytes of header"},
		{"size 0", idxBytes(0x0803, []uint32{3, 0, 2}, twelve), 8, "dimension 1 of size 0", "1 or more"},
		{"truncated", idxBytes(0x0803, []uint32{3, 2, 2}, twelve[:11]), 27, "11 bytes after the header", "6 x 2 bytes"},
		{"oversized", idxBytes(0x0803, []uint32{2, 2, 2}, twelve), 24, "4 more bytes", "end of the file"},
		{"a claim of 2^96 bytes", idxBytes(0x0803, []uint32{1<<32 - 1, 1<<32 - 1, 1<<32 - 1}, twelve), 28, "12 bytes", "4294967295"},
		{"a product that wraps to 12", idxBytes(0x0804, []uint32{1 << 16, 1 << 16, 1 << 16, 1 << 16}, twelve), 32, "12 bytes", "65536"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseIDX("f", tc.b)
			wantFormatError(t, err, tc.offset, tc.found, tc.needed)
		})
	}
}

func TestImagesFromIDX(t *testing.T) {
	px := idxBytes(0x0803, []uint32{3, 2, 2}, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	labels := func(l ...byte) []byte { return idxBytes(0x0801, []uint32{uint32(len(l))}, l) }
	im, err := ImagesFromIDX("px", px, "lb", labels(2, 0, 1), 3)
	if err != nil {
		t.Fatal(err)
	}
	if im.N != 3 || im.H != 2 || im.W != 2 || im.C != 1 || !slices.Equal(im.Image(1), []byte{4, 5, 6, 7}) || im.Labels[0] != 2 {
		t.Errorf("got %+v", im)
	}
	_, err = ImagesFromIDX("px", px, "lb", labels(2, 0, 3), 3)
	wantFormatError(t, err, 10, "label 3", "0 to 2")
	_, err = ImagesFromIDX("px", px, "lb", labels(2, 0), 3)
	wantFormatError(t, err, 4, "2 labels", "3")
	_, err = ImagesFromIDX("px", labels(1), "lb", labels(1), 3)
	wantFormatError(t, err, 3, "1 dimensions", "3")
	_, err = ImagesFromIDX("px", px, "lb", px, 3)
	wantFormatError(t, err, 3, "3 dimensions", "1")
}

// cifarFileOf is a file of records whose bytes are all different enough to tell planes apart.
func cifarFileOf(labels ...byte) []byte {
	var b []byte
	for i, l := range labels {
		b = append(b, l)
		for k := range 3 * cifarPlane {
			b = append(b, byte(k*7+k/cifarPlane*50+i))
		}
	}
	return b
}

func TestParseCIFAR10(t *testing.T) {
	b := cifarFileOf(3, 9)
	im, err := ParseCIFAR10("f", b, 2)
	if err != nil {
		t.Fatal(err)
	}
	if im.N != 2 || im.H != 32 || im.W != 32 || im.C != 3 || !slices.Equal(im.Labels, []int32{3, 9}) {
		t.Fatalf("got %d images %dx%dx%d, labels %v", im.N, im.H, im.W, im.C, im.Labels)
	}
	// Pixel (row 5, column 7) of image 1: plane offsets as the format states them.
	p := 5*32 + 7
	for c := range 3 {
		if got, want := im.Image(1)[3*p+c], b[3073+1+c*1024+p]; got != want {
			t.Errorf("channel %d: %d, want %d", c, got, want)
		}
	}
	if !bytes.Equal(cifarBytes(im.Pixels, AppendLabels(nil, im.Labels)), b) {
		t.Error("written again, the records differ")
	}
	for _, tc := range []struct {
		name          string
		b             []byte
		records       int
		offset        int64
		found, needed string
	}{
		{"empty", nil, 0, 0, "0 bytes", "a whole record"},
		{"cut in a record", b[:5000], 0, 3073, "1927 bytes", "a whole record"},
		{"a byte too many", append(slices.Clone(b), 1), 2, 6146, "1 bytes", "a whole record"},
		{"too few records", b, 3, 6146, "end of the file", "3 records, not 2"},
		{"too many records", b, 1, 3073, "1 more records", "after 1 records"},
		{"label", cifarFileOf(3, 10), 2, 3073, "label 10", "0 to 9"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseCIFAR10("f", tc.b, tc.records)
			wantFormatError(t, err, tc.offset, tc.found, tc.needed)
		})
	}
}

func gzipped(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write(b)
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return z.Bytes()
}

func TestReadFileGzip(t *testing.T) {
	dir := t.TempDir()
	whole := bytes.Repeat([]byte("0123456789abcdef"), 4096) // 64 KiB
	z := gzipped(whole)
	flipped := slices.Clone(z)
	flipped[len(flipped)-6] ^= 1 // in the check sum
	path := filepath.Join(dir, "f.gz")
	for _, tc := range []struct {
		name          string
		b             []byte
		limit         int64
		offset        int64
		found, needed string // found "" for no error
	}{
		{"whole", z, 65536, 0, "", ""},
		{"larger than it may be", z, 65535, 65535, "more data", "end of the file"},
		{"not gzip", whole, 65536, 0, "invalid header", "gzip"},
		{"check sum", flipped, 65536, 65536, "checksum", "sound end"},
		{"bytes after the end", append(slices.Clone(z), "junk junk junk"...), 65536, 65536, "invalid header", "sound end"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.WriteFile(path, tc.b, 0o644); err != nil {
				t.Fatal(err)
			}
			b, err := readFile(path, tc.limit)
			if tc.found == "" {
				if err != nil || !bytes.Equal(b, whole) {
					t.Fatalf("%d bytes, %v", len(b), err)
				}
				return
			}
			wantFormatError(t, err, tc.offset, tc.found, tc.needed)
		})
	}
	for cut := range len(z) { // a gzip file cut anywhere is an error
		if _, err := readOpen("f.gz", bytes.NewReader(z[:cut]), 65536); err == nil {
			t.Fatalf("cut to %d of %d bytes, the file was read without an error", cut, len(z))
		}
	}
}
