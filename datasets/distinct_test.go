package datasets

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
)

// The same pictures are found under two names, beside a part of them, and in a copy.
func TestCheckDistinct(t *testing.T) {
	ownCache(t)
	at := t.TempDir()
	for class, grey := range map[string]uint8{"a": 10, "b": 200} {
		if err := os.MkdirAll(filepath.Join(at, "one", class), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			file := filepath.Join(at, "one", class, string(rune('0'+i))+".png")
			if err := os.WriteFile(file, pngOf(t, 4, 4, grey+uint8(i), grey, grey), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	one, copied, other := filepath.Join(at, "one"), filepath.Join(at, "copied"), filepath.Join(at, "other")
	for _, dir := range []string{copied, other} {
		if err := os.CopyFS(dir, os.DirFS(one)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(other, "a", "0.png"), pngOf(t, 4, 4, 1, 2, 3), 0o644); err != nil {
		t.Fatal(err)
	}
	// The same pictures in files of another kind, some of them only, and among those of the catalogue.
	resaved, more, sampled := filepath.Join(at, "resaved"), filepath.Join(at, "more"), filepath.Join(at, "sampled")
	for _, class := range []string{"a", "b"} {
		for i := range 5 {
			name := filepath.Join(class, string(rune('0'+i)))
			b, err := os.ReadFile(filepath.Join(one, name+".png"))
			if err != nil {
				t.Fatal(err)
			}
			img, err := png.Decode(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			var as bytes.Buffer
			if err := bmp.Encode(&as, img); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(resaved, name+".bmp"), as.Bytes())
			put(t, filepath.Join(more, name+".bmp"), as.Bytes())
			put(t, filepath.Join(more, class, "new.png"), pngOf(t, 4, 4, 7, 7, 9))
		}
	}
	sample, err := Load("fashion-mnist-sample")
	if err != nil {
		t.Fatal(err)
	}
	for class := range 2 { // stored in colour, as programs do
		for i, n := 0, 0; n < 3; i++ {
			if sample.Train.Labels[i] == int32(class) {
				img := image.NewNRGBA(image.Rect(0, 0, 28, 28))
				for p, v := range sample.Train.Image(i) {
					img.SetNRGBA(p%28, p/28, color.NRGBA{v, v, v, 255})
				}
				var as bytes.Buffer
				if err := png.Encode(&as, img); err != nil {
					t.Fatal(err)
				}
				put(t, filepath.Join(sampled, sample.Classes[class], string(rune('0'+n))+".png"), as.Bytes())
				n++
			}
		}
	}
	for _, tc := range []struct {
		refs []string
		want string // "" for sets that may go together
	}{
		{[]string{"fashion-mnist", "mnist", "cifar-10", one}, ""},
		{[]string{one, other}, ""},
		{[]string{"fashion-mnist-sample", "mnist", "fashion-mnist-sample"}, `"fashion-mnist-sample" is named twice`},
		{[]string{"fashion-mnist-sample", "fashion-mnist"}, `of "fashion-mnist-sample" are among those of "fashion-mnist"`},
		{[]string{"mnist", "mnist-10k"}, `of "mnist-10k" are among those of "mnist"`},
		{[]string{one, copied}, "are the same pictures"},
		{[]string{one, resaved}, "among those of"},
		{[]string{more, one}, "among those of"},
		{[]string{"fashion-mnist-sample", sampled}, "among those of"},
	} {
		if err := CheckDistinct(tc.refs...); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %q", tc.refs, err, tc.want)
		}
	}
}

// Pictures that two sets have in common are counted, and those that one learns and the other is measured on; one of each is named.
func TestWarnings(t *testing.T) {
	ownCache(t)
	at := t.TempDir()
	one, other, third := filepath.Join(at, "one"), filepath.Join(at, "other"), filepath.Join(at, "third")
	for i := range uint8(5) {
		put(t, filepath.Join(one, "train", "a", string(rune('0'+i))+".png"), pngOf(t, 4, 4, i, 1, 2))
		put(t, filepath.Join(one, "test", "a", string(rune('0'+i))+".png"), pngOf(t, 4, 4, i, 3, 4))
		put(t, filepath.Join(other, "train", "b", string(rune('0'+i))+".png"), pngOf(t, 4, 4, i, 5, 6))
		put(t, filepath.Join(other, "test", "b", string(rune('0'+i))+".png"), pngOf(t, 4, 4, i, 7, 8))
		put(t, filepath.Join(third, "c", string(rune('0'+i))+".png"), pngOf(t, 4, 4, i, 9, 10))
	}
	put(t, filepath.Join(other, "train", "b", "both.png"), pngOf(t, 4, 4, 0, 1, 2)) // both learn it
	want := func(lines []string, parts ...string) {
		t.Helper()
		for range 2 { // computed, and remembered
			got, err := Warnings(one, other, third, "mnist")
			if err != nil || len(got) != len(lines) {
				t.Fatalf("%q, %v; want %d lines", got, err, len(lines))
			}
			for _, line := range got {
				for _, part := range parts {
					if !strings.Contains(line, part) || strings.Contains(line, "\n") {
						t.Errorf("%q; want one line with %q", line, part)
					}
				}
			}
		}
	}
	want([]string{"one and other"}, "have 1 picture in common", filepath.Join(one, "train", "a", "0.png")+" and "+filepath.Join(other, "train", "b", "both.png"), "two labels")
	for i := range uint8(2) { // learned there, measured on here
		put(t, filepath.Join(other, "train", "b", "x"+string(rune('0'+i))+".png"), pngOf(t, 4, 4, 1+i, 3, 4))
	}
	want([]string{"one and other"}, "have 3 pictures in common", filepath.Join(one, "test", "a", "1.png")+" and "+filepath.Join(other, "train", "b", "x0.png"), "2 of them learned in one set and measured on in the other")
	// What is kept in the cache may be damaged or gone.
	kept, err := filepath.Glob(filepath.Join(os.Getenv("PALIMPSEST_CACHE"), "prepared", "scan-*.seen"))
	if err != nil || len(kept) < 3 {
		t.Fatal(kept, err)
	}
	for i, file := range kept {
		if put(t, file, []byte("damaged")); i == 0 {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	commons.Clear()
	want([]string{"one and other"}, "have 3 pictures in common")
}

// Two folders of one name are told of: tables know them by it.
func TestWarningOfNames(t *testing.T) {
	ownCache(t)
	at := t.TempDir()
	first, second := filepath.Join(at, "1", "été"), filepath.Join(at, "2", "été")
	flowers(t, first, 3, "a", "b")
	for i := range uint8(3) {
		put(t, filepath.Join(second, "c", string(rune('0'+i))+".png"), pngOf(t, 4, 4, i, 9, 10))
	}
	if got, err := Warnings(first, second, "mnist"); err != nil || len(got) != 1 || !strings.Contains(got[0], "are both called ") || !strings.Contains(got[0], "data add NAME PATH") {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Add("summer", second); err != nil {
		t.Fatal(err)
	}
	if got, err := Warnings(first, "summer"); err != nil || len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
}
