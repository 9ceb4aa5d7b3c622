package datasets

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
)

// FormatError says where a data file is not what its format demands.
type FormatError struct {
	File   string // path or name of the file
	Offset int64  // byte of the (decompressed) file at which the trouble is
	Found  string
	Needed string
}

// Error is one line, whatever the file is called: file, offset, found and needed.
func (e *FormatError) Error() string {
	return oneline.Text(fmt.Sprintf("%s: offset %d: found %s, needed %s", e.File, e.Offset, e.Found, e.Needed))
}

// IDX is the content of a file of the IDX format (the format of MNIST) with unsigned
// bytes: Data holds the product of Dims elements, the last dimension running fastest.
type IDX struct {
	Dims []int
	Data []uint8
}

// ParseIDX reads an IDX file of unsigned bytes with 1 to 4 dimensions from its bytes.
// The layout is 0, 0, type (8: unsigned byte), number of dimensions, each dimension as a
// big-endian uint32, then the elements to the very end. Data shares b's memory: nothing
// is allocated for what the header claims. The error is a *FormatError and bears file.
func ParseIDX(file string, b []byte) (*IDX, error) {
	fail := func(offset int, found, needed string) error {
		return &FormatError{File: file, Offset: int64(offset), Found: found, Needed: needed}
	}
	if len(b) < 4 {
		return nil, fail(len(b), "the end of the file", "4 bytes of magic number 00 00 08 0d, d dimensions")
	}
	nd := int(b[3])
	if b[0] != 0 || b[1] != 0 || b[2] != 8 || nd < 1 || nd > 4 {
		return nil, fail(0, fmt.Sprintf("magic number % x", b[:4]), "00 00 08 0d: unsigned bytes in d = 1 to 4 dimensions")
	}
	start := 4 + 4*nd
	if len(b) < start {
		return nil, fail(len(b), "the end of the file", fmt.Sprintf("%d bytes of header (%d dimensions)", start, nd))
	}
	dims, rest := make([]int, nd), int64(len(b)-start)
	need := int64(1)
	for i := range dims {
		at := 4 + 4*i
		d := int64(binary.BigEndian.Uint32(b[at:]))
		if d == 0 {
			return nil, fail(at, fmt.Sprintf("dimension %d of size 0", i), "1 or more")
		}
		// need is at most rest < 2^47 and d < 2^32, but their product may not fit.
		if need > rest/d {
			return nil, fail(len(b), fmt.Sprintf("the end of the file, %d bytes after the header", rest),
				fmt.Sprintf("%d x %d bytes or more for dimensions 0 to %d of the header", need, d, i))
		}
		need *= d
		dims[i] = int(d)
	}
	if rest != need {
		return nil, fail(start+int(need), fmt.Sprintf("%d more bytes", rest-need),
			fmt.Sprintf("the end of the file, as the header says %v", dims))
	}
	return &IDX{Dims: dims, Data: b[start:]}, nil
}

// WriteIDX writes data, of the shape dims, as an IDX file of unsigned bytes. It returns an error, and writes nothing, if w is nil and
// unless data is the product of 1 to 4 dimensions, each from 1 to 2^32-1.
func WriteIDX(w io.Writer, data []uint8, dims ...int) error {
	header := []byte{0, 0, 8, byte(len(dims))}
	left, fits := len(data), w != nil && len(dims) >= 1 && len(dims) <= 4
	for _, d := range dims {
		header = binary.BigEndian.AppendUint32(header, uint32(d))
		if fits = fits && d >= 1 && int64(d) <= math.MaxUint32 && left%d == 0; fits {
			left /= d
		}
	}
	if !fits || left != 1 {
		return errors.Errorf("datasets.WriteIDX: %d elements for dimensions %v, to a %T; need as many as the product of 1 to 4 dimensions, each 1 or more, and a writer",
			len(data), dims, w)
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

// ImagesFromIDX reads a pair of IDX files, images [N,H,W] and labels [N], into grey
// images (C = 1). Every label must be below classes. Names are for the errors, which are
// *FormatError.
func ImagesFromIDX(imageFile string, imageBytes []byte, labelFile string, labelBytes []byte, classes int) (*Images, error) {
	px, err := ParseIDX(imageFile, imageBytes)
	if err != nil {
		return nil, err
	}
	if len(px.Dims) != 3 {
		return nil, &FormatError{imageFile, 3, fmt.Sprintf("%d dimensions", len(px.Dims)), "3: images, rows, columns"}
	}
	lb, err := ParseIDX(labelFile, labelBytes)
	if err != nil {
		return nil, err
	}
	if len(lb.Dims) != 1 {
		return nil, &FormatError{labelFile, 3, fmt.Sprintf("%d dimensions", len(lb.Dims)), "1: labels"}
	}
	if lb.Dims[0] != px.Dims[0] {
		return nil, &FormatError{labelFile, 4, fmt.Sprintf("%d labels", lb.Dims[0]),
			fmt.Sprintf("%d, one for each image of %s", px.Dims[0], imageFile)}
	}
	for i, label := range lb.Data {
		if int(label) >= classes {
			return nil, &FormatError{labelFile, int64(8 + i), fmt.Sprintf("label %d", label),
				fmt.Sprintf("0 to %d", classes-1)}
		}
	}
	return &Images{N: px.Dims[0], H: px.Dims[1], W: px.Dims[2], C: 1, Pixels: px.Data, Labels: WideLabels(lb.Data)}, nil
}

// readFile reads a file of at most limit bytes, decompressed if its name ends in ".gz".
func readFile(path string, limit int64) ([]byte, error) {
	f, err := atomicfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readOpen(path, f, limit)
}

// readOpen reads r, the content of path, and decompresses it if path ends in ".gz".
func readOpen(path string, r io.Reader, limit int64) ([]byte, error) {
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, &FormatError{path, 0, err.Error(), "the header of a gzip file"}
		}
		r = z // its check sum is verified at the end
	}
	return readBounded(path, r, limit)
}

// readBounded reads r to its end, which must come after limit bytes at the latest, so that
// a damaged or hostile gzip file cannot fill the memory.
func readBounded(file string, r io.Reader, limit int64) ([]byte, error) {
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, &FormatError{file, n, err.Error(), "more data, or a sound end of the file"}
	}
	if n > limit {
		return nil, &FormatError{file, limit, "more data", "the end of the file"}
	}
	return buf.Bytes(), nil
}
