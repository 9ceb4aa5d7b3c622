package datasets

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// own is a file or folder of those that testdata/own/make.py has written with Pillow, NumPy, Hugging Face datasets and webdataset.
func own(name ...string) string {
	return filepath.Join(append([]string{"testdata", "own"}, name...)...)
}

// TestPicturesAsPillow: pictures of every format and kind have the pixels that Pillow reads, upright and over white. Lossless ones are
// equal, save that transparency may be rounded otherwise; lossy decoders differ by a few levels.
func TestPicturesAsPillow(t *testing.T) {
	b, err := os.ReadFile(own("pictures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct {
		H, W, C, Tolerance int
		Pixels             []byte
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 35 {
		t.Errorf("only %d pictures", len(all))
	}
	for name, want := range all {
		file, err := os.ReadFile(own("pictures", name))
		if err != nil {
			t.Fatal(err)
		}
		info, err := lookAtPicture(file)
		if err != nil {
			t.Errorf("%s %v", name, err)
			continue
		}
		if info.h != want.H || info.w != want.W || info.c != want.C {
			t.Errorf("%s has %d×%d×%d, Pillow reads %d×%d×%d", name, info.h, info.w, info.c, want.H, want.W, want.C)
			continue
		}
		px, err := decodePicture(file, info)
		if err != nil {
			t.Errorf("%s %v", name, err)
			continue
		}
		worst := 0
		for i, v := range px {
			worst = max(worst, int(v)-int(want.Pixels[i]), int(want.Pixels[i])-int(v))
		}
		if worst > want.Tolerance || len(px) != len(want.Pixels) {
			t.Errorf("%s differs from Pillow by up to %d levels; want %d at most", name, worst, want.Tolerance)
		}
		// No part of a picture is a picture, and none brings the program down.
		for cut := 0; cut < len(file); cut += 1 + len(file)/40 {
			if info, err := lookAtPicture(file[:cut]); err == nil {
				if _, err := decodePicture(file[:cut], info); err != nil && strings.Contains(err.Error(), "\n") {
					t.Errorf("%s, cut: %q", name, err)
				}
			}
		}
	}
}

// TestStretchAsNumPy: a picture whose size is changed has the mean of the area of each pixel, as NumPy computes it of repeated pixels.
func TestStretchAsNumPy(t *testing.T) {
	b, err := os.ReadFile(own("boxes.json"))
	if err != nil {
		t.Fatal(err)
	}
	var boxes map[string][]byte
	if err := json.Unmarshal(b, &boxes); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(own("pictures", "rgb.png"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := lookAtPicture(file)
	if err != nil {
		t.Fatal(err)
	}
	px, err := decodePicture(file, info)
	if err != nil {
		t.Fatal(err)
	}
	im := &Images{N: 1, H: info.h, W: info.w, C: info.c, Pixels: px, Labels: []int32{0}}
	for size, want := range boxes {
		var h, w int
		if _, err := fmt.Sscanf(size, "%dx%d", &h, &w); err != nil {
			t.Fatal(err)
		}
		if got := apply(t, Prep{Height: h, Width: w, Method: "stretch"}, im).Pixels; !slices.Equal(got, want) {
			t.Errorf("%s: % d, want % d", size, got, want)
		}
	}
}

// TestFormats: sets of every format have the images, labels, splits and names of classes that were written.
func TestFormats(t *testing.T) {
	ownCache(t)
	trees, byName, digits, ones := []string{"oak", "ash", "elm"}, []string{"ash", "elm", "oak"}, []string{"0", "1", "2"}, []string{"1", "2", "3"}
	for _, tc := range []struct {
		ref              string
		classes          []string
		train, val, test int
		grey             bool
	}{
		{own("npz", "keras.npz"), digits, 9, 0, 6, false},
		{own("npz", "medmnist.npz"), digits, 9, 6, 6, true},
		{own("npz", "channels_first.npz"), digits, 9, 0, 6, false},
		{own("imagenet32"), ones, 9, 0, 6, false},
		{own("parquet"), trees, 9, 0, 6, false},
		{own("cifar100_parquet"), trees, 6, 0, 3, false},
		{own("cifar100_parquet") + "#label=coarse", []string{"a", "b"}, 7, 0, 2, false},
		{own("webdataset"), digits, 9, 0, 6, false},
		{own("webdataset_json") + "#label=label", []string{"ash", "elm", "oak"}, 6, 0, 3, false},
		{own("webdataset_float"), digits, 6, 0, 3, false},
		{own("webdataset_gz"), digits, 9, 0, 6, false},
		{own("npz_labels", "text.npz"), byName, 9, 0, 6, false},
		{own("npz_labels", "big_text.npz"), byName, 9, 0, 6, false},
		{own("npz_labels", "bytes.npz"), byName, 9, 0, 6, false},
		{own("npz_labels", "onehot.npz"), digits, 9, 0, 6, false},
		{own("npz_labels", "onehot_f4.npz"), digits, 9, 0, 6, false},
		{own("npz_labels", "onehot_bool.npz"), digits, 9, 0, 6, false},
		{own("float_labels", "f2.npz"), digits, 9, 0, 6, false},
		{own("float_labels", "f4.npz"), digits, 9, 0, 6, false},
		{own("float_labels", "f8.npz"), digits, 9, 0, 6, false},
		{own("float_labels", "big_f4.npz"), digits, 9, 0, 6, false},
		{own("float_labels", "float.parquet"), digits, 6, 0, 3, false},
		{own("float_labels", "double.parquet"), digits, 6, 0, 3, false},
		{own("text_labels", "named.parquet"), []string{"ash", "elm", "oak"}, 6, 0, 3, false},
		{own("emnist"), []string{"A/a", "B/b", "C/c"}, 9, 0, 6, true},
		{own("emnist", "emnist-letters-test-labels-idx1-ubyte.gz"), []string{"A/a", "B/b", "C/c"}, 9, 0, 6, true},
	} {
		d, err := Open(tc.ref)
		if err != nil {
			t.Errorf("%s: %v", tc.ref, err)
			continue
		}
		if d, err = d.Prepared(Prep{Method: "none"}); err != nil {
			t.Errorf("%s: %v", tc.ref, err)
			continue
		}
		val := 0
		if d.Val != nil {
			val = d.Val.N
		}
		if !slices.Equal(d.Classes, tc.classes) || d.Train.N != tc.train || val != tc.val || d.Test.N != tc.test || (d.Train.C == 1) != tc.grey || d.Train.H != 4 || d.Train.W != 4 {
			t.Errorf("%s: classes %q, %d, %d and %d images of %d×%d×%d", tc.ref, d.Classes, d.Train.N, val, d.Test.N, d.Train.H, d.Train.W, d.Train.C)
			continue
		}
		for what, im := range map[string]*Images{"train": d.Train, "test": d.Test} {
			for i, label := range im.Labels {
				px := im.Image(i)
				last := px[len(px)-im.C:] // of the last row, which has no mark
				// Image k of train is 10·k + its class, of test 200 more; the class is k mod 3, and coarse ones half of that.
				k := int(last[0]) / 10
				if k >= 20 {
					k -= 20
				}
				wantClass := k % 3
				switch {
				case len(tc.classes) == 2:
					wantClass /= 2
				case tc.classes[0] == "ash": // by name
					wantClass = []int{2, 0, 1}[wantClass]
				}
				if int(label) != wantClass {
					t.Errorf("%s: %s image %d of level %d has label %d", tc.ref, what, i, last[0], label)
				}
				if im.C == 3 && (last[1] != last[0]+1 || px[2] != last[2]+2) || im.C == 1 && strings.Contains(tc.ref, "emnist") && (px[0] != last[0]+2 || px[4] != last[0]) {
					t.Errorf("%s: %s image %d is turned or its channels are mixed: % d", tc.ref, what, i, px)
				}
			}
		}
	}
	for ref, want := range map[string]string{
		own("cifar100_parquet") + "#label=colour":              "it has [fine_label coarse_label]",
		own("float_labels", "half.npz"):                        "half.npz: array labels: row 7: has the label 0.5; need whole numbers from 0",
		own("float_labels", "nan.npz"):                         "nan.npz: array labels: row 7: has the label NaN; need whole",
		own("float_labels", "infinite.npz"):                    "row 7: has the label +Inf; need whole",
		own("float_labels", "large.npz"):                       "row 7: has the label 1e+300; need whole",
		own("float_labels", "negative.npz"):                    "image 7 has the label -1; need 0 or more",
		own("npz_labels", "none.npz"):                          "none.npz: array labels: row 7 of 3 columns holds 0 ones; need one-hot rows",
		own("npz_labels", "two.npz"):                           "row 7 of 3 columns holds 3 ones; need one-hot rows",
		own("npz_labels", "soft.npz"):                          "row 7: has the label 0.5; need whole",
		own("npz_labels", "three.npz"):                         "row 0 of 3 columns holds 3; need one-hot rows",
		own("npz_labels", "fortran.npz"):                       "one-hot rows in Fortran order; store np.ascontiguousarray",
		own("npz_labels", "objects.npz"):                       "holds Python objects, whose bytes are a program",
		own("npz_labels", "empty.npz"):                         `array labels: row 7 has the label ""; need the name of a class`,
		own("npz_labels", "no_utf8.npz"):                       `row 7 has the label "\xff"; need the name of a class`,
		own("npz_labels", "pairs.npz"):                         "has the shape [9 2]; need one label an image",
		own("npz_labels", "mixed.npz"):                         "mixed.npz: array y_test has labels that are numbers, but those of ",
		own("float_labels", "half.parquet"):                    "half.parquet: row 7: has the label 0.5; need whole",
		own("float_labels", "nan.parquet"):                     "row 7: has the label NaN; need whole",
		own("float_labels", "infinite.parquet"):                "row 7: has the label +Inf; need whole",
		own("float_labels", "large.parquet"):                   "row 7: has the label 1e+300; need whole",
		own("float_labels", "negative.parquet"):                "image 7 has the label -1; need 0 or more",
		own("float_labels", "null.parquet"):                    "row 7 has no label; leave images without a label out",
		own("float_labels", "double.parquet") + "#label=score": "row 0: has the label 0.5",
		own("parquet", "train-00000-of-00002.parquet"):         "one picture",
		own("pictures.json"):                                   "is no image set",
		own("webdataset") + "#label=size":                      "size",
		own("imagenet32") + "#label=fine":                      "leave the choice out",
		own("parquet") + "#labels=1":                           "need label=NAME",
	} {
		if err := errorOf(ref, Prep{Method: "none"}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %q", ref, err, want)
		}
	}
}

// TestParquetText: labels of text are classes by name, in Python's order, and every row has its own; what is no name is told with its row,
// and leaves nothing in the cache.
func TestParquetText(t *testing.T) {
	cache := ownCache(t)
	for name, want := range map[string]string{
		"empty": `row 7 has the label ""; need the name of a class`, "blank": `row 7 has the label ""; need`, "null": "row 7 has no label; leave",
		"lines": `row 7 has the label "two\nlines"; need`, "control": `row 7 has the label "a\x1b[2J"; need`, "long": "1 to 200 bytes",
		"bytes": `row 7 has the label "\xff\xfe"; need`, "named": "",
	} {
		file := own("text_labels", name+".parquet")
		_, err := Add("text", file)
		if oneLine(t, err); (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		left, globErr := filepath.Glob(filepath.Join(cache, "*", "*"))
		all, regErr := registered()
		if err != nil && (globErr != nil || regErr != nil || len(left)+len(all) > 0) {
			t.Errorf("%s: left %v, %v", name, left, all)
		}
		if err == nil {
			if err := Remove("text"); err != nil {
				t.Fatal(err)
			}
			cache = ownCache(t)
		}
	}
	if _, err := Open(own("text_labels", "mixed")); err == nil || !strings.Contains(err.Error(), "train-0.parquet: has labels that are text, but those of ") ||
		!strings.Contains(err.Error(), "test-0.parquet are numbers; need one kind of shard") {
		t.Errorf("text and numbers: %v", err)
	}
	if _, err := Open(own("text_labels", "named.parquet") + "#label=colour"); err == nil || !strings.Contains(err.Error(), "it has [row label source]") {
		t.Errorf("another column: %v", err)
	}
	b, err := os.ReadFile(own("text_labels", "classes.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sets map[string]struct {
		Classes []string
		Labels  []int32
	}
	if err := json.Unmarshal(b, &sets); err != nil {
		t.Fatal(err)
	}
	for name, want := range sets {
		d, err := Open(own("text_labels", name+".parquet"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var labels []int32
		err = d.own.reader.each(func(p picture) error { labels = append(labels, p.label); return nil })
		if err != nil || !slices.Equal(d.Classes, want.Classes) || !slices.Equal(labels, want.Labels) {
			t.Errorf("%s: classes %q, labels %v, %v; want %+v", name, d.Classes, labels, err, want)
		}
	}
}

// TestTarScattered: files of a sample that do not follow one another are named.
func TestTarScattered(t *testing.T) {
	ownCache(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"d/000.png", "d/001.png", "d/000.cls", "d/001.cls"} {
		content := []byte("0")
		if strings.HasSuffix(name, "png") {
			content = pngOf(t, 8, 8, 1, 2, 3)
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.tar")
	put(t, file, b.Bytes())
	if _, err := Describe(file); err == nil || !strings.Contains(err.Error(), "d/000 apart, d/000.cls elsewhere; the files of a sample must follow one another") {
		t.Error(err)
	}
}

// TestTarEnd: a shard that is cut between two members is told from a whole one, also where a picture ends in zeros.
func TestTarEnd(t *testing.T) {
	ownCache(t)
	var ends []int
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range 4 {
		for name, content := range map[string][]byte{"cls": []byte("0"), "png": append(pngOf(t, 8, 8, 1, 2, uint8(i)), make([]byte, 4096)...)} {
			if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("%d.%s", i, name), Mode: 0o644, Size: int64(len(content))}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, b.Len())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.tar")
	for _, size := range append(ends, ends[3]+512, b.Len()) {
		put(t, file, b.Bytes()[:size])
		info, err := Describe(file)
		if whole := size == b.Len(); whole && (err != nil || info.Train+info.Test != 4) || !whole && (err == nil || !strings.Contains(err.Error(), "no end mark")) {
			t.Errorf("%d of %d bytes: %+v, %v", size, b.Len(), info, err)
		}
	}
}

// TestCIFAR100: records of two labels and planes, with the names of the classes from the files beside them.
func TestCIFAR100(t *testing.T) {
	ownCache(t)
	root := t.TempDir()
	var records []byte
	for i := range 6 {
		records = append(records, byte(i/3), byte(i%3)) // coarse, fine
		for c := range 3 {
			records = append(records, slices.Repeat([]byte{byte(50*c + i)}, cifarPlane)...)
		}
	}
	put(t, filepath.Join(root, "train.bin"), records)
	put(t, filepath.Join(root, "fine_label_names.txt"), []byte("apple\nbear\ncup\n"))
	put(t, filepath.Join(root, "coarse_label_names.txt"), []byte("things\nfood\n"))
	if _, err := Open(root); err == nil || !strings.Contains(err.Error(), "test.bin is missing") {
		t.Errorf("without test.bin: %v", err)
	}
	put(t, filepath.Join(root, "test.bin"), records)
	for ref, want := range map[string][]string{root: {"apple", "bear", "cup"}, root + "#label=coarse": {"things", "food"}} {
		d, err := Load(ref)
		if err != nil {
			t.Fatal(err)
		}
		label, px := d.Train.Labels[4], d.Train.Image(4)
		if !slices.Equal(d.Classes, want) || d.Test.N != 6 || !slices.Equal(px[:3], []byte{4, 54, 104}) || label != 1 {
			t.Errorf("%s: classes %v, image 4 of class %d begins % d", ref, d.Classes, label, px[:3])
		}
	}
	for ref, want := range map[string][]string{
		root:                                    {"labels: fine; the set has coarse too, which #label=coarse after the path takes"},
		own("cifar100_parquet"):                 {"labels: fine_label; the set has coarse_label too, which #label=coarse_label after the path takes"},
		root + "#label=fine":                    nil,
		own("cifar100_parquet") + "#label=fine": nil,
		own("parquet"):                          nil,
	} {
		info, err := Describe(ref)
		if err != nil || !slices.Equal(slices.DeleteFunc(info.Notes, func(n string) bool { return !strings.HasPrefix(n, "labels") }), want) {
			t.Errorf("%s: notes %q, %v; want %q", ref, info.Notes, err, want)
		}
	}
	put(t, filepath.Join(root, "test.bin"), records[:len(records)-1])
	if _, err := Open(root); err == nil || !strings.Contains(err.Error(), "a whole record of 3074 bytes") {
		t.Errorf("cut off: %v", err)
	}
	records[1] = 3
	put(t, filepath.Join(root, "test.bin"), records)
	if _, err := Open(root); err == nil || !strings.Contains(err.Error(), "label 3; need 0 to 2") {
		t.Errorf("a label out of range: %v", err)
	}
}

// A picture that cannot be read is named by its place: the file's name once where the set is that file, and the folders of a file in a set.
func TestBrokenPictureIsNamedByItsPlace(t *testing.T) {
	for file, at := range map[string]string{
		own("parquet", "train-00000-of-00002.parquet"): ": row 0 is ",
		own("webdataset", "trees-train-000000.tar"):    ": 0000.png is ",
	} {
		ownCache(t)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		k := bytes.Index(b, []byte("PNG\r\n"))
		if k < 0 {
			t.Fatalf("%s holds no PNG", file)
		}
		b[k] = 'X'
		root := filepath.Join(t.TempDir(), "set")
		broken := filepath.Join(root, "sub", "a"+filepath.Ext(file))
		put(t, broken, b)
		for _, path := range []string{root, broken} {
			if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), broken+at) {
				t.Errorf("%s: %v; want %s%s…", path, err, broken, at)
			}
		}
	}
}

// Compressed shards that were cut off, or of which a changed byte changes the content, are told as damaged, wherever it is.
func TestDamagedCompressedShard(t *testing.T) {
	whole, err := os.ReadFile(own("webdataset_gz", "trees-train-000000.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	unpacked := func(b []byte) []byte {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil
		}
		content, err := io.ReadAll(z)
		if err != nil {
			return nil
		}
		return content
	}
	content := unpacked(whole)
	for i := range whole {
		for _, b := range [][]byte{whole[:i], slices.Concat(whole[:i], []byte{whole[i] ^ 1}, whole[i+1:])} {
			if bytes.Equal(unpacked(b), content) { // such as another time in the head
				continue
			}
			if labels, _, err := tarLabels(func() (io.ReadCloser, error) { return unzipped(io.NopCloser(bytes.NewReader(b))) }, ""); err == nil {
				t.Errorf("byte %d, %d bytes: %d labels", i, len(b), len(labels))
			}
		}
	}
}

// The zeros of a member that is passed over are no end mark.
func TestCompressedShardWithoutEndMark(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, member := range []struct{ name, content string }{{"1.cls", "oak"}, {"1.png", strings.Repeat("\x00", 4096)}} {
		if err := w.WriteHeader(&tar.Header{Name: member.name, Mode: 0o644, Size: int64(len(member.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, member.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Flush(), z.Close()); err != nil {
		t.Fatal(err)
	}
	_, _, err := tarLabels(func() (io.ReadCloser, error) { return unzipped(io.NopCloser(bytes.NewReader(b.Bytes()))) }, "")
	if err == nil || !strings.Contains(err.Error(), "has no end mark") {
		t.Error(err)
	}
}

// Python pickles are refused with what to do.
func TestPicklesAreRefused(t *testing.T) {
	ownCache(t)
	folder := filepath.Join(t.TempDir(), "cifar-10-batches-py")
	put(t, filepath.Join(folder, "readme.html"), []byte("<html>"))
	put(t, filepath.Join(folder, "data_batch_1"), []byte("\x80\x02}q\x00."))
	for _, path := range []string{folder, filepath.Join(folder, "data_batch_1")} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path+" holds Python pickles") || !strings.Contains(err.Error(), "data get cifar-10") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
