package datasets

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A row a class in task order; what a class of fewer images leaves free is black.
func TestSheet(t *testing.T) {
	b := &Benchmark{ClassNames: []string{"a", "b", "c"}, H: 1, W: 1, C: 1, Tasks: []Task{
		{Classes: []int{2, 0}, Train: &Images{N: 3, H: 1, W: 1, C: 1, Pixels: []uint8{255, 0, 51}, Labels: []int32{2, 0, 2}}},
		{Classes: []int{1}, Train: &Images{H: 1, W: 1, C: 1}},
	}}
	images, rows := b.Sheet(3)
	want := []float32{1, -0.6, -1, -1, -1, -1, -1, -1, -1}
	if rows != 3 || len(images) != len(want) {
		t.Fatalf("%d values in %d rows, want %d in 3", len(images), rows, len(want))
	}
	for i, v := range want {
		if d := images[i] - v; d > 1e-6 || d < -1e-6 {
			t.Errorf("value %d is %g, want %g", i, images[i], v)
		}
	}
}

// TestGlance: a glance at a set shows the first images of its first classes, none twice, without preparing the set.
func TestGlance(t *testing.T) {
	cache, root := ownCache(t), t.TempDir()
	flowers(t, root, 3, "a", "b", "c")
	put(t, filepath.Join(root, "a", "0.png"), nil)
	put(t, filepath.Join(root, "b", "x.png"), pngOf(t, 8, 8, 9, 9, 9)) // grey beside colour
	d, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Glance(4, 2, Prep{Size: 4, Method: "crop", Channels: 3})
	if err != nil {
		t.Fatal(err)
	}
	shown := b.Tasks[0].Train
	if !slices.Equal(shown.Labels, []int32{0, 0, 0, 1, 1, 1, 1}) || shown.Image(2)[0] != 20 || shown.Image(6)[0] != 9 || b.H != 4 || b.C != 3 {
		t.Errorf("labels %v of %d×%d×%d", shown.Labels, b.H, b.W, b.C)
	}
	if made, _ := filepath.Glob(filepath.Join(cache, "prepared", "*.images")); len(made) > 0 {
		t.Errorf("it prepared %v", made)
	}
	if _, err := d.Glance(4, 2, Prep{Size: 4}); err == nil || !strings.Contains(err.Error(), "are grey") {
		t.Errorf("grey beside colour: %v", err)
	}
	// As they are, or with a border, images keep their size and their one channel.
	put(t, filepath.Join(root, "g", "one", "0.png"), pngOf(t, 8, 8, 9, 9, 9))
	if d, err = Open(filepath.Join(root, "g")); err != nil {
		t.Fatal(err)
	}
	for border, side := range []int{8, 10, 12} {
		b, err := d.Glance(4, 2, Prep{Method: "none", Border: border})
		if err != nil || b.H != side || b.W != side || b.C != 1 || b.Tasks[0].Train.Validate() != nil || b.Tasks[0].Train.Image(0)[border*(side+1)] != 9 {
			t.Errorf("with a border of %d: %d×%d×%d, %v", border, b.H, b.W, b.C, err)
		}
	}
	if d, err = Open("fashion-mnist-sample"); err != nil {
		t.Fatal(err)
	}
	if b, err = d.Glance(2, 100, Prep{Size: 8, Method: "crop", Channels: 3}); err != nil || b.Tasks[0].Train.N != 20 || b.C != 3 {
		t.Errorf("of the catalogue: %d images, %v", b.Tasks[0].Train.N, err)
	}
}

// TestGlanceOfFormats: a glance ends as soon as it has seen enough, whatever the format of the set, and is no error then.
func TestGlanceOfFormats(t *testing.T) {
	ownCache(t)
	root := t.TempDir()
	flowers(t, root, 3, "a", "b", "c")
	for _, ref := range []string{
		root, own("npz", "keras.npz"), own("npz", "medmnist.npz"), own("imagenet32"), own("parquet"), own("cifar100_parquet"),
		own("webdataset"), own("webdataset", "trees-train-000000.tar"), own("webdataset_json") + "#label=label", own("webdataset_gz"), own("float_labels", "float.parquet"), own("emnist"),
	} {
		d, err := Open(ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		b, err := d.Glance(1, 1, Prep{Size: 4, Method: "crop", Channels: 3})
		if err != nil || b.Tasks[0].Train.N != 1 || b.Tasks[0].Train.Validate() != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
}
