package datasets

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/words"
)

// Validate returns an error unless the benchmark can be trained on: it has a task or more; the training images of every task, and its
// validation and test images where they are not nil, are valid, H×W×C, and labelled by numbers of ClassNames; and so are the classes of
// the task.
func (b *Benchmark) Validate() error {
	if b == nil || len(b.Tasks) == 0 {
		return errors.New("a benchmark without tasks; make one with datasets.ClassIncremental or datasets.DomainIncremental")
	}
	for i, t := range b.Tasks {
		for _, part := range []struct {
			name string
			*Images
		}{{"training", t.Train}, {"validation", t.Val}, {"test", t.Test}} {
			if part.Images == nil && part.name != "training" {
				continue
			}
			what := fmt.Sprintf("%s images of %s (%s)", part.name, words.Task(i), t.Name)
			if err := part.fit(what, &Images{H: b.H, W: b.W, C: b.C}, "those of the benchmark", len(b.ClassNames)); err != nil {
				return err
			}
		}
		if k := slices.IndexFunc(t.Classes, func(class int) bool { return class < 0 || class >= len(b.ClassNames) }); k >= 0 {
			return errors.Errorf("%s (%s) has the class %d, and the benchmark %d classes; need a name for each (ClassNames)",
				words.Task(i), t.Name, t.Classes[k], len(b.ClassNames))
		}
	}
	return nil
}

// Task is one step of a benchmark: the classes that arrive and their images. Tasks may be of unequal size, in classes as in images.
type Task struct {
	// ID counts from 0; Name is for readers.
	ID   int
	Name string
	// Classes are the labels that this task brings, in the order of the benchmark: those of Val and Test and, unless borders
	// are blurred ([Benchmark.Blurred]), of Train.
	Classes []int
	// Train is what a model learns from; Val is held out of the training split for every
	// choice (N == 0 if nothing is held out); Test is the official test split's part,
	// for the final measurement only.
	Train, Val, Test *Images
}

// Benchmark is a sequence of tasks over images of one size. Images are prepared already.
type Benchmark struct {
	Name  string
	Tasks []Task
	// ClassNames names every label of the benchmark.
	ClassNames []string
	// Prep made the images; its Flip is for whoever makes batches.
	Prep    Prep
	H, W, C int
	// DataHash names the data: the Hash of the set, or of the sets joined by "+".
	DataHash string
	// Online says that each training image is shown once, in a single stream in which nothing tells where one task ends
	// and the next begins. Measurements are still made after each task.
	Online bool
	// Skipped lists the pictures that were left out because they cannot be read (see [Prep.SkipBroken]), each as the name of its
	// set, a slash, and the file.
	Skipped []Broken
}

// skip notes the pictures of a set that were left out.
func (b *Benchmark) skip(d *Dataset) {
	for _, s := range d.Skipped {
		b.Skipped = append(b.Skipped, Broken{d.Name + "/" + filepath.ToSlash(s.File), s.Why})
	}
}

// ClassIncrementalOptions say how the classes of one set become tasks.
type ClassIncrementalOptions struct {
	// ClassesPerTask is how many classes arrive with each task, at least 1. The last task
	// takes what remains, which may be fewer.
	ClassesPerTask int
	// Order of the classes: "natural" (the default, also ""), "seeded", or "given".
	Order string
	// Given lists labels for the order "given". A part of the classes is allowed: the
	// others then do not occur. It must be empty for the other orders.
	Given []int
	// Tasks lists the names of each task's classes, see [GivenTasks]. It takes the place of the three settings above.
	Tasks [][]string
	// Then are further sets, whose labels follow those of the tasks before them. Each becomes one more task, or, with PartThen, its
	// classes become tasks as those of the first set do, by ClassesPerTask and Order, which must not be "given".
	Then     []*Dataset
	PartThen bool
	// Seed of the order "seeded" and of the held-out images.
	Seed uint64
	// ValFraction of each class's training images is held out (see HoldOut); 0 for none.
	ValFraction float64
	// Prep is applied to all images.
	Prep Prep
}

// ClassIncremental splits a set into tasks by class. Labels stay the set's own. The
// training images of a task are in the set's order: shuffle them when batches are made.
// It returns an error if the set, once prepared, is not valid ([Dataset.Validate]).
func ClassIncremental(d *Dataset, o ClassIncrementalOptions) (*Benchmark, error) {
	if o.PartThen && (o.Tasks != nil || o.Order == "given") {
		return nil, errors.New("the classes of tasks are given, by name or label, and those of the sets that follow are parted too; leave one of them out")
	}
	groups, split, err := o.groups(d)
	if err != nil {
		return nil, err
	}
	if d, err = d.Prepared(o.Prep); err != nil {
		return nil, err
	}
	train, val, test, err := parts(d, o.ValFraction, o.Seed)
	if err != nil {
		return nil, err
	}
	b := &Benchmark{ClassNames: slices.Clone(d.Classes), Prep: o.Prep.normal(), H: train.H, W: train.W, C: train.C, DataHash: d.Hash}
	b.skip(d)
	// Of a class of one training image none is held out.
	if err := d.lacking(slices.Concat(groups...), train.CountPerClass(len(d.Classes)), test.CountPerClass(len(d.Classes)), leaveOut); err != nil {
		return nil, err
	}
	b.part(groups, 0, train, val, test)
	title := d.Name
	all := groups
	for i, next := range o.Then {
		if err := next.named(); err != nil {
			return nil, errors.WithMessagef(err, "set %d of those that follow", i)
		}
		if o.PartThen {
			groups, err := b.followInParts(next, d.Name, o)
			if err != nil {
				return nil, err
			}
			all = append(all, groups...)
		} else if err := b.follow(next, d.Name, DomainIncrementalOptions{Seed: o.Seed, ValFraction: o.ValFraction, Prep: o.Prep}); err != nil {
			return nil, err
		}
		title, b.DataHash = title+" -> "+next.Name, b.DataHash+"+"+next.Hash
	}
	b.Name = title + ", " + split
	if n := len(o.Then); n > 0 && o.PartThen {
		b.Name = title + ", " + sizesText(all)
	} else if n > 0 {
		b.Name += " and " + words.Count(n, "set")
	}
	return b, nil
}

// part appends a task for each group of classes, labels of images whose labels in the benchmark are offset more.
func (b *Benchmark) part(groups [][]int, offset int, train, val, test *Images) {
	// Once for all tasks, of which there may be thousands.
	trainOf, valOf, testOf := byLabel(train.Labels), byLabel(val.Labels), byLabel(test.Labels)
	for _, group := range groups {
		classes := make([]int, len(group))
		for k, c := range group {
			classes[k] = offset + c
		}
		t := Task{ID: len(b.Tasks), Classes: classes, Name: taskName(names(b.ClassNames, classes))}
		for _, part := range []struct {
			to   **Images
			from *Images
			of   map[int32][]int
		}{{&t.Train, train, trainOf}, {&t.Val, val, valOf}, {&t.Test, test, testOf}} {
			var chosen []int
			for _, c := range group {
				chosen = append(chosen, part.of[int32(c)]...)
			}
			slices.Sort(chosen)
			*part.to = part.from.Select(chosen)
			if offset > 0 {
				*part.to = relabel(*part.to, offset)
			}
		}
		b.Tasks = append(b.Tasks, t)
	}
}

// followInParts appends the classes of a set as tasks; first is the name of the first set.
func (b *Benchmark) followInParts(d *Dataset, first string, o ClassIncrementalOptions) ([][]int, error) {
	groups, _, err := o.groups(d)
	if err != nil {
		return nil, err
	}
	d, train, val, test, err := b.fitting(d, first, o.Prep, o.ValFraction, o.Seed)
	if err != nil {
		return nil, err
	}
	n := len(d.Classes)
	if err := d.lacking(slices.Concat(groups...), train.CountPerClass(n), test.CountPerClass(n), "take the class out of the set"); err != nil {
		return nil, err
	}
	offset := len(b.ClassNames)
	b.nameClasses(d)
	if err := b.mostClasses(d); err != nil {
		return nil, err
	}
	b.part(groups, offset, train, val, test)
	return groups, nil
}

// CheckClassIncremental returns an error if [ClassIncremental] cannot make tasks of the set that ref names: because the set lacks a class,
// or, for a set of the user's own, because a class has too few images. It loads no images. A set of the user's own is read first if it was
// never read before.
func CheckClassIncremental(ref string, o ClassIncrementalOptions) error {
	info, err := Describe(ref)
	if err != nil {
		return err
	}
	d := &Dataset{Name: info.Name, Classes: info.Classes}
	if info.Own {
		if d, err = Open(ref); err != nil {
			return err
		}
	}
	groups, _, err := o.groups(d)
	if err != nil || !info.Own {
		return err
	}
	return d.lacking(slices.Concat(groups...), info.TrainOf, info.TestOf, leaveOut)
}

// groups are the classes of each task, and split says how many of each there are.
func (o ClassIncrementalOptions) groups(d *Dataset) (groups [][]int, split string, err error) {
	if err := d.named(); err != nil {
		return nil, "", err
	}
	if o.Tasks != nil {
		if o.Order != "" && o.Order != "natural" || len(o.Given) > 0 {
			return nil, "", errors.Errorf("benchmark.tasks lists the classes of each task, and there is an order of classes too (%q, %v); leave one of them out", o.Order, o.Given)
		}
		if groups, err = GivenTasks(d, o.Tasks); err != nil {
			return nil, "", errors.WithMessage(err, "benchmark.tasks")
		}
		return groups, sizesText(groups), nil
	}
	order, err := classOrder(len(d.Classes), o)
	if err != nil {
		return nil, "", err
	}
	if o.ClassesPerTask < 1 {
		return nil, "", errors.Errorf("%d classes a task (benchmark.classes_per_task); need 1 to %d", o.ClassesPerTask, len(order))
	}
	for classes := range slices.Chunk(order, o.ClassesPerTask) {
		groups = append(groups, slices.Clone(classes))
	}
	return groups, splitText(len(order), o.ClassesPerTask), nil
}

// splitText says how so many classes are split into tasks of at most size each: "5 tasks of 2 classes", "4 tasks: 3 of 3 classes
// and a last one of 1 class".
func splitText(classes, size int) string {
	of := func(n int) string {
		if n == 1 {
			return "1 class"
		}
		return fmt.Sprintf("%d classes", n)
	}
	full, rest := classes/size, classes%size
	switch {
	case rest == 0:
		return words.Count(full, "task") + " of " + of(size)
	case full == 0:
		return "1 task of " + of(rest)
	}
	return fmt.Sprintf("%s: %d of %s and a last one of %s", words.Count(full+1, "task"), full, of(size), of(rest))
}

// classOrder is the order in which n classes arrive.
func classOrder(n int, o ClassIncrementalOptions) ([]int, error) {
	if o.Order != "given" && len(o.Given) > 0 {
		return nil, errors.Errorf("classes %v are given (benchmark.classes), but the order is %q; set benchmark.class_order to \"given\"", o.Given, o.Order)
	}
	switch o.Order {
	case "", "natural":
		return upTo(n), nil
	case "seeded":
		return permutation(n, o.Seed, streamClassOrder, 0), nil
	case "given":
		if len(o.Given) == 0 {
			return nil, errors.New("benchmark.class_order is \"given\" but no classes are; list their numbers in benchmark.classes")
		}
		seen := make([]bool, n)
		for i, c := range o.Given {
			if c < 0 || c >= n {
				return nil, errors.Errorf("benchmark.classes: class %d at place %d; the set has 0 to %d: name some of these, or take all by benchmark.classes=[] with benchmark.class_order=natural (`search` takes the first six unless told otherwise)", c, i+1, n-1)
			}
			if seen[c] {
				return nil, errors.Errorf("benchmark.classes: class %d occurs twice in %v; need each once at most", c, o.Given)
			}
			seen[c] = true
		}
		return slices.Clone(o.Given), nil
	}
	return nil, errors.Errorf("benchmark.class_order is %.100q; need \"natural\", \"seeded\" or \"given\"", o.Order)
}

// parts holds out validation images from the training split of a prepared set, which has to be valid, unless the set has
// a validation split. It never takes them from the test split.
func parts(d *Dataset, fraction float64, seed uint64) (train, val, test *Images, err error) {
	if err := d.Validate(); err != nil {
		return nil, nil, nil, err
	}
	if d.Val != nil {
		return d.Train, d.Val, d.Test, nil
	}
	rest, held, err := HoldOut(d.Train.Labels, fraction, seed)
	if err != nil {
		return nil, nil, nil, err
	}
	return d.Train.Select(rest), d.Train.Select(held), d.Test, nil
}

// upTo lists 0 to n-1.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func names(all []string, of []int) []string {
	out := make([]string, len(of))
	for i, c := range of {
		out[i] = all[c]
	}
	return out
}
