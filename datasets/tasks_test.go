package datasets

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestTasksByName: tasks of unequal size have the classes listed, in that order, and all their images and no others.
func TestTasksByName(t *testing.T) {
	d := numbered("a", 6, 4)
	b, err := ClassIncremental(d, ClassIncrementalOptions{Tasks: [][]string{{"a4", "a0", "a2"}, {"a5"}}, ClassesPerTask: 2, Prep: Prep{Method: "none"}})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]int{{4, 0, 2}, {5}}
	if len(b.Tasks) != 2 || b.Name != "a, 2 tasks of 3 and 1 classes" || b.Tasks[0].Name != "a4 + a0 + a2" {
		t.Fatalf("%d tasks, named %q and %q", len(b.Tasks), b.Name, b.Tasks[0].Name)
	}
	for i, task := range b.Tasks {
		if !slices.Equal(task.Classes, want[i]) {
			t.Errorf("task %d has classes %v, want %v", i, task.Classes, want[i])
		}
		for _, part := range []struct{ of, from *Images }{{task.Train, d.Train}, {task.Test, d.Test}} {
			if all := ids(part.from.Select(part.from.IndicesOf(want[i]...))); !slices.Equal(ids(part.of), all) {
				t.Errorf("task %d has images %v, want %v", i, ids(part.of), all)
			}
		}
	}
	// As many classes a task, listed, are what the order gives.
	listed, err := ClassIncremental(d, ClassIncrementalOptions{Tasks: [][]string{{"a3", "a1"}, {"a0", "a5"}}, ValFraction: 0.3, Prep: Prep{Method: "none"}})
	ordered, err2 := ClassIncremental(d, ClassIncrementalOptions{Order: "given", Given: []int{3, 1, 0, 5}, ClassesPerTask: 2, ValFraction: 0.3, Prep: Prep{Method: "none"}})
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	one, _ := listed.ContentHash()
	if other, _ := ordered.ContentHash(); one != other || listed.Name != ordered.Name {
		t.Errorf("listed classes give %s (%s), the order of the same classes %s (%s)", listed.Name, one, ordered.Name, other)
	}
}

// Labels stand for names, unless a class is called by a number.
func TestTasksByNumber(t *testing.T) {
	d := numbered("rose", 4, 3)
	d.Classes = []string{"rose", "tulip", "daisy", "lily"}
	if got, err := GivenTasks(d, [][]string{{"3", "tulip"}, {"0"}}); err != nil || !reflect.DeepEqual(got, [][]int{{3, 1}, {0}}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, tasks := range [][][]string{{{"4"}}, {{"-1"}}, {{"1", "tulip"}}} {
		if got, err := GivenTasks(d, tasks); err == nil {
			t.Errorf("%v gives %v", tasks, got)
		}
	}
	d.Classes = []string{"1", "2", "3", "4"}
	if got, err := GivenTasks(d, [][]string{{"1"}, {"4"}}); err != nil || !reflect.DeepEqual(got, [][]int{{0}, {3}}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := GivenTasks(d, [][]string{{"0"}}); err == nil {
		t.Errorf("the class 0 of 1, 2, 3 and 4 is %v", got)
	}
}

func TestTasksByNameRefuses(t *testing.T) {
	d := numbered("rose", 4, 3)
	d.Classes = []string{"rose", "tulip", "daisy", "daisy"}
	for want, tasks := range map[string][][]string{
		`task 2 lists the class "tulp", which rose does not have (did you mean "tulip"?); it has rose, tulip, daisy, daisy`: {{"rose"}, {"tulp"}},
		`the class "rose" is listed in task 1 and again in task 3`:                                                          {{"rose"}, {"tulip"}, {"rose"}},
		`the class "tulip" is listed twice in task 1; list`:                                                                 {{"tulip", "tulip"}},
		`task 2 lists no class`:        {{"rose"}, {}},
		`several classes of rose have`: {{"daisy"}},
		`no tasks are listed`:          {},
	} {
		_, err := ClassIncremental(d, ClassIncrementalOptions{Tasks: tasks, Prep: Prep{Method: "none"}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v; want %q", tasks, err, want)
		}
	}
	if _, err := ClassIncremental(d, ClassIncrementalOptions{Tasks: [][]string{{"rose"}}, Order: "seeded", Prep: Prep{Method: "none"}}); err == nil {
		t.Error("tasks and an order of classes are accepted together")
	}
	many := make([]string, 1000)
	for i := range many {
		many[i] = strings.Repeat("x", i%3+1) + strings.Repeat("y", i/3)
	}
	d.Classes = many
	if _, err := GivenTasks(d, [][]string{{"rose"}}); err == nil || !strings.Contains(err.Error(), "and 980 more") {
		t.Errorf("of 1,000 classes the error lists %v", err)
	}
	if name := taskName(many[:500]); len(name) > 300 || !strings.Contains(name, "(500 classes)") {
		t.Errorf("a task of 500 classes is named %q", name)
	}
}

func TestSizesText(t *testing.T) {
	for want, groups := range map[string][][]int{
		"3 tasks of 2, 1 and 4 classes": {{1, 2}, {3}, {4, 5, 6, 7}},
		"2 tasks of 2 classes":          {{1, 2}, {3, 4}},
		"1 task of 1 class":             {{1}},
		"22 tasks of 1 to 2 classes":    append(slices.Repeat([][]int{{1}}, 21), []int{1, 2}),
	} {
		if got := sizesText(groups); got != want {
			t.Errorf("%v: %q, want %q", groups, got, want)
		}
	}
}

// TestBlurred checks the definition: every training image arrives once, with its task or a neighbour; each class sends away
// round(share·n) of its images but never the last one, and halves them between two neighbours; nothing else changes.
func TestBlurred(t *testing.T) {
	d := numbered("a", 6, 1) // class c has 1+c training images
	plain, err := ClassIncremental(d, ClassIncrementalOptions{Tasks: [][]string{{"a5", "a0"}, {"a4"}, {"a3", "a2", "a1"}}, Prep: Prep{Method: "none"}})
	if err != nil {
		t.Fatal(err)
	}
	home := map[int]int{} // image to its task
	for i, task := range plain.Tasks {
		for _, id := range ids(task.Train) {
			home[id] = i
		}
	}
	for _, share := range []float64{0.1, 0.34, 0.5} {
		b, err := plain.Blurred(share, 7)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int]bool{}
		sent := map[int][2]int{} // class to images that arrive before and after its task
		for i, task := range b.Tasks {
			if err := task.Train.Validate(); err != nil {
				t.Fatal(err)
			}
			for k, id := range ids(task.Train) {
				if seen[id] {
					t.Fatalf("share %g: image %d arrives twice", share, id)
				}
				seen[id] = true
				c := int(task.Train.Labels[k])
				counts := sent[c]
				switch i - home[id] {
				case -1:
					counts[0]++
				case 1:
					counts[1]++
				case 0:
				default:
					t.Fatalf("share %g: an image of task %d arrives in task %d", share, home[id], i)
				}
				sent[c] = counts
			}
			if task.Val != plain.Tasks[i].Val || task.Test != plain.Tasks[i].Test || !slices.Equal(task.Classes, plain.Tasks[i].Classes) {
				t.Errorf("share %g: more than the training images of task %d changed", share, i)
			}
		}
		if len(seen) != len(home) {
			t.Errorf("share %g: %d of %d images arrive", share, len(seen), len(home))
		}
		for i, task := range plain.Tasks {
			for _, c := range task.Classes {
				n := c + 1
				moved := min(int(share*float64(n)+0.5), n-1)
				want := [2]int{0, moved}
				if i == 1 {
					want = [2]int{moved / 2, moved - moved/2}
				} else if i == 2 {
					want = [2]int{moved, 0}
				}
				if sent[c] != want {
					t.Errorf("share %g: of the %d images of class %d, %v arrive early and late, want %v", share, n, c, sent[c], want)
				}
			}
		}
	}
	one, _ := plain.Blurred(0.5, 7)
	again, _ := plain.Blurred(0.5, 7)
	other, _ := plain.Blurred(0.5, 8)
	a, _ := one.ContentHash()
	if b, _ := again.ContentHash(); a != b {
		t.Error("the same seed blurs borders in another way")
	}
	if b, _ := other.ContentHash(); a == b {
		t.Error("another seed blurs borders in the same way")
	}
	if same, err := plain.Blurred(0, 7); same != plain || err != nil {
		t.Error("a share of 0 changes the benchmark")
	}
	for _, share := range []float64{-0.1, 0.6} {
		if _, err := plain.Blurred(share, 0); err == nil {
			t.Errorf("a share of %g passes", share)
		}
	}
	alone := *plain
	alone.Tasks = alone.Tasks[:1]
	if _, err := alone.Blurred(0.2, 0); err == nil || !strings.Contains(err.Error(), "1 task") {
		t.Errorf("the borders of one task are blurred: %v", err)
	}
}

// TestOneImageClass: a class of one training image makes a task of its own; none of it is held out.
func TestOneImageClass(t *testing.T) {
	d := numbered("a", 3, 1) // class 0 has one image
	b, err := ClassIncremental(d, ClassIncrementalOptions{ClassesPerTask: 1, ValFraction: 0.4, Prep: Prep{Method: "none"}})
	if err != nil || b.Tasks[0].Train.N != 1 || b.Tasks[0].Val.N != 0 || b.Tasks[2].Val.N != 1 {
		t.Errorf("a class of one image: %v", err)
	}
	if _, err := DomainIncremental([]*Dataset{d, d}, DomainIncrementalOptions{ValFraction: 0.4, Prep: Prep{Method: "none"}}); err != nil {
		t.Errorf("a domain with a class of one image: %v", err)
	}
}

// TestPartThen: the classes of a set that follows become tasks too, with labels after those of the first set, all their images and no
// others; their names say of which set they are.
func TestPartThen(t *testing.T) {
	a, c := numbered("a", 3, 4), numbered("c", 4, 5)
	b, err := ClassIncremental(a, ClassIncrementalOptions{ClassesPerTask: 2, Then: []*Dataset{c}, PartThen: true, Prep: Prep{Method: "none"}})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]int{{0, 1}, {2}, {3, 4}, {5, 6}}
	if len(b.Tasks) != 4 || len(b.ClassNames) != 7 || b.Name != "a -> c, 4 tasks of 2, 1, 2 and 2 classes" || b.Tasks[3].Name != "c: c2 + c: c3" {
		t.Fatalf("%d tasks, %d classes, named %q and %q", len(b.Tasks), len(b.ClassNames), b.Name, b.Tasks[3].Name)
	}
	for i, task := range b.Tasks {
		if task.ID != i || !slices.Equal(task.Classes, want[i]) {
			t.Errorf("task %d (ID %d) has classes %v, want %v", i, task.ID, task.Classes, want[i])
		}
		from, offset := a, 0
		if i > 1 {
			from, offset = c, 3
		}
		var own []int
		for _, class := range want[i] {
			own = append(own, class-offset)
		}
		for _, part := range []struct{ of, from *Images }{{task.Train, from.Train}, {task.Test, from.Test}} {
			if all := ids(part.from.Select(part.from.IndicesOf(own...))); !slices.Equal(ids(part.of), all) {
				t.Errorf("task %d has images %v, want %v", i, ids(part.of), all)
			}
			if got := part.of.Present(); !slices.Equal(got, want[i]) {
				t.Errorf("task %d has images labelled %v, want %v", i, got, want[i])
			}
		}
	}
	// In an order drawn by the seed each set keeps its place, and both are in the order that they have alone.
	o := ClassIncrementalOptions{ClassesPerTask: 1, Order: "seeded", Seed: 3, Prep: Prep{Method: "none"}}
	alone, err := ClassIncremental(c, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Then, o.PartThen = []*Dataset{c}, true
	if b, err = ClassIncremental(a, o); err != nil {
		t.Fatal(err)
	}
	for i, task := range alone.Tasks {
		if got := b.Tasks[3+i].Classes; !slices.Equal(got, []int{3 + task.Classes[0]}) {
			t.Errorf("task %d has classes %v, alone they are %v", 3+i, got, task.Classes)
		}
	}
	for want, o := range map[string]ClassIncrementalOptions{
		"leave one of them out": {Tasks: [][]string{{"a0"}}},
		"are parted too":        {Order: "given", Given: []int{1}, ClassesPerTask: 1},
		"one size":              {ClassesPerTask: 1},
	} {
		next := c
		if want == "one size" {
			next = &Dataset{Name: "wide", Classes: []string{"w"}, Train: &Images{N: 1, H: 1, W: 9, C: 1, Pixels: make([]uint8, 9), Labels: []int32{0}}}
			next.Test = next.Train
		}
		o.Then, o.PartThen, o.Prep = []*Dataset{next}, true, Prep{Method: "none"}
		if _, err := ClassIncremental(a, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v gives %v, want %q", o, err, want)
		}
	}
}
