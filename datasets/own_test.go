package datasets

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// ownCache points the cache at a folder of the test's.
func ownCache(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("PALIMPSEST_CACHE", dir)
	progress := Progress
	Progress = nil
	t.Cleanup(func() { Progress = progress })
	return dir
}

// pngOf is a picture of one colour, grey if its channels are equal.
func pngOf(t testing.TB, h, w int, r, g, b uint8) []byte {
	t.Helper()
	var img image.Image
	if r == g && g == b {
		m := image.NewGray(image.Rect(0, 0, w, h))
		for i := range m.Pix {
			m.Pix[i] = r
		}
		img = m
	} else {
		m := image.NewNRGBA(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				m.Set(x, y, color.NRGBA{r, g, b, 255})
			}
		}
		img = m
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func put(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// flowers writes pictures of unequal sizes in class folders: n of each class, whose level of green is its number.
func flowers(t testing.TB, root string, n int, classes ...string) {
	t.Helper()
	for c, class := range classes {
		for i := range n {
			put(t, filepath.Join(root, class, string(rune('a'+i))+".png"), pngOf(t, 6+i, 9+c, uint8(10*i), uint8(c), 200))
		}
	}
}

// TestFolderWithoutSplit: class folders become a set with a seeded split, prepared once and opened from its file after that.
func TestFolderWithoutSplit(t *testing.T) {
	cache, root := ownCache(t), filepath.Join(t.TempDir(), "flowers")
	flowers(t, root, 10, "rose", "daisy", "Tulip")
	put(t, filepath.Join(root, "rose", ".DS_Store"), []byte("no picture"))
	put(t, filepath.Join(root, "rose", "Thumbs.db"), []byte("no picture"))
	put(t, filepath.Join(root, "README.md"), []byte("about"))
	prep := Prep{Height: 4, Width: 6, Method: "crop"}
	if h, w, c, err := PreparedShape(prep, root); err != nil || h != 4 || w != 6 || c != 3 {
		t.Fatalf("prepared shape %d×%d×%d, %v", h, w, c, err)
	}
	d, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "flowers" || len(d.Hash) != 64 || !slices.Equal(d.Classes, []string{"Tulip", "daisy", "rose"}) {
		t.Fatalf("opened %+v", d)
	}
	b, err := ClassIncremental(d, ClassIncrementalOptions{ClassesPerTask: 2, ValFraction: 0.25, Prep: prep})
	if err != nil {
		t.Fatal(err)
	}
	first := b.Tasks[0]
	if b.H != 4 || b.W != 6 || b.C != 3 || len(b.Tasks) != 2 || first.Train.N != 12 || first.Val.N != 4 || first.Test.N != 4 || b.DataHash != d.Hash {
		t.Fatalf("%d×%d×%d, %d tasks, %d, %d and %d images", b.H, b.W, b.C, len(b.Tasks), first.Train.N, first.Val.N, first.Test.N)
	}
	if &first.Train.Pixels[0] != &b.Tasks[1].Test.Pixels[0] {
		t.Error("tasks copy pixels")
	}
	green := []uint8{2, 1, 0} // of Tulip, daisy, rose
	for i, label := range first.Train.Labels {
		if px := first.Train.Image(i); px[1] != green[label] || px[2] != 200 {
			t.Errorf("image %d of class %d begins % d", i, label, px[:3])
		}
	}
	files, err := filepath.Glob(filepath.Join(cache, "prepared", "*.images"))
	if err != nil || len(files) != 1 {
		t.Fatalf("prepared files %v, %v", files, err)
	}
	// Another process finds the file, and repairs it if it is damaged.
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"whole": whole, "cut": whole[:len(whole)/2], "empty": {}, "a changed pixel": append([]byte{whole[0] ^ 1}, whole[1:]...)} {
		if err := os.Remove(files[0]); err != nil { // not written over: it is mapped
			t.Fatal(err)
		}
		put(t, files[0], content)
		mappedFiles = map[string]*mapped{}
		again, err := d.Prepared(prep)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Test.Flat(), mustPrepared(t, d, prep).Test.Flat()) {
			t.Errorf("%s: other test images", name)
		}
		if now, err := os.ReadFile(files[0]); err != nil || !bytes.Equal(now, whole) {
			t.Errorf("%s: the prepared file was not mended (%v)", name, err)
		}
	}
	// The same pictures elsewhere are the same set, and need not be prepared again.
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(root, moved); err != nil {
		t.Fatal(err)
	}
	same, err := Open(moved)
	if err != nil || same.Hash != d.Hash {
		t.Errorf("moved: %v, hash %s, before %s", err, same.Hash, d.Hash)
	}
	put(t, filepath.Join(moved, "rose", "a.png"), pngOf(t, 6, 9, 1, 2, 3))
	if other, err := Open(moved); err != nil || other.Hash == d.Hash {
		t.Errorf("a changed picture leaves the hash (%v)", err)
	}
}

func mustPrepared(t testing.TB, d *Dataset, p Prep) *Dataset {
	t.Helper()
	out, err := d.Prepared(p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestFolderWithSplit: train, val and test folders are the splits; train and val alone measure on val.
func TestFolderWithSplit(t *testing.T) {
	ownCache(t)
	root := filepath.Join(t.TempDir(), "own")
	flowers(t, filepath.Join(root, "train"), 4, "x", "y")
	flowers(t, filepath.Join(root, "val"), 2, "x", "y")
	flowers(t, filepath.Join(root, "Test"), 3, "x", "y")
	d, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ClassIncremental(d, ClassIncrementalOptions{ClassesPerTask: 1, ValFraction: 0.5, Prep: Prep{Size: 4, Method: "stretch"}})
	if err != nil {
		t.Fatal(err)
	}
	if k := b.Tasks[1]; k.Train.N != 4 || k.Val.N != 2 || k.Test.N != 3 {
		t.Errorf("%d, %d and %d images; want those of the folders", k.Train.N, k.Val.N, k.Test.N)
	}
	if err := os.RemoveAll(filepath.Join(root, "Test")); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(root); err != nil {
		t.Fatal(err)
	}
	if d = mustPrepared(t, d, Prep{Size: 4, Method: "stretch"}); d.Test.N != 4 || d.Val != nil {
		t.Errorf("without test: %d test images, %v", d.Test.N, d.Val)
	}
	// A class may be called train.
	vehicles := filepath.Join(t.TempDir(), "vehicles")
	flowers(t, vehicles, 2, "train", "bus")
	if d, err = Open(vehicles); err != nil || !slices.Equal(d.Classes, []string{"bus", "train"}) {
		t.Errorf("classes %v, %v", d.Classes, err)
	}
}

// TestRegistered: a set is registered by a name, listed, opened, and forgotten without a loss.
func TestRegistered(t *testing.T) {
	cache, root := ownCache(t), filepath.Join(t.TempDir(), "flowers")
	flowers(t, root, 5, "a", "b")
	info, err := Add("mine", root+"#test=0.4,seed=3")
	if err != nil || info.Train != 6 || info.Test != 4 || !info.SizesDiffer || !info.Own {
		t.Fatalf("%+v, %v", info, err)
	}
	for name, want := range map[string]string{"mnist": "catalogue", "a b": "letter", "mine": "already", "": "letter", "x+y": "letter"} {
		if _, err := Add(name, root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("added as %q: %v, want %q", name, err, want)
		}
	}
	all, err := List()
	if err != nil || all[len(all)-1].Name != "mine" || all[len(all)-1].Where != root {
		t.Errorf("listed %+v, %v", all[len(all)-1], err)
	}
	if err := Known("mine"); err != nil {
		t.Error(err)
	}
	d, err := Open("mine")
	if err != nil {
		t.Fatal(err)
	}
	if d = mustPrepared(t, d, Prep{Size: 4, Method: "crop"}); d.Name != "mine" || d.Test.N != 4 {
		t.Errorf("%s with %d test images", d.Name, d.Test.N)
	}
	// Moved away, it is told with its remedy, and stands in no other set's way.
	if err := os.Rename(root, root+"-moved"); err != nil {
		t.Fatal(err)
	}
	gone := "mine is registered for " + root + ", which cannot be read (no such file or directory); bring it back, or forget it: go run . data remove mine"
	all, err = List()
	if err != nil || len(all) < 2 || all[len(all)-1].Err == nil || all[len(all)-1].Err.Error() != gone {
		t.Errorf("listed without its folder: %+v, %v", all[len(all)-1], err)
	}
	if err := Known("mine"); err == nil || err.Error() != gone {
		t.Errorf("%v, want %s", err, gone)
	}
	if _, err := Open("fashion-mnist-sample"); err != nil {
		t.Errorf("beside it: %v", err)
	}
	if err := os.Rename(root+"-moved", root); err != nil {
		t.Fatal(err)
	}
	if err := Remove("mine"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "a", "a.png")); err != nil {
		t.Error("removing took the user's files")
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "prepared", "*.images")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	for _, name := range []string{"mine", "mnist"} {
		if Remove(name) == nil {
			t.Errorf("%s was forgotten", name)
		}
	}
	if err := Known("mine"); err == nil || !strings.Contains(err.Error(), "fashion-mnist-sample") {
		t.Errorf("after it was forgotten: %v", err)
	}
}

// TestAddedAtOnce: of sets that are added and removed at once, none is lost.
func TestAddedAtOnce(t *testing.T) {
	ownCache(t)
	root := filepath.Join(t.TempDir(), "flowers")
	flowers(t, root, 2, "a", "b")
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			name := fmt.Sprint("set", i)
			if _, err := Add(name, root); err != nil {
				t.Error(err)
			}
			if i%2 == 0 {
				if err := Remove(name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if all, err := registered(); err != nil || len(all) != 10 {
		t.Errorf("%v, %v; want 10", all, err)
	}
}

// TestHolds: a file in a set is known through links, and one beside it is none of it.
func TestHolds(t *testing.T) {
	ownCache(t)
	dir := t.TempDir()
	root, other := filepath.Join(dir, "flowers"), filepath.Join(dir, "other")
	flowers(t, root, 2, "a", "b")
	flowers(t, other, 2, "c")
	link(t, filepath.Join(other, "c"), filepath.Join(root, "c"))
	link(t, root, filepath.Join(dir, "way"))
	for file, want := range map[string]bool{"flowers/a/a.png": true, "flowers/new.png": true, "way/a/new.png": true, "other/c/a.png": true, "flowers.png": false, "other/new.png": false} {
		if got, err := Holds(root, filepath.Join(dir, file)); err != nil || got != want {
			t.Errorf("%s: %v, %v", file, got, err)
		}
	}
}

// TestOwnSplitNotChosen: a set with test images of its own takes no choice of them.
func TestOwnSplitNotChosen(t *testing.T) {
	ownCache(t)
	root := t.TempDir()
	flowers(t, filepath.Join(root, "train"), 2, "a", "b")
	flowers(t, filepath.Join(root, "test"), 2, "a", "b")
	if _, err := Open(root); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"#test=0.5", "#seed=3"} {
		if _, err := Open(root + how); err == nil || !strings.Contains(err.Error(), "leave "+how[1:]+" out") {
			t.Errorf("%s: %v", how, err)
		}
	}
}

// TestAllShards: files that are missing by the others' names are named.
func TestAllShards(t *testing.T) {
	ownCache(t)
	root := t.TempDir()
	for _, name := range []string{"train-00000-of-00002.parquet", "test-00000-of-00001.parquet"} {
		b, err := os.ReadFile(own("parquet", name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(root, name), b)
	}
	if _, err := Open(root); err == nil || !strings.Contains(err.Error(), "missing: "+filepath.Join(root, "train-00001-of-00002.parquet")) {
		t.Errorf("a shard is missing: %v", err)
	}
	for _, tc := range []struct{ files, want string }{
		{"train-00000-of-00003.parquet train-00002-of-00003.parquet", "of 3 files, as their names say, some are missing: s/train-00001-of-00003.parquet; add"},
		{"a-0-of-9.tar", "s/a-1-of-9.tar, s/a-2-of-9.tar, s/a-3-of-9.tar, …; add"},
		{"train-1-of-2.tar train-2-of-2.tar test-0-of-1.tar b-7.tar", ""},
		{"train_data_batch_1.npz train_data_batch_3.npz val_data.npz", "up to 3 some are missing: s/train_data_batch_2.npz; add"},
		{"train_data_batch_2.npz", "missing: s/train_data_batch_1.npz; add"},
		{"train-000.tar train-001.tar train-003.tar test-000.tar", "missing: s/train-002.tar; add"},
		{"8.tar 10.tar", "missing: s/9.tar; add"},
		{"cifar10-train.tar cifar100-train.tar a-7.tar b-9.tar train-3.parquet train-4.parquet", ""},
	} {
		var files []string
		for _, name := range strings.Fields(tc.files) {
			files = append(files, filepath.Join("s", name))
		}
		err := allShards("s", files)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(filepath.ToSlash(err.Error()), tc.want) {
			t.Errorf("%s: %v", tc.files, err)
		}
	}
}

// TestBadFolders: what is wrong with a folder is one line that names the file and says what to do.
func TestBadFolders(t *testing.T) {
	ownCache(t)
	good := pngOf(t, 8, 8, 1, 2, 3)
	bomb := slices.Clone(good)
	copy(bomb[16:], []byte{0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20}) // 20,000 × 20,000 in the head; its sum is put right below
	bomb = withPNGSum(bomb)
	resize := Prep{Size: 4, Method: "crop"}
	for name, tc := range map[string]struct {
		make func(root string)
		prep Prep
		want []string // parts of the error
	}{
		"zero bytes": {func(root string) { put(t, filepath.Join(root, "a", "0.png"), nil) }, resize, []string{"a/0.png", "empty", "--skip-broken"}},
		"heic":       {func(root string) { put(t, filepath.Join(root, "a", "0.HEIC"), good) }, resize, []string{"a/0.HEIC", "not read", "PNG", "--skip-broken"}},
		"ppm":        {func(root string) { put(t, filepath.Join(root, "a", "0.ppm"), good) }, resize, []string{"a/0.ppm", "not read", "PNG", "--skip-broken"}},
		"animated": {func(root string) {
			put(t, filepath.Join(root, "a", "0.webp"), []byte("RIFF\x20\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00\x07\x00\x00\x07\x00\x00"))
		}, resize, []string{"a/0.webp", "animated WebP", "first frame as PNG", "--skip-broken"}},
		"text":                   {func(root string) { put(t, filepath.Join(root, "a", "0.png"), []byte("hello")) }, resize, []string{"a/0.png", "text/plain", "need PNG"}},
		"truncated":              {func(root string) { put(t, filepath.Join(root, "a", "0.png"), good[:len(good)-20]) }, resize, []string{"a/0.png", "damaged", "--skip-broken"}},
		"only a head":            {func(root string) { put(t, filepath.Join(root, "a", "0.png"), good[:20]) }, resize, []string{"a/0.png", "ends too early"}},
		"a bomb":                 {func(root string) { put(t, filepath.Join(root, "a", "0.png"), bomb) }, resize, []string{"a/0.png", "20000×20000", "at most 50 million"}},
		"a dead link":            {func(root string) { link(t, "nowhere.png", filepath.Join(root, "a", "0.png")) }, resize, []string{"a/0.png is a link to nowhere.png, which is not there", "--skip-broken"}},
		"a dead link to a class": {func(root string) { link(t, "/mnt/unmounted/violet", filepath.Join(root, "violet")) }, resize, []string{"/violet is a link to /mnt/unmounted/violet, which is not there; bring"}},
		"a circle":               {func(root string) { link(t, "..", filepath.Join(root, "a", "back")) }, resize, []string{"a/back", "circle", "remove"}},
		"two things at once": {func(root string) {
			link(t, "..", filepath.Join(root, "a", "back"))
			link(t, "nowhere", filepath.Join(root, "b", "lost"))
		}, resize, []string{"a/back", "circle", "b/lost", "nowhere"}},
		"own circle": {func(root string) { link(t, "loop", filepath.Join(root, "a", "loop")) }, resize, []string{"a/loop", "circle", "remove"}},
		"case": {func(root string) {
			put(t, filepath.Join(root, "a", "X.png"), good)
			put(t, filepath.Join(root, "a", "x.png"), good)
		}, resize, []string{"X.png", "x.png", "case", "rename"}},
		"normal form": {func(root string) {
			put(t, filepath.Join(root, "caf\u00e9", "1.png"), good)
			put(t, filepath.Join(root, "cafe\u0301", "1.png"), good)
		}, resize, []string{"Unicode", "rename"}},
		"a class of two lines": {func(root string) { put(t, filepath.Join(root, "ro\nse", "1.png"), good) }, resize, []string{`class of the name "ro\nse"`, "one line"}},
		"splits within classes": {func(root string) {
			put(t, filepath.Join(root, "c", "train", "1.png"), good)
			put(t, filepath.Join(root, "c", "test", "1.png"), good)
		}, resize, []string{"c holds training and test images itself", "name it instead"}},
		"case, class": {func(root string) { put(t, filepath.Join(root, "A", "X.png"), good) }, resize, []string{"case", "rename"}},
		"only test": {func(root string) {
			for _, class := range []string{"a", "b"} {
				if err := os.MkdirAll(filepath.Join(root, "test"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(filepath.Join(root, class), filepath.Join(root, "test", class)); err != nil {
					t.Fatal(err)
				}
			}
		}, resize, []string{"has test but no train; add", "/train/CLASS", "a fifth"}},
		"no ending, damaged": {func(root string) { put(t, filepath.Join(root, "a", "0001"), good[:len(good)-20]) }, resize, []string{"a/0001", "damaged", "--skip-broken"}},
		"two without images": {func(root string) {
			put(t, filepath.Join(root, "c", "note.txt"), nil)
			put(t, filepath.Join(root, "d", "note.txt"), nil)
		}, resize, []string{"/c", "/d", "hold no picture", "remove"}},
		"no image": {func(root string) { put(t, filepath.Join(root, "c", "note.txt"), nil) }, resize, []string{"c holds no picture", "remove"}},
		"no test": {func(root string) {
			for _, file := range []string{"train/a/1.png", "train/b/1.png", "test/a/1.png"} {
				put(t, filepath.Join(root, file), good)
			}
			_, _ = os.RemoveAll(filepath.Join(root, "a")), os.RemoveAll(filepath.Join(root, "b"))
		}, resize, []string{"class b of", "has no test image", "leave the class out", "benchmark.tasks"}},
		"one image":    {func(root string) { put(t, filepath.Join(root, "c", "x.png"), good) }, resize, []string{"class c of", "one picture", "2 or more", "leave the class out", "benchmark.tasks"}},
		"no class":     {func(root string) { put(t, filepath.Join(root, "x.png"), good) }, resize, []string{"x.png", "class folder"}},
		"sizes":        {func(root string) { put(t, filepath.Join(root, "a", "0.png"), pngOf(t, 9, 8, 1, 2, 3)) }, Prep{Method: "none"}, []string{"differ in size", "8×9", "crop"}},
		"shapes":       {func(root string) { put(t, filepath.Join(root, "a", "0.png"), pngOf(t, 4, 16, 1, 2, 3)) }, Prep{Method: "none"}, []string{"a/0.png has 16×4", "1.png 8×8"}},
		"grey":         {func(root string) { put(t, filepath.Join(root, "a", "0.png"), pngOf(t, 8, 8, 7, 7, 7)) }, resize, []string{"1 are grey", "a/0.png", "channels"}},
		"not squeezed": {func(root string) {}, Prep{Size: 4, Method: "squeeze"}, []string{"squeeze"}},
	} {
		root := t.TempDir()
		for _, class := range []string{"a", "b"} {
			for _, file := range []string{"1.png", "2.png"} {
				put(t, filepath.Join(root, class, file), good)
			}
		}
		tc.make(root)
		seen, preview := Add("seen", root)
		err := errorOf(root, tc.prep)
		if tc.prep == resize && err != nil && (preview == nil || preview.Error() != err.Error()) && !slices.Contains(seen.Refusals, err.Error()) {
			t.Errorf("%s: registering it says %q and %v, a study %v", name, seen.Refusals, preview, err)
		}
		if err := Remove("seen"); (err == nil) != (preview == nil) {
			t.Errorf("%s: registered with the error %v, forgotten with %v", name, preview, err)
		}
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		text := err.Error()
		for _, want := range append(tc.want, "") {
			if !strings.Contains(filepath.ToSlash(text), want) {
				t.Errorf("%s: %s; want %q in it", name, text, want)
			}
		}
		if strings.ContainsAny(text, "\n\r") {
			t.Errorf("%s: more than a line: %q", name, text)
		}
	}
}

// errorOf opens and prepares a set, and makes tasks of it.
func errorOf(root string, p Prep) error {
	d, err := Open(root)
	if err != nil {
		return err
	}
	_, err = ClassIncremental(d, ClassIncrementalOptions{ClassesPerTask: 1, Prep: p})
	return err
}

// TestSaidAtOnce: of a set with many faults all are said when it is registered, and its counts are those of a study without them.
func TestSaidAtOnce(t *testing.T) {
	ownCache(t)
	root := t.TempDir()
	flowers(t, filepath.Join(root, "train"), 4, "a", "b", "lost", "gone")
	flowers(t, filepath.Join(root, "val"), 2, "a", "b")
	flowers(t, filepath.Join(root, "test"), 3, "a", "b")
	whole := pngOf(t, 8, 8, 1, 2, 3)
	put(t, filepath.Join(root, "train", "a", "cut.png"), whole[:len(whole)-20])
	put(t, filepath.Join(root, "train", "a", "grey.png"), pngOf(t, 8, 8, 9, 9, 9))
	put(t, filepath.Join(root, "train", "b", "red", "x.png"), whole)
	info, err := Add("mine", root)
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Refusals) != 3 || !strings.Contains(info.Refusals[0], "--skip-broken") || !strings.Contains(info.Refusals[1], "1 are grey") ||
		!strings.Contains(info.Refusals[2], "class gone of "+root+" has no test image, as has one other class; add some, or leave") {
		t.Errorf("refusals %q", info.Refusals)
	}
	notes := strings.Join(info.Notes, "\n")
	for _, want := range []string{"val: 4 images for validation", "1 picture in folders within a class folder, the first " + filepath.Join("train", "b", "red", "x.png"), "6 of 6 test images are, pixel by pixel, training images"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes %q; want %q", info.Notes, want)
		}
	}
	d, err := Open("mine")
	if err != nil {
		t.Fatal(err)
	}
	p := Prep{Size: 4, Method: "crop", Channels: 3, SkipBroken: true}
	b, err := ClassIncremental(d, ClassIncrementalOptions{Tasks: [][]string{{"b"}, {"a"}}, Prep: p})
	if err != nil {
		t.Fatal(err)
	}
	if d = mustPrepared(t, d, p); d.Train.N != info.Train || d.Test.N != info.Test || b.Tasks[1].Train.N != info.TrainOf[0] || b.Tasks[0].Val.N != 2 {
		t.Errorf("%d and %d images, said were %d and %d", d.Train.N, d.Test.N, info.Train, info.Test)
	}
}

// TestOnePictureLeftOut: a class that cannot be measured on does not keep a study from the others.
func TestOnePictureLeftOut(t *testing.T) {
	ownCache(t)
	root := t.TempDir()
	flowers(t, root, 3, "a", "b")
	flowers(t, root, 1, "once")
	d, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	p := Prep{Size: 4, Method: "crop"}
	for name, o := range map[string]ClassIncrementalOptions{"tasks": {Tasks: [][]string{{"b"}, {"a"}}, Prep: p}, "numbers": {ClassesPerTask: 1, Order: "given", Given: []int{1, 0}, Prep: p}} {
		if b, err := ClassIncremental(d, o); err != nil || len(b.Tasks) != 2 || b.Tasks[0].Train.N != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DomainIncremental([]*Dataset{d}, DomainIncrementalOptions{Prep: p}); err == nil || !strings.Contains(err.Error(), "one picture") {
		t.Errorf("as a domain: %v", err)
	}
}

// TestSharedPictures: a picture of the training images that is a test image as well is counted, in other formats too, also where the
// split is drawn.
func TestSharedPictures(t *testing.T) {
	ownCache(t)
	root, same := t.TempDir(), pngOf(t, 8, 8, 1, 2, 3)
	for i := range 10 {
		put(t, filepath.Join(root, "a", fmt.Sprint(i, ".png")), same)
		put(t, filepath.Join(root, "b", fmt.Sprint(i, ".png")), pngOf(t, 8, 8, 4, 2, uint8(i)))
	}
	info, err := Describe(root)
	if err != nil || len(info.Notes) != 1 || !strings.Contains(info.Notes[0], "2 of 4 test images") || !strings.Contains(info.Notes[0], ", as a"+string(filepath.Separator)) {
		t.Errorf("notes %q, %v", info.Notes, err)
	}
}

// TestNormalForms: folders that macOS has named are the same set, and its classes are found by names that are typed elsewhere.
func TestNormalForms(t *testing.T) {
	ownCache(t)
	var hashes []string
	for _, name := range []string{"caf\u00e9", "cafe\u0301"} {
		root := t.TempDir()
		flowers(t, root, 2, name, "cafz")
		d, err := Open(root)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, d.Hash)
		for _, typed := range []string{"caf\u00e9", "cafe\u0301"} {
			if _, err := GivenTasks(d, [][]string{{typed}}); err != nil {
				t.Error(err)
			}
		}
	}
	if hashes[0] != hashes[1] {
		t.Error("the way accents are stored changes the set")
	}
}

// TestCacheErrors: what is wrong with the cache is said with the variable that moves it.
func TestCacheErrors(t *testing.T) {
	ownCache(t)
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, nil)
	root := t.TempDir()
	flowers(t, root, 2, "a", "b")
	t.Setenv("PALIMPSEST_CACHE", filepath.Join(file, "cache"))
	if _, err := Open(root); err == nil || !strings.Contains(err.Error(), "PALIMPSEST_CACHE") {
		t.Errorf("opened with %v", err)
	}
	if _, err := Add("a", root); err == nil || !strings.Contains(err.Error(), "PALIMPSEST_CACHE") {
		t.Errorf("added with %v", err)
	}
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Skip(err)
	}
}

// TestSkipBroken: what cannot be read is left out and listed, whether its head or its pixels are damaged.
func TestSkipBroken(t *testing.T) {
	ownCache(t)
	root := t.TempDir()
	flowers(t, root, 4, "a", "b")
	whole := pngOf(t, 8, 8, 1, 2, 3)
	put(t, filepath.Join(root, "a", "cut.png"), whole[:len(whole)-20])
	put(t, filepath.Join(root, "b", "none.png"), nil)
	put(t, filepath.Join(root, "b", "phone.heic"), whole)
	put(t, filepath.Join(root, "logo.svg"), nil) // in no class
	p := Prep{Size: 4, Method: "pad", SkipBroken: true}
	d, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	d = mustPrepared(t, d, p)
	if len(d.Skipped) != 3 || d.Skipped[0].File != filepath.Join("a", "cut.png") || d.Skipped[1].File != filepath.Join("b", "none.png") || d.Train.N+d.Test.N != 8 {
		t.Errorf("skipped %v; %d and %d images", d.Skipped, d.Train.N, d.Test.N)
	}
	with, err := ClassIncremental(d, ClassIncrementalOptions{ClassesPerTask: 1, Prep: p})
	if err != nil || len(with.Skipped) != 3 || with.Skipped[0].File != d.Name+"/a/cut.png" || !strings.Contains(with.Skipped[1].Why, "empty") {
		t.Errorf("tasks without %v, %v", with, err)
	}
	p.SkipBroken = false
	if err := errorOf(root, p); err == nil || !strings.Contains(err.Error(), "cut.png") || !strings.Contains(err.Error(), "3 pictures cannot be read") ||
		!strings.Contains(err.Error(), "none.png") || !strings.Contains(err.Error(), "phone.heic") {
		t.Errorf("not skipped: %v", err)
	}
	if err := os.Remove(filepath.Join(root, "b", "phone.heic")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "b", "none.png")); err != nil {
		t.Fatal(err)
	}
	if err := errorOf(root, p); err == nil || !strings.Contains(err.Error(), "cut.png") {
		t.Errorf("not skipped, of pixels: %v", err)
	}
}

// withPNGSum puts the sum of a PNG's first chunk right.
func withPNGSum(b []byte) []byte {
	sum := crc32.ChecksumIEEE(b[12:29])
	binary.BigEndian.PutUint32(b[29:], sum)
	return b
}

// encodePNG is a picture of pixels [h,w,3].
func encodePNG(t testing.TB, pixels []uint8, h, w int) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range h * w {
		copy(m.Pix[4*i:], []uint8{pixels[3*i], pixels[3*i+1], pixels[3*i+2], 255})
	}
	var out bytes.Buffer
	if err := png.Encode(&out, m); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestNoEnding: pictures whose names have no ending are known by their content, and other files are not.
func TestNoEnding(t *testing.T) {
	ownCache(t)
	root := t.TempDir()
	for _, class := range []string{"a", "b", "test"} {
		put(t, filepath.Join(root, class, "0001"), pngOf(t, 8, 8, 1, 2, 3))
		put(t, filepath.Join(root, class, "frame.0002"), pngOf(t, 8, 8, 3, 2, 1))
		put(t, filepath.Join(root, class, "LICENSE"), []byte("BM, all rights reserved"))
		put(t, filepath.Join(root, class, "empty"), nil)
	}
	put(t, filepath.Join(root, "README"), []byte("about"))
	info, err := Describe(root)
	if err != nil || info.Train+info.Test != 6 || len(info.Broken) > 0 || len(info.Classes) != 3 {
		t.Errorf("%d and %d images of %q, broken %v, %v", info.Train, info.Test, info.Classes, info.Broken, err)
	}
}

// TestMadeReadable: a picture that was made readable, which changes neither its size nor its time, is read anew.
func TestMadeReadable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "1.png")
	put(t, file, nil)
	before, err := fingerprint(place{}, []string{file})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o400); err != nil {
		t.Fatal(err)
	}
	if after, err := fingerprint(place{}, []string{file}); err != nil || after == before {
		t.Errorf("the same fingerprint, %v", err)
	}
}

// TestEmptyPath: no path is not the folder at hand.
func TestEmptyPath(t *testing.T) {
	ownCache(t)
	for _, ref := range []string{"", " ", "#test=0.5"} {
		if err := Known(ref); err == nil || !strings.Contains(err.Error(), "names an empty path") {
			t.Errorf("%q: %v", ref, err)
		}
	}
}

// A set is called by its folder's name, whatever language it is in; what no file's name may hold becomes a dash.
func TestNameOf(t *testing.T) {
	for path, want := range map[string]string{
		"/data/flowers": "flowers", "/data/été": "été", "/data/e\u0301te\u0301": "été", "/data/花": "花", "/data/цветы 2": "цветы-2", `/data/a:b*c`: "a-b-c",
		"/data/été.tar.gz": "été", "/data/t.npz": "t", "/data/...": "own", "/data/" + strings.Repeat("é", 40): strings.Repeat("é", 32),
		"/data/a" + strings.Repeat("é", 40): "a" + strings.Repeat("é", 31),
	} {
		if got := nameOf(path); got != want {
			t.Errorf("%s is called %q, want %q", path, got, want)
		}
	}
}
