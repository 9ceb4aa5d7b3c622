package datasets

import (
	"slices"
	"strings"
	"testing"
)

func TestGreyBecomesColourAndComesBack(t *testing.T) {
	grey := noise(3, 4, 5, 1)
	colour := apply(t, Prep{Method: "none", Channels: 3}, grey)
	if colour.C != 3 || !slices.Equal(colour.Labels, grey.Labels) {
		t.Fatalf("%d channels with labels %v", colour.C, colour.Labels)
	}
	for i, v := range grey.Pixels {
		if rgb := colour.Pixels[3*i : 3*i+3]; rgb[0] != v || rgb[1] != v || rgb[2] != v {
			t.Fatalf("grey %d becomes %v; want three times the same", v, rgb)
		}
	}
	// 0.299 + 0.587 + 0.114 = 1: equal channels have their own value as luma.
	if back := apply(t, Prep{Method: "none", Channels: 1}, colour); !slices.Equal(back.Pixels, grey.Pixels) {
		t.Error("grey made coloured and grey again is another image")
	}
	for _, c := range []int{0, 1} {
		if same := apply(t, Prep{Method: "none", Channels: c}, grey); same != grey {
			t.Errorf("channels %d changes grey images", c)
		}
	}
}

func TestLuma(t *testing.T) {
	for _, tc := range []struct {
		r, g, b, want uint8
	}{
		{255, 0, 0, 76},  // 76.245
		{0, 255, 0, 150}, // 149.685
		{0, 0, 255, 29},  // 29.07
		{255, 255, 255, 255},
		{0, 0, 0, 0},
		{10, 200, 30, 124},   // 2.99 + 117.4 + 3.42 = 123.81
		{0, 3, 250, 30},      // 1.761 + 28.5 = 30.261
		{100, 100, 104, 100}, // 100.456
		{0, 0, 250, 29},      // 28.5: a half goes up
		{254, 255, 255, 255}, // 254.701
		{255, 255, 251, 255}, // 254.544
		{255, 255, 250, 254}, // 254.43
		{255, 128, 0, 151},   // 76.245 + 75.136 = 151.381
		{1, 0, 0, 0},         // 0.299
		{2, 0, 0, 1},         // 0.598
		{0, 1, 0, 1},         // 0.587
		{0, 0, 4, 0},         // 0.456
		{0, 0, 5, 1},         // 0.57
		{12, 250, 123, 164},  // 3.588 + 146.75 + 14.022 = 164.36
		{220, 20, 60, 84},    // 65.78 + 11.74 + 6.84 = 84.36
	} {
		im := &Images{N: 1, H: 1, W: 1, C: 3, Pixels: []uint8{tc.r, tc.g, tc.b}, Labels: []int32{0}}
		if got := apply(t, Prep{Method: "none", Channels: 1}, im).Pixels[0]; got != tc.want {
			t.Errorf("the luma of %d, %d, %d is %d, want %d", tc.r, tc.g, tc.b, got, tc.want)
		}
	}
}

// What the catalogue says of prepared images is what preparing them gives, without loading any.
func TestPreparedShape(t *testing.T) {
	for _, p := range []Prep{
		{}, {Method: "area", Size: 16}, {Method: "none"}, {Method: "none", Border: 2}, {Size: 40, Border: 3, Channels: 3}, {Size: 48, Channels: 1},
	} {
		for _, name := range Names() {
			s, err := find(name)
			if err != nil {
				t.Fatal(err)
			}
			im := apply(t, p, noise(1, s.h, s.w, s.c))
			h, w, c, err := PreparedShape(p, name)
			if err != nil || h != im.H || w != im.W || c != im.C {
				t.Errorf("%+v of %s: %d×%d×%d (%v), the images are %d×%d×%d", p, name, h, w, c, err, im.H, im.W, im.C)
			}
		}
	}
	for _, tc := range []struct {
		p     Prep
		names []string
		want  string // part of the error; "": none
	}{
		{Prep{}, []string{"fashion-mnist", "cifar-10"}, "images of fashion-mnist are grey, those of cifar-10 in colour; set benchmark.prep.channels"},
		{Prep{Channels: 1}, []string{"fashion-mnist", "cifar-10"}, ""},
		{Prep{Channels: 3}, []string{"cifar-10", "mnist-10k"}, ""},
		{Prep{Method: "none", Channels: 3}, []string{"fashion-mnist", "cifar-10"}, "28×28, those of cifar-10 32×32"},
		{Prep{Channels: 2}, []string{"mnist"}, "2 channels"},
		{Prep{}, []string{"nosuch"}, "nosuch"},
	} {
		_, _, _, err := PreparedShape(tc.p, tc.names...)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v of %v: %v, want %q", tc.p, tc.names, err, tc.want)
		}
	}
}

// A class without an image is refused though its task has images, and the error says which, of what, and what to do.
func TestEveryClassOfATaskHasImages(t *testing.T) {
	without := func(class int32, test bool) *Dataset {
		d := numbered("a", 4, 6)
		im := &d.Train
		if test {
			im = &d.Test
		}
		var kept []int
		for i, l := range (*im).Labels {
			if l != class {
				kept = append(kept, i)
			}
		}
		*im = (*im).Select(kept)
		return d
	}
	for _, tc := range []struct {
		class int32
		test  bool
		want  []string
	}{
		{1, false, []string{"class a1 of a has no training image", "class_order=given", "benchmark.tasks"}},
		{2, true, []string{"class a2 of a has no test image"}},
	} {
		d := without(tc.class, tc.test)
		o := ClassIncrementalOptions{ClassesPerTask: 2, Prep: Prep{Method: "none"}}
		_, err := ClassIncremental(d, o)
		_, domainErr := DomainIncremental([]*Dataset{numbered("b", 4, 6), d}, DomainIncrementalOptions{Prep: Prep{Method: "none"}})
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("classes: %v; want %q", err, want)
			}
		}
		if domainErr == nil || !strings.Contains(domainErr.Error(), tc.want[0]) {
			t.Errorf("domains: %v; want %q", domainErr, tc.want[0])
		}
		// The advice works.
		o.Order = "given"
		for c := range 4 {
			if c != int(tc.class) {
				o.Given = append(o.Given, c)
			}
		}
		if _, err := ClassIncremental(d, o); err != nil {
			t.Errorf("without that class: %v", err)
		}
	}
}
