package datasets

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gomlx/compute/dtypes/float16"
	"github.com/pkg/errors"

	"palimpsest/pkg/oneline"
)

// npzReading reads archives of NumPy arrays: x_train, y_train, x_test, y_test (Keras), train_images, train_labels, val_images and so on
// (MedMNIST), both in one file; data and labels in batches, a file each (ImageNet-32 and -64); arr_0 and arr_1. Images are unsigned
// bytes, [N,H,W], [N,H,W,C], [N,C,H,W] or [N,S·S], of the name data also [N,3·S·S] in planes; labels whole numbers, as 1 or 1.0, or text,
// [N] or [N,1], or one-hot, [N,K]. Arrays are in C order or in Fortran order.
var npzReading = reading{
	name: ".npz files (x_train, y_train, x_test, y_test)",
	files: func(path string, folder bool) ([]string, bool, error) {
		return filesEnding(path, folder, false, ".npz")
	},
	open: openNPZ,
}

// npzPairs are the names of arrays of images and labels, and their split; noSplit: the name of the file tells it.
var npzPairs = []struct {
	images, labels string
	split          split
}{
	{"x_train", "y_train", inTrain}, {"x_val", "y_val", inVal}, {"x_test", "y_test", inTest},
	{"train_images", "train_labels", inTrain}, {"val_images", "val_labels", inVal}, {"test_images", "test_labels", inTest},
	{"images", "labels", noSplit}, {"data", "labels", noSplit}, {"arr_0", "arr_1", noSplit},
}

// npzArrays says which arrays of a file a part is.
type npzArrays struct{ file, images string }

func openNPZ(root string, files []string, how choices) (reader, error) {
	if err := noLabelChoice(root, how); err != nil {
		return nil, err
	}
	if err := allShards(root, files); err != nil {
		return nil, err
	}
	var err error
	splits, unsplit := splitsOfFiles(root, files)
	r, arrays := &rawReader{root: root}, map[string]npzArrays{} // by the name of the part
	texts, textual := textLabels{}, false
	for i, file := range files {
		z, err := zip.OpenReader(file)
		if err != nil {
			return nil, errors.Errorf("%s is no sound .npz file (%s); replace it", file, reasonOf(err))
		}
		before := len(r.parts)
		for _, pair := range npzPairs {
			p := part{file: file + ":" + pair.images, split: pair.split}
			if z.File = slices.DeleteFunc(z.File, func(f *zip.File) bool { return f.FileInfo().IsDir() }); npzEntry(z, pair.images) == nil || npzEntry(z, pair.labels) == nil {
				continue
			}
			if pair.split == noSplit {
				if unsplit != nil {
					_ = z.Close()
					return nil, unsplit
				}
				p.split = splits[i]
			}
			var text bool
			p.labels, text, err = npzLabels(z, pair.labels, texts)
			if len(r.parts) == 0 {
				textual = text
			}
			if err == nil && text != textual {
				err = errors.Errorf("array %s has labels that are %s, but those of %s are %s; need one kind", pair.labels, kinds[text], r.parts[0].file, kinds[!text])
			}
			if err != nil {
				_ = z.Close()
				return nil, errors.WithMessage(err, file)
			}
			if pair.images == "data" && len(r.parts) > before { // images and labels were there
				continue
			}
			arrays[p.file] = npzArrays{file, pair.images}
			r.parts = append(r.parts, p)
		}
		var names []string
		for _, f := range z.File {
			names = append(names, strings.TrimSuffix(f.Name, ".npy"))
		}
		if err := z.Close(); err != nil {
			return nil, errors.WithStack(err)
		}
		if len(r.parts) == before {
			return nil, errors.Errorf("%s holds the arrays %.200q; need x_train, y_train, x_test, y_test, or train_images, train_labels, test_images, test_labels, or data and labels", file, names)
		}
	}
	if err := measured(root, r.parts); err != nil {
		return nil, err
	}
	if textual {
		r.names, r.class = texts.classes()
	} else if r.names, r.class, err = numberedClasses(r.parts); err != nil {
		return nil, err
	}
	r.open = func(p part) (func() ([]uint8, int, int, int, error), func() error, error) {
		return openNPZImages(arrays[p.file], len(p.labels))
	}
	return r, nil
}

// measured sees to it that there will be test images: if all parts are training images, they become images without a split, of
// which some are later taken for testing. It returns an error if there are no training images.
func measured(root string, parts []part) error {
	var has [inTest + 1]bool
	for _, p := range parts {
		has[p.split] = true
	}
	switch {
	case has[noSplit] && (has[inTrain] || has[inVal] || has[inTest]):
		return errors.Errorf("of %s some images belong to a split and some to none; name the splits of all or of none", root)
	case has[inTrain] && !has[inVal] && !has[inTest]:
		for i := range parts {
			parts[i].split = noSplit
		}
	case !has[noSplit] && !has[inTrain]:
		return errors.Errorf("%s has no training images; add them", root)
	}
	return nil
}

// npzEntry finds an array by its name. It returns nil if there is none.
func npzEntry(z *zip.ReadCloser, name string) *zip.File {
	for _, f := range z.File {
		if f.Name == name+".npy" {
			return f
		}
	}
	return nil
}

// npyHeader is the head of a NumPy array.
type npyHeader struct {
	dtype   string // as "|u1" or "<i8"
	fortran bool   // the first index runs fastest
	shape   []int
}

// elements is the number of elements, -1 if it is impossibly large.
func (h npyHeader) elements() int {
	n := 1
	for _, d := range h.shape {
		if d < 0 || d > 0 && n > math.MaxInt/d {
			return -1
		}
		n *= d
	}
	return n
}

var npyFields = regexp.MustCompile(`^\{'descr': '([^']{1,16})', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\),? *\}\s*$`)

// readNPY reads the head of a NumPy array, of which the elements follow.
func readNPY(r io.Reader) (h npyHeader, err error) {
	head := make([]byte, 10)
	if _, err := io.ReadFull(r, head); err != nil {
		return h, errors.New("ends within the head of a NumPy array")
	}
	if string(head[:6]) != "\x93NUMPY" {
		return h, errors.Errorf("begins with % x, not as a NumPy array does", head[:6])
	}
	size := int(binary.LittleEndian.Uint16(head[8:]))
	if head[6] > 1 { // four bytes of size
		more := make([]byte, 2)
		if _, err := io.ReadFull(r, more); err != nil {
			return h, errors.New("ends within the head of a NumPy array")
		}
		size |= int(binary.LittleEndian.Uint16(more)) << 16
	}
	if size > 1<<16 {
		return h, errors.Errorf("has a head of %d bytes; need that of an array of numbers", size)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, errors.New("ends within the head of a NumPy array")
	}
	m := npyFields.FindStringSubmatch(string(text))
	if m == nil {
		return h, errors.Errorf("has the head %.120q; need an array of numbers", strings.TrimSpace(string(text)))
	}
	h.dtype, h.fortran = m[1], m[2] == "True"
	for field := range strings.SplitSeq(m[3], ",") {
		if field = strings.TrimSpace(field); field != "" {
			d, err := strconv.Atoi(field)
			if err != nil {
				return h, errors.Errorf("has the shape (%s)", m[3])
			}
			h.shape = append(h.shape, d)
		}
	}
	return h, nil
}

// npzLabels reads an array of labels as [readNPYLabels] does.
func npzLabels(z *zip.ReadCloser, name string, texts textLabels) (labels []int64, text bool, err error) {
	f, err := npzEntry(z, name).Open()
	if err != nil {
		return nil, false, errors.Errorf("array %s cannot be read (%s); write the file anew", name, reasonOf(err))
	}
	defer f.Close()
	labels, text, err = readNPYLabels(bufio.NewReader(f), texts)
	return labels, text, errors.WithMessagef(err, "array %s", name)
}

// npyText is the type of text: of characters of four bytes, or of bytes.
var npyText = regexp.MustCompile(`^[<>|=]?([US])(\d{1,5})$`)

// readNPYLabels reads an array of labels: whole numbers, [N] or [N,1], integers or floating-point numbers; text, of which each gets the
// number that texts has of it; or one-hot rows, [N,K] of 0 and a 1, whose place is the number. It allocates as much memory as there are
// labels, and not as much as the header says.
func readNPYLabels(r io.Reader, texts textLabels) (labels []int64, text bool, err error) {
	h, err := readNPY(r)
	if err != nil {
		return nil, false, err
	}
	columns := 1
	if len(h.shape) == 2 {
		columns = h.shape[1]
	}
	kind := npyText.FindStringSubmatch(h.dtype)
	if text = kind != nil; len(h.shape) < 1 || len(h.shape) > 2 || columns < 1 || h.elements() < 0 || text && columns > 1 {
		return nil, text, errors.Errorf("has the shape %v; need one label an image, [N], or one-hot rows, [N,K]", h.shape)
	}
	if columns > 1 && h.fortran {
		return nil, text, errors.New("holds one-hot rows in Fortran order; store np.ascontiguousarray of it, or its argmax(1)")
	}
	var order binary.ByteOrder = binary.LittleEndian
	if h.dtype[0] == '>' {
		order = binary.BigEndian
	}
	var number func(b []byte) (int64, error)
	size := 0
	if text {
		if size, err = strconv.Atoi(kind[2]); err != nil {
			return nil, text, errors.WithStack(err)
		}
		number = func(b []byte) (int64, error) { return texts.number(string(bytes.TrimRight(b, "\x00"))) }
		if kind[1] == "U" {
			size *= 4
			number = func(b []byte) (int64, error) { return texts.number(utf32(b, order)) }
		}
	} else if size, number = npyNumber(h.dtype, order); number == nil {
		if strings.HasSuffix(h.dtype, "O") {
			return nil, text, errors.New("holds Python objects, whose bytes are a program, which is not run; store labels as np.array(y, dtype=str), or as whole numbers")
		}
		return nil, text, errors.Errorf("is of type %s; need whole numbers, or text", oneline.Text(h.dtype))
	}
	for b := make([]byte, size); len(labels) < h.shape[0]; {
		label, ones := int64(0), 0
		for k := range columns {
			if _, err := io.ReadFull(r, b); err != nil {
				return nil, text, errors.Errorf("ends after %d of %d labels", len(labels), h.shape[0])
			}
			n, err := number(b)
			switch {
			case err != nil && text:
				return nil, text, errors.Errorf("row %d %v", len(labels), err)
			case err != nil:
				return nil, text, errors.WithMessagef(err, "row %d", len(labels))
			case columns == 1:
				label, ones = n, 1
			case n == 1:
				label, ones = int64(k), ones+1
			case n != 0:
				return nil, text, errors.Errorf("row %d of %d columns holds %d; need one-hot rows, of 0 and one 1", len(labels), columns, n)
			}
		}
		if ones != 1 {
			return nil, text, errors.Errorf("row %d of %d columns holds %d ones; need one-hot rows, of 0 and one 1: leave out images of no class or of several", len(labels), columns, ones)
		}
		labels = append(labels, label)
	}
	return labels, text, npyEnd(r)
}

// utf32 is text of four bytes a character, without the zeros that fill it up. What is no character stays no UTF-8.
func utf32(b []byte, order binary.ByteOrder) string {
	var text []byte
	for ; len(b) > 0; b = b[4:] {
		if c := order.Uint32(b); c <= utf8.MaxRune && utf8.ValidRune(rune(c)) {
			text = utf8.AppendRune(text, rune(c))
		} else {
			text = append(text, 0xff)
		}
	}
	return strings.TrimRight(string(text), "\x00")
}

// npyNumber says how many bytes a number of a type has and how it is read, nil where it is none.
func npyNumber(dtype string, order binary.ByteOrder) (size int, read func(b []byte) (int64, error)) {
	var whole func(b []byte) int64
	var float func(b []byte) float64
	switch dtype[1:] {
	case "i1":
		whole = func(b []byte) int64 { return int64(int8(b[0])) }
	case "u1", "b1":
		whole = func(b []byte) int64 { return int64(b[0]) }
	case "i2":
		whole = func(b []byte) int64 { return int64(int16(order.Uint16(b))) }
	case "u2":
		whole = func(b []byte) int64 { return int64(order.Uint16(b)) }
	case "i4":
		whole = func(b []byte) int64 { return int64(int32(order.Uint32(b))) }
	case "u4":
		whole = func(b []byte) int64 { return int64(order.Uint32(b)) }
	case "i8", "u8":
		whole = func(b []byte) int64 { return int64(order.Uint64(b)) }
	case "f2":
		float = func(b []byte) float64 { return float64(float16.FromBits(order.Uint16(b)).Float32()) }
	case "f4":
		float = func(b []byte) float64 { return float64(math.Float32frombits(order.Uint32(b))) }
	case "f8":
		float = func(b []byte) float64 { return math.Float64frombits(order.Uint64(b)) }
	default:
		return 0, nil
	}
	return int(dtype[2] - '0'), func(b []byte) (int64, error) {
		if whole != nil {
			return whole(b), nil
		}
		return wholeLabel(float(b))
	}
}

// npyEnd returns an error if an array goes on after its last element, or if it is not what the archive's checksum says: that is compared
// at the end alone.
func npyEnd(r io.Reader) error {
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return errors.New("goes on after the elements that its shape tells of; write the file anew")
	case err != io.EOF:
		return errors.Errorf("is damaged (%s); replace the file", reasonOf(err))
	}
	return nil
}

// openNPZImages opens an array of images. It returns a function that reads the next image, and one that closes the file.
func openNPZImages(a npzArrays, labels int) (func() ([]uint8, int, int, int, error), func() error, error) {
	z, err := zip.OpenReader(a.file)
	if err != nil {
		return nil, nil, errors.WithStack(err)
	}
	entry := npzEntry(z, a.images)
	if entry == nil {
		_ = z.Close()
		return nil, nil, errors.Errorf("%s has changed while it was read", a.file)
	}
	next, err := npyImages(func() (io.Reader, error) {
		f, err := entry.Open()
		return bufio.NewReaderSize(f, 1<<20), err
	}, labels, a.images == "data")
	if err != nil {
		_ = z.Close()
		return nil, nil, errors.WithMessagef(err, "%s: array %s", a.file, a.images)
	}
	return func() ([]uint8, int, int, int, error) {
		px, h, w, c, err := next()
		return px, h, w, c, errors.WithMessagef(err, "%s: array %s", a.file, a.images)
	}, z.Close, nil
}

// npyImages reads the header of an array of images, which open opens; it is an error if there is not one image for each label. It returns
// a function that reads the next image. Rows of 3·S·S bytes are three planes where planar3 is set, and else refused: nothing tells them from
// pixels one after another.
func npyImages(open func() (io.Reader, error), labels int, planar3 bool) (func() ([]uint8, int, int, int, error), error) {
	r, err := open()
	if err != nil {
		return nil, errors.Errorf("cannot be read (%s); write the file anew", reasonOf(err))
	}
	head, err := readNPY(r)
	if err != nil {
		return nil, err
	}
	if head.dtype != "|u1" && head.dtype != "<u1" && head.dtype != "u1" {
		how := "x.astype('uint8') of values from 0 to 255, (x/257).round().astype('uint8') of 0 to 65535"
		switch {
		case strings.Contains(head.dtype, "b"): // |b1
			how = "255*x.astype('uint8')"
		case strings.Contains(head.dtype, "f"):
			how = "(255*x).round().astype('uint8') of values in [0, 1], x.round().astype('uint8') of 0 to 255"
		}
		return nil, errors.Errorf("is of type %s; need unsigned bytes 0 to 255: store %s", oneline.Text(head.dtype), how)
	}
	if head.elements() < 1 || head.shape[0] != labels {
		return nil, errors.Errorf("has the shape %v for %d labels; need an image for each", head.shape, labels)
	}
	var h, w, c int
	planes := false
	switch s := head.shape; {
	case len(s) == 3:
		h, w, c = s[1], s[2], 1
	case len(s) == 4 && (s[3] == 1 || s[3] == 3):
		h, w, c = s[1], s[2], s[3]
	case len(s) == 4 && (s[1] == 1 || s[1] == 3):
		h, w, c, planes = s[2], s[3], s[1], true
	case len(s) == 2: // [N, C·S·S]
		for _, c = range []int{3, 1} {
			if h = int(math.Round(math.Sqrt(float64(s[1] / c)))); c*h*h == s[1] {
				break
			}
		}
		w, planes = h, true
		switch {
		case c*h*h != s[1] && planar3:
			return nil, errors.Errorf("has the shape %v; need rows of 3·S·S or S·S bytes, S the side", s)
		case c*h*h != s[1] || c > 1 && !planar3:
			return nil, errors.Errorf("has the shape %v, flat rows, which do not say how their bytes lie; need [N,H,W,C], such as x.reshape(N, H, W, 3), or grey rows of S·S bytes, S the side", s)
		}
	default:
		return nil, errors.Errorf("has the shape %v; need [N,H,W], [N,H,W,C] or [N,C,H,W] with 1 or 3 channels, or flat rows of grey squares, [N,S·S]", s)
	}
	if h > maxPicturePixels/w {
		return nil, errors.Errorf("has images of %d×%d pixels; at most %d million are read", h, w, maxPicturePixels/1_000_000)
	}
	if head.fortran {
		r = &cOrder{open: open, rows: labels, dims: head.shape[1:], size: h * w * c}
	}
	at := 0
	return func() ([]uint8, int, int, int, error) {
		px := make([]uint8, h*w*c)
		if _, err := io.ReadFull(r, px); err != nil {
			return nil, 0, 0, 0, errors.Errorf("ends before image %d of %d is whole (%s)", at, labels, reasonOf(err))
		}
		if at++; at == labels {
			if err := npyEnd(r); err != nil {
				return nil, 0, 0, 0, err
			}
		}
		if planes && c > 1 {
			px = planar(px, c)
		}
		return px, h, w, c, nil
	}, nil
}

// fortranBytes is how much of an array in Fortran order is held in memory, at least one image.
var fortranBytes = 256 << 20

// cOrder reads the bytes of an array [rows, dims...] in Fortran order as if it were in C order, and then whatever comes after them. The bytes of an image lie apart, all over
// the array, so as many images as fit into fortranBytes are gathered at once, and the array is read anew for the next.
type cOrder struct {
	open        func() (io.Reader, error) // the array with its head
	from        io.Reader                 // what was gathered from; after the last rows, at the array's end
	rows        int
	dims        []int
	size        int // of a row: the product of dims
	first, held int // the rows that are gathered
	gathered    bytes.Buffer
	next        int    // the row after those in ordered
	ordered     []byte // rows in C order, without what was read of them
}

func (c *cOrder) Read(p []byte) (int, error) {
	if len(c.ordered) == 0 {
		if c.next == c.rows {
			return c.from.Read(p)
		}
		if c.next == c.first+c.held {
			if err := c.gather(); err != nil {
				return 0, err
			}
		}
		n := min(64, c.first+c.held-c.next) // a cache line of each column
		c.ordered = make([]byte, n*c.size)
		for i := range c.size {
			to, rest := 0, i
			for _, d := range c.dims {
				to, rest = to*d+rest%d, rest/d
			}
			for row, b := range c.gathered.Bytes()[i*c.held+c.next-c.first:][:n] {
				c.ordered[row*c.size+to] = b
			}
		}
		c.next += n
	}
	n := copy(p, c.ordered)
	c.ordered = c.ordered[n:]
	return n, nil
}

// gather reads the next rows, column by column: [size, held]. Memory grows as bytes come, whatever the head says.
func (c *cOrder) gather() error {
	c.first, c.held = c.next, min(c.rows-c.next, max(1, fortranBytes/c.size))
	c.gathered.Reset()
	r, err := c.open()
	if err != nil {
		return err
	}
	if _, err := readNPY(r); err != nil {
		return err
	}
	for i, skipped := 0, c.first; err == nil && i < c.size; i, skipped = i+1, c.rows-c.held {
		if _, err = io.CopyN(io.Discard, r, int64(skipped)); err == nil {
			_, err = io.CopyN(&c.gathered, r, int64(c.held))
		}
	}
	c.from = r
	return err
}
