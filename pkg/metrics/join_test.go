package metrics

import (
	"slices"
	"strings"
	"testing"

	"palimpsest/datasets"
)

func TestJoinDatasets(t *testing.T) {
	set := func(name string, h int, classes ...string) *datasets.Dataset {
		im := &datasets.Images{N: 2, H: h, W: 1, C: 1, Pixels: make([]uint8, 2*h), Labels: []int32{0, 1}}
		return &datasets.Dataset{Name: name, Hash: "h-" + name, Classes: classes, Train: im, Test: im}
	}
	a, b := set("clothes", 1, "shoe", "shirt"), set("digits-10k", 1, "0", "1")
	got, err := JoinDatasets(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "clothes+digits-10k" || got.Hash != "h-clothes+h-digits-10k" || !slices.Equal(got.Train.Labels, []int32{0, 1, 2, 3}) ||
		!slices.Equal(got.Classes, []string{"clothes: shoe", "clothes: shirt", "digits-10k: 0", "digits-10k: 1"}) || got.Test.N != 4 {
		t.Errorf("joined %+v", got)
	}
	if a.Train.Labels[1] != 1 || b.Train.Labels[1] != 1 {
		t.Error("joining changed the sets' own labels")
	}
	if name := weightsName(got.Name, canonicalPrep(got.Name, datasets.Prep{})); name != "clothes+digits-pad32" {
		t.Errorf("weights of parts of sets are called %s", name)
	}
	if _, err := JoinDatasets(a, set("tall", 2, "x", "y")); err == nil {
		t.Error("images of two sizes gave no error")
	}
	few := set("few", 1, "x", "y")
	few.Train = &datasets.Images{N: 1, H: 1, W: 1, C: 1, Pixels: []uint8{0}, Labels: []int32{2}}
	if _, err := JoinDatasets(few, b); err == nil || !strings.Contains(err.Error(), "set 0: image 0 of Train of few has the label 2") {
		t.Errorf("a label that would be a class of the set that follows: %v", err)
	}
	t.Setenv("PALIMPSEST_CACHE", t.TempDir()) // keeps what is known of files
	own, err := datasets.Open("../../datasets/testdata/own/npz/keras.npz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := JoinDatasets(b, own); err == nil || !strings.Contains(err.Error(), "not prepared") {
		t.Errorf("a set of the user's own that is not prepared: %v", err)
	}
	if many, err := JoinDatasets(set("many", 1, make([]string, 255)...), a); err != nil || !slices.Equal(many.Train.Labels, []int32{0, 1, 255, 256}) {
		t.Errorf("257 classes: %v", err)
	}
}

func TestLoadJoined(t *testing.T) {
	one, err := LoadJoined("fashion-mnist-sample", datasets.Prep{})
	if err != nil || one.Name != "fashion-mnist-sample" || len(one.Classes) != 10 {
		t.Fatalf("one set: %v, error %v", one, err)
	}
	two, err := LoadJoined("fashion-mnist-sample+fashion-mnist-sample", datasets.Prep{Size: 16, Method: "area"})
	if err != nil || len(two.Classes) != 20 || two.Train.N != 2*one.Train.N || two.Train.H != 16 || two.Train.Labels[one.Train.N] != one.Train.Labels[0]+10 {
		t.Errorf("two sets: error %v", err)
	}
	if _, err := LoadJoined("fashion-mnist-sample+nothing", datasets.Prep{}); err == nil {
		t.Error("a set that is not there gave no error")
	}
	// Grey and colour do not join, which is known before either is loaded.
	if _, err := LoadJoined("fashion-mnist-sample+cifar-10", datasets.Prep{}); err == nil || !strings.Contains(err.Error(), "channels") {
		t.Errorf("grey and colour: %v", err)
	}
}
