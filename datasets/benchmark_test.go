package datasets

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// numbered is a set of 1-pixel colour images, each bearing its own number in its first two bytes,
// so that a test can tell where an image went. Class c has perClass + c training images.
func numbered(name string, classes, perClass int) *Dataset {
	d := &Dataset{Name: name, Hash: "hash of " + name}
	for c := range classes {
		d.Classes = append(d.Classes, fmt.Sprintf("%s%d", name, c))
	}
	split := func(first, n int) *Images {
		im := &Images{H: 1, W: 1, C: 3}
		for round := range n + classes {
			for c := range classes {
				if round < n+c {
					id := first + im.N
					im.Pixels = append(im.Pixels, uint8(id>>8), uint8(id), uint8(c))
					im.Labels = append(im.Labels, int32(c))
					im.N++
				}
			}
		}
		return im
	}
	d.Train = split(0, perClass)
	d.Test = split(30000, 3)
	return d
}

func ids(im *Images) []int {
	out := make([]int, im.N)
	for i := range out {
		px := im.Image(i)
		out[i] = int(px[0])<<8 | int(px[1])
	}
	return out
}

func TestClassIncrementalPartitions(t *testing.T) {
	d := numbered("a", 10, 20)
	for _, o := range []ClassIncrementalOptions{
		{ClassesPerTask: 2, ValFraction: 0.1},
		{ClassesPerTask: 3, Order: "seeded", Seed: 5, ValFraction: 0.25},
		{ClassesPerTask: 1, Order: "natural"},
		{ClassesPerTask: 99, ValFraction: 0.5},
		{ClassesPerTask: 4, Order: "given", Given: []int{9, 0, 8, 1, 7, 2, 6, 3, 5, 4}, ValFraction: 0.01},
	} {
		o.Prep = Prep{Method: "none"}
		b, err := ClassIncremental(d, o)
		if err != nil {
			t.Fatal(err)
		}
		var classes, train, val, test []int
		for k, task := range b.Tasks {
			if task.ID != k || len(task.Classes) > o.ClassesPerTask || (k < len(b.Tasks)-1 && len(task.Classes) != o.ClassesPerTask) {
				t.Errorf("%+v: task %d has ID %d and classes %v", o, k, task.ID, task.Classes)
			}
			classes = append(classes, task.Classes...)
			for _, im := range []*Images{task.Train, task.Val, task.Test} {
				if err := im.Validate(); err != nil {
					t.Fatal(err)
				}
				for i, l := range im.Labels {
					if !slices.Contains(task.Classes, int(l)) || int32(im.Image(i)[2]) != l {
						t.Fatalf("%+v: task %v holds label %d with an image of class %d", o, task.Classes, l, im.Image(i)[2])
					}
				}
			}
			train, val, test = append(train, ids(task.Train)...), append(val, ids(task.Val)...), append(test, ids(task.Test)...)
		}
		// Every training image is in exactly one task, either to train on or held out; the
		// test split is all there and nothing else.
		all := slices.Concat(train, val)
		slices.Sort(all)
		if want := ids(d.Train); !slices.Equal(all, want) {
			t.Errorf("%+v: training and held-out images are not a partition of the training split", o)
		}
		slices.Sort(test)
		if !slices.Equal(test, ids(d.Test)) {
			t.Errorf("%+v: the test images are not the test split", o)
		}
		if (o.ValFraction > 0) != (len(val) > 0) {
			t.Errorf("%+v: %d images held out", o, len(val))
		}
		sorted := slices.Clone(classes)
		slices.Sort(sorted)
		if !slices.Equal(sorted, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("%+v: classes %v", o, classes)
		}
		switch o.Order {
		case "given":
			if !slices.Equal(classes, o.Given) {
				t.Errorf("classes arrive as %v, given %v", classes, o.Given)
			}
		case "seeded":
			if slices.Equal(classes, sorted) {
				t.Error("the seeded order is the natural one")
			}
		default:
			if !slices.Equal(classes, sorted) {
				t.Errorf("classes arrive as %v, not in the natural order", classes)
			}
		}
		again, err := ClassIncremental(d, o)
		if err != nil || !reflect.DeepEqual(b, again) {
			t.Errorf("%+v: built twice, the benchmark differs (%v)", o, err)
		}
	}
}

func TestSeedsDiffer(t *testing.T) {
	d := numbered("a", 10, 20)
	build := func(seed uint64, order string) *Benchmark {
		b, err := ClassIncremental(d, ClassIncrementalOptions{ClassesPerTask: 2, Order: order, Seed: seed, ValFraction: 0.2, Prep: Prep{Method: "none"}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	classes := func(b *Benchmark) (c []int) {
		for _, task := range b.Tasks {
			c = append(c, task.Classes...)
		}
		return c
	}
	held := func(b *Benchmark) (v []int) {
		for _, task := range b.Tasks {
			v = append(v, ids(task.Val)...)
		}
		slices.Sort(v)
		return v
	}
	if slices.Equal(classes(build(0, "seeded")), classes(build(1, "seeded"))) {
		t.Error("seeds 0 and 1 give the same order of classes")
	}
	if slices.Equal(held(build(0, "natural")), held(build(1, "natural"))) {
		t.Error("seeds 0 and 1 hold out the same images")
	}
	if !slices.Equal(held(build(1, "seeded")), held(build(1, "natural"))) {
		t.Error("the order of the classes changes which images are held out")
	}
}

func TestHoldOut(t *testing.T) {
	// 1, 2, 10 and 100 images of four classes.
	var labels []int32
	for c, n := range []int{1, 2, 10, 100} {
		labels = append(labels, slices.Repeat([]int32{int32(c)}, n)...)
	}
	for _, tc := range []struct {
		fraction float64
		want     []int // held out of each class
	}{
		{0, []int{0, 0, 0, 0}},
		{0.001, []int{0, 1, 1, 1}}, // at least one of two or more
		{0.25, []int{0, 1, 3, 25}}, // 2.5 is rounded to 3
		{0.999, []int{0, 1, 9, 99}},
	} {
		rest, held, err := HoldOut(labels, tc.fraction, 3)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]int, 4)
		for _, i := range held {
			got[labels[i]]++
		}
		if !slices.Equal(got, tc.want) || len(rest)+len(held) != len(labels) || !slices.IsSorted(rest) || !slices.IsSorted(held) {
			t.Errorf("fraction %g holds out %v of each class, want %v", tc.fraction, got, tc.want)
		}
	}
	// Classes of one size are shuffled apart: two of 100 would share 10 places only by chance
	// of 1 in (100 choose 10).
	two := slices.Concat(make([]int32, 100), slices.Repeat([]int32{1}, 100))
	_, held, err := HoldOut(two, 0.1, 3)
	if err != nil || len(held) != 20 {
		t.Fatal(held, err)
	}
	same := true
	for k := range 10 {
		same = same && held[10+k] == held[k]+100
	}
	if same {
		t.Errorf("two classes hold out the same places: %v", held)
	}
	for _, f := range []float64{-0.1, 1, 1.5} {
		if _, _, err := HoldOut(labels, f, 0); err == nil {
			t.Errorf("fraction %g gave no error", f)
		}
	}
}

func TestClassIncrementalErrors(t *testing.T) {
	d := numbered("a", 5, 4)
	for _, tc := range []struct {
		o    ClassIncrementalOptions
		want string
	}{
		{ClassIncrementalOptions{}, "0 classes a task"},
		{ClassIncrementalOptions{ClassesPerTask: 2, Order: "random"}, `class_order is "random"`},
		{ClassIncrementalOptions{ClassesPerTask: 2, Order: "given"}, "no classes are"},
		{ClassIncrementalOptions{ClassesPerTask: 2, Order: "given", Given: []int{0, 1, 5}}, "class 5 at place 3"},
		{ClassIncrementalOptions{ClassesPerTask: 2, Order: "given", Given: []int{-1}}, "class -1"},
		{ClassIncrementalOptions{ClassesPerTask: 2, Order: "given", Given: []int{3, 1, 3}}, "class 3 occurs twice"},
		{ClassIncrementalOptions{ClassesPerTask: 2, Given: []int{3}}, `order is ""`},
		{ClassIncrementalOptions{ClassesPerTask: 2, ValFraction: 1}, "fraction 1"},
		{ClassIncrementalOptions{ClassesPerTask: 2, Prep: Prep{Method: "squeeze"}}, `"squeeze"`},
	} {
		if _, err := ClassIncremental(d, tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: error %v, want one with %q", tc.o, err, tc.want)
		}
	}
	b, err := ClassIncremental(d, ClassIncrementalOptions{ClassesPerTask: 2, Order: "given", Given: []int{4, 1, 0}, Prep: Prep{Method: "none"}})
	if err != nil || len(b.Tasks) != 2 || !slices.Equal(b.Tasks[1].Classes, []int{0}) {
		t.Errorf("a part of the classes: %v", err)
	}
}

func TestDomainIncremental(t *testing.T) {
	a, c := numbered("a", 3, 10), numbered("c", 3, 7)
	none := Prep{Method: "none"}
	b, err := DomainIncremental([]*Dataset{a, c}, DomainIncrementalOptions{ValFraction: 0.2, Prep: none})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Tasks) != 2 || !slices.Equal(b.Tasks[1].Classes, []int{3, 4, 5}) || len(b.ClassNames) != 6 || b.ClassNames[4] != "c: c1" || b.Name != "a -> c" {
		t.Errorf("tasks of classes %v and %v, names %v", b.Tasks[0].Classes, b.Tasks[1].Classes, b.ClassNames)
	}
	for _, im := range []*Images{b.Tasks[1].Train, b.Tasks[1].Val, b.Tasks[1].Test} {
		for i, l := range im.Labels {
			if l != int32(im.Image(i)[2])+3 {
				t.Fatalf("label %d of an image of class %d", l, im.Image(i)[2])
			}
		}
	}
	all := slices.Concat(ids(b.Tasks[1].Train), ids(b.Tasks[1].Val))
	slices.Sort(all)
	if !slices.Equal(all, ids(c.Train)) || b.Tasks[1].Val.N == 0 {
		t.Error("training and held-out images are not a partition of the training split")
	}
	if slices.Max(c.Train.Labels) != 2 {
		t.Error("the labels of the set itself were changed")
	}

	shared, err := DomainIncremental([]*Dataset{a, c}, DomainIncrementalOptions{SharedLabels: true, Prep: none})
	if err != nil || !slices.Equal(shared.Tasks[1].Classes, []int{0, 1, 2}) || shared.ClassNames[2] != "a2 / c2" {
		t.Errorf("shared labels: %v", err)
	}

	// 257 classes in all: more than a byte tells apart.
	many, err := DomainIncremental([]*Dataset{numbered("x", 200, 1), numbered("y", 57, 1)}, DomainIncrementalOptions{Prep: none})
	if err != nil || many.Tasks[1].Test.Labels[56] != 256 {
		t.Errorf("257 classes: %v", err)
	}

	grey := numbered("g", 3, 5)
	for _, im := range []*Images{grey.Train, grey.Test} {
		im.C, im.W = 1, 3
	}
	for _, tc := range []struct {
		ds   []*Dataset
		o    DomainIncrementalOptions
		want string
	}{
		{nil, DomainIncrementalOptions{}, "no sets"},
		{[]*Dataset{a, grey}, DomainIncrementalOptions{Prep: none}, "one size"},
		{[]*Dataset{a, numbered("d", 4, 5)}, DomainIncrementalOptions{SharedLabels: true, Prep: none}, "equally many"},
		{[]*Dataset{a}, DomainIncrementalOptions{ValFraction: -1}, "fraction"},
	} {
		if _, err := DomainIncremental(tc.ds, tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want one with %q", err, tc.want)
		}
	}
}

func TestBalanced(t *testing.T) {
	labels := []int32{0, 1, 0, 1, 1, 0, 1, 0, 0, 1}
	idx, err := Balanced(labels, 2, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	n := [2]int{}
	for _, i := range idx {
		n[labels[i]]++
	}
	if n != [2]int{3, 3} || !slices.IsSorted(idx) || len(slices.Compact(slices.Clone(idx))) != 6 {
		t.Errorf("chosen %v", idx)
	}
	if _, err := Balanced(labels, 2, 6, 1); err == nil {
		t.Error("6 of 5 images gave no error")
	}
}

// Seeds must choose the same in every version of Go, or stored results cannot be repeated.
func TestPermutationIsPinned(t *testing.T) {
	if got, want := permutation(10, 1, streamClassOrder, 0), []int{8, 6, 0, 7, 5, 2, 3, 4, 1, 9}; !slices.Equal(got, want) {
		t.Errorf("permutation(10, 1, ...) is %v, was %v", got, want)
	}
	if got, want := permutation(12, 42, streamHeldOut, 3), []int{7, 10, 3, 11, 5, 4, 9, 0, 2, 8, 6, 1}; !slices.Equal(got, want) {
		t.Errorf("permutation(12, 42, ...) is %v, was %v", got, want)
	}
}

func TestSplitText(t *testing.T) {
	for _, tc := range []struct {
		classes, size int
		want          string
	}{
		{10, 2, "5 tasks of 2 classes"}, {10, 3, "4 tasks: 3 of 3 classes and a last one of 1 class"}, {5, 2, "3 tasks: 2 of 2 classes and a last one of 1 class"},
		{4, 100, "1 task of 4 classes"}, {3, 1, "3 tasks of 1 class"}, {1, 1, "1 task of 1 class"}, {5, 3, "2 tasks: 1 of 3 classes and a last one of 2 classes"},
	} {
		if got := splitText(tc.classes, tc.size); got != tc.want {
			t.Errorf("%d classes by %d: %q, want %q", tc.classes, tc.size, got, tc.want)
		}
	}
}
