package datasets

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

// twoTasks is a benchmark of three images of one pixel.
func twoTasks() *Benchmark {
	one := func(pixels, labels string) *Images {
		return &Images{N: len(labels), H: 1, W: 1, C: 1, Pixels: []uint8(pixels), Labels: WideLabels([]byte(labels))}
	}
	return &Benchmark{ClassNames: []string{"a", "bc"}, Prep: Prep{Method: "none", Size: 1}, H: 1, W: 1, C: 1, Tasks: []Task{
		{Name: "a", Classes: []int{0}, Train: one("x", "\x00"), Val: one("", ""), Test: one("y", "\x00")},
		{ID: 1, Name: "bc", Classes: []int{1}, Train: one("z", "\x01"), Val: one("", ""), Test: one("y", "\x01")},
	}}
}

// The hash is that of the bytes its documentation lists, written out here by hand, and stays so: stored results hold it.
func TestContentHashIsWhatItsDocumentationSays(t *testing.T) {
	n := func(v byte) string { return string([]byte{v, 0, 0, 0, 0, 0, 0, 0}) }
	prep := `{"size":1,"method":"none","flip":false}`
	text := "palimpsest benchmark 1\n" + n(byte(len(prep))) + prep + n(1) + n(1) + n(1) + n(2) + n(1) + "a" + n(2) + "bc" + n(2) +
		n(1) + "a" + n(1) + n(0) + n(1) + n(1) + "x" + n(1) + "\x00" + n(0) + n(0) + n(0) + n(1) + n(1) + "y" + n(1) + "\x00" +
		n(2) + "bc" + n(1) + n(1) + n(1) + n(1) + "z" + n(1) + "\x01" + n(0) + n(0) + n(0) + n(1) + n(1) + "y" + n(1) + "\x01"
	got, err := twoTasks().ContentHash()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256([]byte(text))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Whatever a run could see of other images changes the hash; where the same images came from does not.
func TestContentHashTellsImagesApart(t *testing.T) {
	seen := map[string]string{}
	for what, change := range map[string]func(*Benchmark){
		"nothing":       func(*Benchmark) {},
		"a pixel":       func(b *Benchmark) { b.Tasks[0].Train.Pixels[0]++ },
		"a test pixel":  func(b *Benchmark) { b.Tasks[0].Test.Pixels[0]++ },
		"a label":       func(b *Benchmark) { b.Tasks[1].Train.Labels[0] = 0 },
		"order":         func(b *Benchmark) { b.Tasks[0], b.Tasks[1] = b.Tasks[1], b.Tasks[0] },
		"class names":   func(b *Benchmark) { b.ClassNames = []string{"ab", "c"} },
		"classes":       func(b *Benchmark) { b.Tasks[1].Classes = []int{1, 0} },
		"held out":      func(b *Benchmark) { b.Tasks[0].Val, b.Tasks[0].Train = b.Tasks[0].Train, b.Tasks[0].Val },
		"flips":         func(b *Benchmark) { b.Prep.Flip = true },
		"a task's name": func(b *Benchmark) { b.Tasks[0].Name = "A" },
	} {
		b := twoTasks()
		change(b)
		hash, err := b.ContentHash()
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[hash]; ok {
			t.Errorf("%s and %s give one hash", what, other)
		}
		seen[hash] = what
	}
	b := twoTasks()
	b.Name, b.DataHash, b.Prep = "elsewhere", "0", Prep{Method: "none", Size: 1}
	if hash, err := b.ContentHash(); err != nil || seen[hash] != "nothing" {
		t.Errorf("the same images from elsewhere: %s, %v", hash, err)
	}
}
