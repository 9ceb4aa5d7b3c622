package datasets

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSample(t *testing.T) {
	d, err := Load("fashion-mnist-sample")
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != Names()[0] || len(d.Classes) != 10 || !strings.Contains(d.Licence, "MIT") || d.Source == "" {
		t.Errorf("%+v", d)
	}
	for im, want := range map[*Images]int{d.Train: 600, d.Test: 100} {
		if err := im.Validate(); err != nil {
			t.Fatal(err)
		}
		if n := im.CountPerClass(10); !slices.Equal(n, slices.Repeat([]int{want}, 10)) {
			t.Errorf("%v images of each class, want %d", n, want)
		}
		if slices.IsSorted(im.Labels) {
			t.Error("the images are sorted by class; they should be in the official order")
		}
	}
	// Shoes are wide, trousers high: the labels belong to the pictures. The bounding box of
	// the mean image of each class tells.
	for class, wide := range map[int]bool{1: false, 5: true, 7: true, 3: false} {
		rows, cols := extent(d.Train.Select(d.Train.IndicesOf(class)))
		if (cols > rows) != wide {
			t.Errorf("the mean %s is %d rows by %d columns", d.Classes[class], rows, cols)
		}
	}
}

// extent is the number of rows and of columns of the mean image that are brighter than 40.
func extent(im *Images) (rows, cols int) {
	perRow, perCol := make([]int, im.H), make([]int, im.W)
	for i := range im.N {
		for p, v := range im.Image(i) {
			perRow[p/im.W] += int(v)
			perCol[p%im.W] += int(v)
		}
	}
	for _, s := range perRow {
		if s > 40*im.N*im.W {
			rows++
		}
	}
	for _, s := range perCol {
		if s > 40*im.N*im.H {
			cols++
		}
	}
	return rows, cols
}

// Where the full set is on disk, the sample must come out of it again.
func TestSampleIsDrawnFromTheFullSet(t *testing.T) {
	full, err := Load("fashion-mnist")
	if err != nil {
		t.Skipf("needs the full set: %v", err)
	}
	sample, err := Load("fashion-mnist-sample")
	if err != nil {
		t.Fatal(err)
	}
	train, test, err := Sample(full)
	if err != nil {
		t.Fatal(err)
	}
	for got, want := range map[*Images]*Images{sample.Train: train, sample.Test: test} {
		if !bytes.Equal(got.Flat(), want.Flat()) || !slices.Equal(got.Labels, want.Labels) {
			t.Error("the embedded sample is not what Sample draws; run go generate ./datasets")
		}
	}
}

func TestLoadErrors(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("PALIMPSEST_CACHE", cache)
	if dir, err := Dir(); err != nil || dir != filepath.Join(cache, "datasets") {
		t.Errorf("Dir is %s, %v", dir, err)
	}
	for _, name := range Names()[1:] {
		if _, err := Load(name); err == nil || !strings.Contains(err.Error(), "go run . data get "+name) {
			t.Errorf("%s, not on disk: %v", name, err)
		}
	}
	if _, err := Load("fashion"); err == nil || !strings.Contains(err.Error(), "fashion-mnist-sample, fashion-mnist") {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestList(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("PALIMPSEST_CACHE", cache)
	infos, err := List()
	if err != nil || len(infos) != len(Names()) {
		t.Fatal(infos, err)
	}
	for i, info := range infos {
		if info.Name != Names()[i] || info.OnDisk() != (i == 0) || len(info.Hash) != 64 || info.Licence == "" || info.Train == 0 ||
			len(info.Classes) != 10 || (i > 0 && len(info.Sources) == 0) {
			t.Errorf("%+v", info)
		}
	}
	// An empty folder of the set is not the set.
	if err := os.MkdirAll(filepath.Join(cache, "datasets", "mnist"), 0o755); err != nil {
		t.Fatal(err)
	}
	if infos, err = List(); err != nil || infos[2].OnDisk() {
		t.Errorf("an empty folder counts as %s (%v)", infos[2].Where, err)
	}
	if _, err := Load("mnist"); err == nil {
		t.Error("an empty folder was loaded")
	}
}

func TestImages(t *testing.T) {
	im := noise(5, 2, 3, 1)
	s := im.Select([]int{4, 0, 4})
	if s.N != 3 || !slices.Equal(s.Labels, []int32{4, 0, 4}) || !bytes.Equal(s.Image(2), im.Image(4)) || s.Validate() != nil {
		t.Errorf("selected %+v", s)
	}
	if &s.Image(0)[0] != &im.Image(4)[0] {
		t.Error("Select copies pixels")
	}
	if s := s.Select([]int{2, 1}); &s.Image(0)[0] != &im.Image(4)[0] || &s.Image(1)[0] != &im.Image(0)[0] ||
		!bytes.Equal(s.Flat(), slices.Concat(im.Image(4), im.Image(0))) || s.Bytes() != 2*7 {
		t.Errorf("a view of a view: %+v", s)
	}
	if empty := im.Select(nil); empty.Validate() != nil || empty.N != 0 || empty.W != 3 {
		t.Errorf("selected nothing: %+v", empty)
	}
	both, err := Concat(im.Select(nil), im, nil, im.Select([]int{1}))
	if err != nil || both.N != 6 || both.Validate() != nil || both.Labels[5] != 1 {
		t.Errorf("joined: %+v, %v", both, err)
	}
	if &both.Image(5)[0] != &im.Image(1)[0] {
		t.Error("joining sets of one store copies pixels")
	}
	if both, err = Concat(im.Select([]int{3}), noise(1, 2, 3, 1)); err != nil || both.Rows != nil || !bytes.Equal(both.Flat(), slices.Concat(im.Image(3), im.Image(0))) {
		t.Errorf("joined two stores: %+v, %v", both, err)
	}
	if none, err := Concat(im.Select(nil)); err != nil || none.Validate() != nil || none.H != 2 {
		t.Errorf("joined nothing: %+v, %v", none, err)
	}
	if _, err := Concat(im, noise(1, 3, 2, 1)); err == nil {
		t.Error("images of two sizes were joined")
	}
	if got := im.IndicesOf(3, 1, 300); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("IndicesOf gives %v", got)
	}
	for _, bad := range []*Images{nil, {N: 1, H: 2, W: 2, C: 1, Pixels: make([]uint8, 3), Labels: make([]int32, 1)},
		{N: 1, H: 2, W: 2, C: 1, Pixels: make([]uint8, 4)}, {N: 1, H: 1, W: 1, C: 1, Pixels: make([]uint8, 4), Rows: []int32{4}, Labels: make([]int32, 1)}, {N: -1, H: 1, W: 1, C: 1}, {}} {
		if bad.Validate() == nil {
			t.Errorf("%+v passed as valid", bad)
		}
	}
}
