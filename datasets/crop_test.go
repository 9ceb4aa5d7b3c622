package datasets

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// A border is black, which is -1 to a model, and what it surrounds is what there was without.
func TestBorderSurroundsAndCropTakesItOff(t *testing.T) {
	for _, p := range []Prep{
		{Size: 16, Method: "area", Border: 3},
		{Size: 32, Method: "pad", Border: 1},
		{Border: 8}, // 28 to 32, then 48
		{Method: "none", Border: 2},
		{Size: 28, Method: "area", Border: 1}, // their own size
	} {
		for _, c := range []int{1, 3} {
			im := noise(3, 28, 28, c)
			bare := p
			bare.Border = 0
			inside, out := apply(t, bare, im), apply(t, p, im)
			if out.H != inside.H+2*p.Border || out.W != inside.W+2*p.Border || out.N != 3 || out.C != c || !slices.Equal(out.Labels, im.Labels) {
				t.Fatalf("%+v: %d images of %dx%dx%d", p, out.N, out.H, out.W, out.C)
			}
			scaled := make([]float32, len(out.Pixels))
			Scale(scaled, out.Pixels)
			for k, v := range scaled {
				x, y := k/c%out.W, k/c/out.W%out.H
				outside := min(x, y, out.W-1-x, out.H-1-y) < p.Border
				if outside && v != -1 {
					t.Fatalf("%+v: the border has %g at (%d,%d), want -1", p, v, y, x)
				}
			}
			back, err := out.Crop(p.Border)
			if err != nil {
				t.Fatal(err)
			}
			if back.H != inside.H || back.W != inside.W || !bytes.Equal(back.Pixels, inside.Pixels) || !slices.Equal(back.Labels, inside.Labels) {
				t.Errorf("%+v: border and crop change the images", p)
			}
			if err := back.Validate(); err != nil {
				t.Error(err)
			}
			numbers, err := CropRows(scaled, out.H, out.W, c, p.Border)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float32, len(inside.Pixels))
			Scale(want, inside.Pixels)
			if !slices.Equal(numbers, want) {
				t.Errorf("%+v: cropped numbers are not those inside", p)
			}
		}
	}
}

func TestCropOfARectangle(t *testing.T) {
	px := []uint8{ // 3 rows of 4 pixels
		1, 2, 3, 4,
		5, 6, 7, 8,
		9, 10, 11, 12,
	}
	got, err := CropRows(slices.Concat(px, px), 3, 4, 1, 1)
	if err != nil || !slices.Equal(got, []uint8{6, 7, 6, 7}) {
		t.Errorf("%v, error %v; want the inner [6 7] of two images", got, err)
	}
	if got, err := CropRows(px, 3, 4, 1, 0); err != nil || &got[0] != &px[0] {
		t.Errorf("a border of 0 gives %v, error %v", got, err)
	}
	if got, err := CropRows([]float32{}, 3, 4, 1, 1); err != nil || len(got) != 0 {
		t.Errorf("no image gives %v, error %v", got, err)
	}
	im := noise(2, 5, 4, 1)
	if out, err := im.Crop(0); err != nil || out != im {
		t.Errorf("a border of 0 gives other images, error %v", err)
	}
	for _, border := range []int{-1, 2, 1 << 62} {
		if _, err := im.Crop(border); err == nil {
			t.Errorf("a border of %d off 5x4 pixels passes", border)
		}
	}
	for _, shape := range [][3]int{{5, 4, 3}, {0, 4, 1}, {5, -4, -1}} {
		if _, err := CropRows(im.Pixels[:20], shape[0], shape[1], shape[2], 1); err == nil {
			t.Errorf("20 values pass as images of shape %v", shape)
		}
	}
	if _, err := (&Images{N: 1, H: 5, W: 4, C: 1, Labels: make([]int32, 1)}).Crop(1); err == nil {
		t.Error("an image without pixels passes")
	}
}

func TestBorderErrors(t *testing.T) {
	for _, p := range []Prep{{Border: -1}, {Border: 497}, {Size: 1024, Border: 1}, {Size: 1023, Border: 1}, {Border: 1 << 62}, {Method: "none", Border: 1000}} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "border") {
			t.Errorf("%+v: error %v", p, err)
		}
	}
	for _, p := range []Prep{{Border: 496}, {Size: 1022, Border: 1}, {Size: 1024}, {Method: "none", Size: 1024, Border: 1}} {
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
	}
	// Images left at their own size show how large they are only now.
	if _, err := (Prep{Method: "none", Border: 2}).Apply(noise(1, 8, 1021, 1)); err == nil || !strings.Contains(err.Error(), "1024") {
		t.Errorf("8x1025 pixels: error %v", err)
	}
}

// Benchmarks have the size with the border, and no border leaves no trace in stored settings.
func TestBorderInBenchmarksAndSettings(t *testing.T) {
	d := numbered("set", 4, 5)
	p := Prep{Method: "none", Border: 2}
	classes, err := ClassIncremental(d, ClassIncrementalOptions{ClassesPerTask: 2, ValFraction: 0.2, Prep: p})
	if err != nil {
		t.Fatal(err)
	}
	domains, err := DomainIncremental([]*Dataset{d, d}, DomainIncrementalOptions{ValFraction: 0.2, Prep: p})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []*Benchmark{classes, domains} {
		if b.H != d.Train.H+4 || b.W != d.Train.W+4 || b.Prep.Border != 2 {
			t.Errorf("%s: %dx%d pixels with %+v", b.Name, b.H, b.W, b.Prep)
		}
		for _, task := range b.Tasks {
			for _, im := range []*Images{task.Train, task.Val, task.Test} {
				if im.H != b.H || im.W != b.W || im.Validate() != nil {
					t.Errorf("%s: a part of %dx%d pixels", b.Name, im.H, im.W)
				}
			}
		}
		if sheet, rows := b.Sheet(1); len(sheet) != rows*b.H*b.W*b.C || sheet[0] != -1 {
			t.Errorf("%s: a sheet of %d values that begins with %g", b.Name, len(sheet), sheet[0])
		}
	}
	for border, want := range map[int][2]string{
		0: {`{"size":16,"method":"area","flip":false}`, "size: 16\nheight: 0\nwidth: 0\nmethod: area\nflip: false\nborder: 0\nchannels: 0\nskip_broken: false\n"},
		4: {`{"size":16,"method":"area","flip":false,"border":4}`, "size: 16\nheight: 0\nwidth: 0\nmethod: area\nflip: false\nborder: 4\nchannels: 0\nskip_broken: false\n"},
	} {
		p := Prep{Size: 16, Method: "area", Border: border}
		asJSON, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := yaml.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if string(asJSON) != want[0] || string(asYAML) != want[1] {
			t.Errorf("border %d is stored as %s and\n%s", border, asJSON, asYAML)
		}
		var back Prep
		if err := yaml.Unmarshal(asYAML, &back); err != nil || back != p {
			t.Errorf("%+v is read as %+v, error %v", p, back, err)
		}
	}
}

// Whatever border is asked for, it is refused or can be taken off again.
func FuzzBorder(f *testing.F) {
	f.Add(3, 4, 1, 2, "none", 0)
	f.Add(5, 2, 3, 1, "pad", 7)
	f.Add(2, 2, 2, 500, "area", 16)
	f.Add(1, 1, 1, -1, "", 1024)
	f.Fuzz(func(t *testing.T, h, w, c, border int, method string, size int) {
		if h < 1 || w < 1 || c < 1 || h > 40 || w > 40 || c > 4 || size > 64 {
			return
		}
		p := Prep{Size: size, Method: method}
		inside, err := p.Apply(noise(1, h, w, c))
		if err != nil {
			return
		}
		p.Border = border
		out, err := p.Apply(noise(1, h, w, c))
		if err != nil {
			if border >= 0 && border <= 400 {
				t.Errorf("a border of %d was refused: %v", border, err)
			}
			return
		}
		back, err := out.Crop(border)
		if err != nil || back.H != inside.H || back.W != inside.W || !bytes.Equal(back.Pixels, inside.Pixels) {
			t.Errorf("%+v on %dx%dx%d does not come off again: error %v", p, h, w, c, err)
		}
	})
}
