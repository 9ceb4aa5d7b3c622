package datasets

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
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

// TestContentHashKept: the content hash of a set of one's own is kept, and is as if its pixels had been read: other tasks have another,
// and a prepared file that was changed, its sums put right, is read.
func TestContentHashKept(t *testing.T) {
	cache, root := ownCache(t), filepath.Join(t.TempDir(), "mine")
	flowers(t, root, 5, "a", "b")
	tasksOf := func(tasks ...[]string) *Benchmark {
		d, err := Open(root)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ClassIncremental(d, ClassIncrementalOptions{Tasks: tasks, Prep: Prep{Size: 4, Method: "crop"}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	hashes := func(b *Benchmark) (kept, read string) {
		kept, err := b.ContentHash()
		if err != nil {
			t.Fatal(err)
		}
		if read, err = b.hash("palimpsest benchmark 1\n", content.pixels); err != nil {
			t.Fatal(err)
		}
		return kept, read
	}
	seen := map[string]bool{}
	for _, tasks := range [][][]string{{{"a"}, {"b"}}, {{"b"}, {"a"}}, {{"a", "b"}}, {{"a"}}} {
		b := tasksOf(tasks...)
		for range 2 {
			if kept, read := hashes(b); kept != read {
				t.Errorf("%v: kept %s, read %s", tasks, kept, read)
			}
		}
		blurred, err := b.Blurred(0.5, 1)
		if err == nil {
			if kept, read := hashes(blurred); kept != read {
				t.Errorf("%v, blurred: kept %s, read %s", tasks, kept, read)
			}
		}
		one, _ := hashes(b)
		seen[one] = true
	}
	files, _ := filepath.Glob(filepath.Join(cache, "prepared", "*.content"))
	if len(seen) != 4 || len(files) != 6 {
		t.Errorf("%d hashes, kept in %v", len(seen), files)
	}
	b := tasksOf([]string{"a"}, []string{"b"})
	before, _ := hashes(b)
	key, err := b.viewKey()
	if err != nil {
		t.Fatal(err)
	}
	file, err := b.keptHash(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, file, []byte("damaged"))
	if kept, read := hashes(b); kept != read {
		t.Error("a damaged file is believed")
	}
	prepared, _ := filepath.Glob(filepath.Join(cache, "prepared", "*.images"))
	whole, err := os.ReadFile(prepared[0])
	if err != nil {
		t.Fatal(err)
	}
	whole[0] ^= 1
	if _, err := parsePrepared(whole); err == nil {
		t.Fatal("a changed pixel is not seen")
	}
	mappedFiles = map[string]*mapped{}
	again := tasksOf([]string{"a"}, []string{"b"})
	var head preparedHead
	for _, m := range mappedFiles {
		head = m.head
	}
	head.PixelSum = crc32.Checksum(whole[:head.N*head.H*head.W*head.C], castagnoli)
	text, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	if kept, _ := hashes(again); kept != before {
		t.Error("the file that was made again has another hash")
	}
	if err := os.Remove(prepared[0]); err != nil { // not written over: it is mapped
		t.Fatal(err)
	}
	put(t, prepared[0], closePrepared(whole[:head.N*(head.H*head.W*head.C+5)], text))
	mappedFiles = map[string]*mapped{}
	if kept, read := hashes(tasksOf([]string{"a"}, []string{"b"})); kept != read || kept == before {
		t.Errorf("a changed file: kept %s, read %s, before %s", kept, read, before)
	}
}
