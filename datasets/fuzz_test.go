package datasets

import (
	"bytes"
	"errors"
	"testing"
)

// A reader may refuse anything, but only with a *FormatError that points into the file, and
// what it accepts must be the whole file: written again, it gives the same bytes.

func FuzzParseIDX(f *testing.F) {
	f.Add([]byte{})
	f.Add(idxBytes(0x0803, []uint32{3, 2, 2}, make([]byte, 12)))
	f.Add(idxBytes(0x0803, []uint32{3, 2, 2}, make([]byte, 11)))
	f.Add(idxBytes(0x0801, []uint32{5}, []byte{0, 1, 2, 3, 200}))
	f.Add(idxBytes(0x0804, []uint32{1 << 16, 1 << 16, 1 << 16, 1 << 16}, []byte{1}))
	f.Add(idxBytes(0x0803, []uint32{1<<32 - 1, 1<<32 - 1, 0}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ParseIDX("f", b)
		if err != nil {
			checkFormatError(t, err, len(b))
			return
		}
		var out bytes.Buffer
		if err := WriteIDX(&out, x.Data, x.Dims...); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), b) {
			t.Errorf("% x was read as %v and written as % x", b, x.Dims, out.Bytes())
		}
	})
}

func FuzzImagesFromIDX(f *testing.F) {
	px := idxBytes(0x0803, []uint32{3, 2, 2}, make([]byte, 12))
	f.Add(px, idxBytes(0x0801, []uint32{3}, []byte{0, 1, 9}))
	f.Add(px, idxBytes(0x0801, []uint32{3}, []byte{0, 1, 10}))
	f.Add(px, idxBytes(0x0801, []uint32{2}, []byte{0, 1}))
	f.Add(px, px)
	f.Fuzz(func(t *testing.T, px, lb []byte) {
		im, err := ImagesFromIDX("px", px, "lb", lb, 10)
		if err != nil {
			checkFormatError(t, err, max(len(px), len(lb)))
			return
		}
		checkImages(t, im, 10)
	})
}

func FuzzParseCIFAR10(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add(cifarFileOf(0), 1)
	f.Add(cifarFileOf(9, 4), 2)
	f.Add(cifarFileOf(4, 10), 2)
	f.Add(cifarFileOf(1, 2)[:4000], 0)
	f.Add(cifarFileOf(1, 2), 3)
	f.Fuzz(func(t *testing.T, b []byte, records int) {
		im, err := ParseCIFAR10("f", b, records)
		if err != nil {
			checkFormatError(t, err, len(b))
			return
		}
		checkImages(t, im, 10)
		if records > 0 && im.N != records {
			t.Errorf("%d images of %d", im.N, records)
		}
		if !bytes.Equal(cifarBytes(im.Pixels, AppendLabels(nil, im.Labels)), b) {
			t.Error("written again, the records differ")
		}
	})
}

func checkFormatError(t *testing.T, err error, size int) {
	t.Helper()
	var fe *FormatError
	if !errors.As(err, &fe) || fe.Offset < 0 || fe.Offset > int64(size) || fe.Found == "" || fe.Needed == "" {
		t.Errorf("error %v (of a file of %d bytes) says not where or what", err, size)
	}
}

func checkImages(t *testing.T, im *Images, classes int32) {
	t.Helper()
	if err := im.Validate(); err != nil {
		t.Error(err)
	}
	for i, l := range im.Labels {
		if l >= classes {
			t.Errorf("label %d of image %d was let through", l, i)
		}
	}
}
