package datasets

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
)

// twoClasses is a sound set in memory: two images of each of two classes in Train, one in Test.
func twoClasses() *Dataset {
	set := func(labels ...int32) *Images {
		return &Images{N: len(labels), H: 2, W: 2, C: 1, Pixels: make([]uint8, 4*len(labels)), Labels: labels}
	}
	return &Dataset{Name: "two", Classes: []string{"a", "b"}, Train: set(0, 1, 0, 1), Test: set(1, 0)}
}

// TestRefusedSets: a set that somebody made in memory, and that is at fault, becomes no tasks: every function that takes one
// refuses it in a line that names the fault.
func TestRefusedSets(t *testing.T) {
	other := func(h, c int) *Images {
		return &Images{N: 1, H: h, W: 2, C: c, Pixels: make([]uint8, h*2*c), Labels: []int32{0}}
	}
	for _, tc := range []struct {
		name, want string
		spoil      func(d *Dataset)
	}{
		{"label above the classes", "image 2 of Train of two has the label 2; need 0 to 1", func(d *Dataset) { d.Train.Labels[2] = 2 }},
		{"label far above", "image 1 of Test of two has the label 1073741824; need 0 to 1", func(d *Dataset) { d.Test.Labels[1] = 1 << 30 }},
		{"label of a validation image", "image 0 of Val of two has the label 5; need 0 to 1", func(d *Dataset) { d.Val = other(2, 1); d.Val.Labels[0] = 5 }},
		{"label below 0", "Train of two: datasets: image 0 has the label -1; need 0 or more", func(d *Dataset) { d.Train.Labels[0] = -1 }},
		{"test images of another height", "Test of two are 3×2×1, those of Train 2×2×1", func(d *Dataset) { d.Test = other(3, 1) }},
		{"validation images in colour", "Val of two are 2×2×3, those of Train 2×2×1", func(d *Dataset) { d.Val = other(2, 3) }},
		{"no classes", "two has the names of 0 classes", func(d *Dataset) { d.Classes = nil }},
		{"too many classes", "two has the names of 1048577 classes", func(d *Dataset) { d.Classes = make([]string, MaxClasses+1) }},
		{"no training images", "Train of two: datasets: no images (nil)", func(d *Dataset) { d.Train = nil }},
		{"no test images", "Test of two: datasets: no images (nil)", func(d *Dataset) { d.Test = nil }},
		{"the zero value for images", "Test of two: datasets: images of shape [0,0,0,0]", func(d *Dataset) { d.Test = &Images{} }},
		{"too few pixels", "Train of two: datasets: 15 pixel bytes", func(d *Dataset) { d.Train.Pixels = d.Train.Pixels[:15] }},
		{"sides whose product overflows", "Train of two: datasets: 16 pixel bytes", func(d *Dataset) { d.Train.H, d.Train.W = 1<<32, 1<<32 }},
		{"too few labels", "Train of two: datasets: 3 labels for 4 images", func(d *Dataset) { d.Train.Labels = d.Train.Labels[:3] }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, good := twoClasses(), twoClasses()
			tc.spoil(d)
			o := ClassIncrementalOptions{ClassesPerTask: 1, ValFraction: 0.5, Prep: Prep{Method: "none"}}
			after, inParts := o, o
			after.Then, inParts.Then, inParts.PartThen = []*Dataset{d}, []*Dataset{d}, true
			for name, call := range map[string]func() error{
				"Validate":                 d.Validate,
				"ClassIncremental":         func() error { _, err := ClassIncremental(d, o); return err },
				"ClassIncremental.Then":    func() error { _, err := ClassIncremental(good, after); return err },
				"ClassIncremental.InParts": func() error { _, err := ClassIncremental(good, inParts); return err },
				"DomainIncremental": func() error {
					_, err := DomainIncremental([]*Dataset{d, good}, DomainIncrementalOptions{Prep: o.Prep})
					return err
				},
				"DomainIncremental, later": func() error {
					_, err := DomainIncremental([]*Dataset{good, d}, DomainIncrementalOptions{Prep: o.Prep})
					return err
				},
				"DomainIncremental, shared": func() error {
					_, err := DomainIncremental([]*Dataset{good, d}, DomainIncrementalOptions{Prep: o.Prep, SharedLabels: true})
					return err
				},
				"Sample": func() error { _, _, err := Sample(d); return err },
			} {
				refused(t, name, tc.want, call)
			}
		})
	}
	if err := twoClasses().Validate(); err != nil {
		t.Errorf("the sound set: %v", err)
	}
}

// refused checks that a call returns an error of one line that holds want, or panics with one where it returns none.
func refused(t *testing.T, name, want string, call func() error) {
	t.Helper()
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		return call()
	}()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %v; want %q", name, err, want)
	}
}

// TestRefusedArguments: what no function can use is named: nothing (nil), negative sizes, sizes that overflow, slices that do not match.
// Functions that return errors return it; the others panic with words of their own, as their comments say.
func TestRefusedArguments(t *testing.T) {
	d, none, noContext := Prep{Method: "none"}, (*Dataset)(nil), context.Context(nil)
	bench := func(spoil func(b *Benchmark)) *Benchmark {
		b, err := ClassIncremental(twoClasses(), ClassIncrementalOptions{ClassesPerTask: 1, Prep: d})
		if err != nil {
			t.Fatal(err)
		}
		spoil(b)
		return b
	}
	larger := bench(func(b *Benchmark) {
		b.Tasks[1].Train = &Images{N: 1, H: 3, W: 2, C: 1, Pixels: make([]uint8, 6), Labels: []int32{1}}
	})
	unnamed := bench(func(b *Benchmark) { b.ClassNames = b.ClassNames[:1] })
	untrained := bench(func(b *Benchmark) { b.Tasks[1].Train = nil })
	im := twoClasses().Train
	second := func(_ any, err error) error { return err }
	for _, tc := range []struct {
		name, want string
		call       func() error
	}{
		{"ClassIncremental", "no set (nil)", func() error { return second(ClassIncremental(nil, ClassIncrementalOptions{ClassesPerTask: 1})) }},
		{"ClassIncremental.Then", "set 0 of those that follow: no set (nil)", func() error {
			return second(ClassIncremental(twoClasses(), ClassIncrementalOptions{ClassesPerTask: 1, Prep: d, Then: []*Dataset{nil}}))
		}},
		{"DomainIncremental", "set 0 of 2: no set (nil)", func() error {
			return second(DomainIncremental([]*Dataset{nil, twoClasses()}, DomainIncrementalOptions{}))
		}},
		{"DomainIncremental, none", "no sets", func() error { return second(DomainIncremental(nil, DomainIncrementalOptions{})) }},
		{"GivenTasks", "no set (nil)", func() error { return second(GivenTasks(nil, [][]string{{"a"}})) }},
		{"GivenTasks without classes", "0 classes", func() error { return second(GivenTasks(&Dataset{}, [][]string{{"a"}})) }},
		{"Sample", "no set (nil)", func() error { _, _, err := Sample(nil); return err }},
		{"Prepared", "no set (nil)", func() error { return second(none.Prepared(d)) }},
		{"Prepared, no images", "Train of two: datasets: no images (nil)", func() error { return second((&Dataset{Name: "two", Classes: []string{"a"}}).Prepared(d)) }},
		{"Glance", "no set (nil)", func() error { return second(none.Glance(1, 1, d)) }},
		{"Glance of no images", "Train of two: datasets: no images (nil)", func() error { return second((&Dataset{Name: "two", Classes: []string{"a"}}).Glance(1, 1, d)) }},
		{"Glance of fewer than none", "-1 images of each of 2 classes of two", func() error { return second(twoClasses().Glance(-1, 2, d)) }},
		{"Glance of fewer classes", "1 images of each of -2 classes of two", func() error { return second(twoClasses().Glance(1, -2, d)) }},
		{"Prepared twice", "images of 0×0 pixels with 0 channels", func() error { _, _, _, err := d.Shape(0, 0, 0); return err }},
		{"Shape below 0", "images of 2×-2 pixels with 1 channels", func() error { _, _, _, err := (Prep{}).Shape(2, -2, 1); return err }},
		{"Shape that overflows", "at most 1024 pixels", func() error {
			_, _, _, err := (Prep{Method: "none", Border: 1}).Shape(math.MaxInt, 2, 1)
			return err
		}},
		{"Apply", "no images (nil)", func() error { return second(d.Apply(nil)) }},
		{"Apply to the zero value", "shape [0,0,0,0]", func() error { return second(d.Apply(&Images{})) }},
		{"PreparedShape", "no sets are named", func() error { _, _, _, err := PreparedShape(d); return err }},
		{"Get", "no context (nil)", func() error { return Get(noContext, "mnist", GetOptions{}) }},

		{"Blurred", "without tasks", func() error { return second((*Benchmark)(nil).Blurred(0.1, 0)) }},
		{"Blurred, other size", "training images of task 2 (b) are 3×2×1, those of the benchmark 2×2×1", func() error { return second(larger.Blurred(0.1, 0)) }},
		{"ContentHash", "without tasks", func() error { return second((*Benchmark)(nil).ContentHash()) }},
		{"ContentHash, no training images", "training images of task 2 (b): datasets: no images (nil)", func() error { return second(untrained.ContentHash()) }},
		{"ContentHash, no test images", "task 1 (a) has no validation or no test images", func() error {
			return second(bench(func(b *Benchmark) { b.Tasks[0].Test = nil }).ContentHash())
		}},
		{"ContentHash, no name", "image 0 of training images of task 2 (b) has the label 1; need 0 to 0: a class for each", func() error { return second(unnamed.ContentHash()) }},
		{"Validate, no name of a class", "task 2 (b) has the class 7, and the benchmark 2 classes", bench(func(b *Benchmark) { b.Tasks[1].Classes = []int{7} }).Validate},
		{"Sheet", "panic: datasets.Benchmark.Sheet: -1 columns", func() error { bench(func(*Benchmark) {}).Sheet(-1); return nil }},
		{"Sheet, other size", "panic: datasets.Benchmark.Sheet: training images of task 2 (b) are 3×2×1", func() error { larger.Sheet(1); return nil }},

		{"Balanced", "-1 images of each of 2 classes", func() error { return second(Balanced(im.Labels, 2, -1, 0)) }},
		{"Balanced, classes", "1 images of each of -2 classes", func() error { return second(Balanced(im.Labels, -2, 1, 0)) }},
		{"Balanced, too many classes", "of each of 1099511627776 classes", func() error { return second(Balanced(im.Labels, 1<<40, 0, 0)) }},
		{"HoldOut", "image 1 has the label -1", func() error { _, _, err := HoldOut([]int32{0, -1}, 0.5, 0); return err }},
		{"Concat", "datasets.Concat: set 1: datasets: 3 labels for 4 images", func() error {
			bad := *im
			bad.Labels = bad.Labels[:3]
			return second(Concat(im, &bad))
		}},
		{"CropRows", "4 values of images of shape [4294967296,4294967296,1]", func() error { return second(CropRows(make([]uint8, 4), 1<<32, 1<<32, 1, 0)) }},
		{"CropRows below 0", "4 values of images of shape [-2,-2,1]", func() error { return second(CropRows(make([]uint8, 4), -2, -2, 1, 0)) }},
		{"ParseIDX, two lines", "offset 0: found the end of the file", func() error { return second(ParseIDX("two\nlines", nil)) }},
		{"WriteIDX", "2 elements for dimensions [-1 -2]", func() error { return WriteIDX(&bytes.Buffer{}, make([]uint8, 2), -1, -2) }},
		{"WriteIDX, to nothing", "to a <nil>", func() error { return WriteIDX(nil, make([]uint8, 2), 2) }},
		{"WriteIDX, product overflows", "0 elements for dimensions [4294967296 4294967296]", func() error { return WriteIDX(&bytes.Buffer{}, nil, 1<<32, 1<<32) }},
		{"CountPerClass", "panic: datasets.Images.CountPerClass: -1 classes", func() error { im.CountPerClass(-1); return nil }},
		{"CountPerClass of many", "panic: datasets.Images.CountPerClass: 1099511627776 classes", func() error { im.CountPerClass(1 << 40); return nil }},
		{"Image", "panic: datasets.Images.Image: image 0 of 0", func() error { (&Images{}).Image(0); return nil }},
		{"Image beyond", "panic: datasets.Images.Image: image 4 of 4", func() error { im.Image(4); return nil }},
		{"Scaled", "panic: datasets.Images.Scaled: datasets: images of shape [-1,2,2,1]", func() error { (&Images{N: -1, H: 2, W: 2, C: 1}).Scaled(); return nil }},
		{"Flat", "panic: datasets.Images.Flat: datasets: a view of 1 images", func() error {
			(&Images{N: 1, H: 1, W: 1, C: 1, Rows: []int32{-1}, Labels: []int32{0}}).Flat()
			return nil
		}},
		{"Sheet of many", "panic: datasets.Benchmark.Sheet: 1099511627776 columns", func() error { bench(func(*Benchmark) {}).Sheet(1 << 40); return nil }},
		{"Flips", "panic: datasets.Flips: -1 rows", func() error { Flips(0, 0, -1); return nil }},
		{"FlipRow", "panic: datasets.FlipRow: 4 values as an image of shape [2,3,1]", func() error { FlipRow(im.Image(0), 2, 3, 1); return nil }},
		{"FlipRow below 0", "panic: datasets.FlipRow: 4 values as an image of shape [-2,-2,1]", func() error { FlipRow(im.Image(0), -2, -2, 1); return nil }},
		// Its capacity would be enough.
		{"Scale", "panic: datasets.Scale: room for 2 numbers, and 4 bytes", func() error { Scale(make([]float32, 2, 8), im.Image(0)); return nil }},
		{"Unscale", "panic: datasets.Unscale: room for 2 bytes, and 3 numbers", func() error { Unscale(make([]uint8, 2, 8), make([]float32, 3)); return nil }},
	} {
		refused(t, tc.name, tc.want, tc.call)
	}
}

// TestHugeLabels: what looks for classes takes memory for the images, not for the numbers of their labels, and passes over labels that
// are none of the classes asked for.
func TestHugeLabels(t *testing.T) {
	im := &Images{N: 4, H: 1, W: 1, C: 1, Pixels: make([]uint8, 4), Labels: []int32{math.MaxInt32, 3, math.MaxInt32, -1}}
	if got := im.Present(); fmt.Sprint(got) != "[-1 3 2147483647]" {
		t.Errorf("classes %v", got)
	}
	if got := im.IndicesOf(math.MaxInt32, 1<<40); fmt.Sprint(got) != "[0 2]" {
		t.Errorf("images %v of the largest label", got)
	}
	if got := im.CountPerClass(4); fmt.Sprint(got) != "[0 0 0 1]" {
		t.Errorf("%v images a class", got)
	}
	if _, err := Balanced(im.Labels, 4, 0, 0); err != nil {
		t.Error(err)
	}
	rest, held, err := HoldOut([]int32{math.MaxInt32, math.MaxInt32, 5}, 0.5, 0)
	if err != nil || len(held) != 1 || len(rest) != 2 {
		t.Errorf("held %v, rest %v, %v; of two images of a class one is held out, of one none", held, rest, err)
	}
	// Labels that are no bytes are not cut down to bytes: -1 is not 255.
	if got := AppendLabels(nil, []int32{-1}); !bytes.Equal(got, []byte{255, 255, 255, 255}) {
		t.Errorf("-1 is stored as %v", got)
	}
}
