package metrics

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"gonum.org/v1/gonum/mat"

	"palimpsest/datasets"
)

// otherThirds is thirds under another name.
type otherThirds struct{ thirds }

func (*otherThirds) Identity() string { return "other weights" }

// storeTasks are two tasks with training images, some of them twice.
func storeTasks() []datasets.Task {
	tasks, rng := testTasks(), rand.New(rand.NewPCG(5, 6))
	for j := range tasks {
		tasks[j].Train = threeClasses(rng, 30, tasks[j].Classes...)
		copy(tasks[j].Train.Image(1), tasks[j].Train.Image(0))
	}
	return tasks
}

// measured is what an evaluator with the given store says of fixed samples, and how often the extractor ran before it saw any.
func measured(t *testing.T, tasks []datasets.Task, mirrored bool, store *FeatureStore, other bool) (all []any, calls int) {
	t.Helper()
	ext := new(otherThirds)
	var x Extractor = &ext.thirds
	if other {
		x = ext
	}
	e, err := NewEvaluator(x, tasks, EvaluatorOptions{Store: store, Mirrored: mirrored})
	if err != nil {
		t.Fatal(err)
	}
	buffer := tasks[0].Train.Select([]int{3, 4, 5})
	if _, err := e.openYardstick(); err != nil {
		t.Fatal(err)
	}
	calls = ext.calls
	samples := testTasks()
	for i := range tasks {
		copies, err := e.CopySets(i, buffer)
		if err != nil {
			t.Fatal(err)
		}
		tasks, union, err := e.Evaluate(i, []*Samples{samplesOf(samples[0].Test), samplesOf(samples[1].Test)}, copies)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tasks, union, e.copies.protocol, e.copies.train.features, e.copies.toTrain, e.copies.heldOut, e.tasks[i].features, e.tasks[i].labels)
	}
	return all, calls
}

// What is found in a store is what is computed without one, to the last bit, and nothing is computed for it.
func TestFeatureStoreFindsWhatIsComputed(t *testing.T) {
	for _, mirrored := range []bool{false, true} {
		want, always := measured(t, storeTasks(), mirrored, nil, false)
		store := NewFeatureStore(filepath.Join(t.TempDir(), "a", "features"), "program")
		for i, calls := range []int{always, 0, 0} {
			got, n := measured(t, storeTasks(), mirrored, store, false)
			if n != calls {
				t.Errorf("evaluator %d ran the extractor %d times before it saw samples, want %d", i, n, calls)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("evaluator %d says %+v; without a store %+v", i, got, want)
			}
		}
	}
}

// Other images, another network, other settings and other programs find nothing.
func TestFeatureStoreTellsApart(t *testing.T) {
	dir := t.TempDir()
	store := NewFeatureStore(dir, "program")
	_, always := measured(t, storeTasks(), false, store, false)
	pixel := func(of func(datasets.Task) *datasets.Images) []datasets.Task {
		tasks := storeTasks()
		of(tasks[1]).Image(7)[2] ^= 1
		return tasks
	}
	// Two calls for test images and one for training images; the held-out images, which are all test images here, were seen.
	for name, tc := range map[string]struct {
		tasks           []datasets.Task
		mirrored, other bool
		store           *FeatureStore
		calls           int
	}{
		"another test image":     {pixel(func(t datasets.Task) *datasets.Images { return t.Test }), false, false, store, 2},
		"another training image": {pixel(func(t datasets.Task) *datasets.Images { return t.Train }), false, false, store, 1},
		"another network":        {storeTasks(), false, true, store, always},
		"another program":        {storeTasks(), false, false, NewFeatureStore(dir, "another"), always},
		"mirrored":               {storeTasks(), true, false, store, always + 2},
	} {
		want, _ := measured(t, tc.tasks, tc.mirrored, nil, tc.other)
		got, calls := measured(t, tc.tasks, tc.mirrored, tc.store, tc.other)
		if calls != tc.calls || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the extractor ran %d times, want %d; numbers as without a store: %v", name, calls, tc.calls, reflect.DeepEqual(got, want))
		}
	}
}

// A damaged file is computed anew and replaced; a folder that cannot be made keeps nothing.
func TestFeatureStoreOutlivesDamage(t *testing.T) {
	dir := t.TempDir()
	store := NewFeatureStore(dir, "program")
	want, always := measured(t, storeTasks(), false, store, false)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 6 { // three of features, and a baseline of FLD for each task and for both
		t.Fatalf("%d files (%v), want 6", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		content[len(content)-1] ^= 1
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, calls := range []int{always, 0} {
		if got, n := measured(t, storeTasks(), false, store, false); n != calls || !reflect.DeepEqual(got, want) {
			t.Errorf("the extractor ran %d times, want %d; numbers as before: %v", n, calls, reflect.DeepEqual(got, want))
		}
	}
	below := NewFeatureStore(filepath.Join(files[0], "below a file"), "program")
	for range 2 {
		if got, n := measured(t, storeTasks(), false, below, false); n != always || !reflect.DeepEqual(got, want) {
			t.Errorf("without a folder the extractor ran %d times, want %d; numbers as before: %v", n, always, reflect.DeepEqual(got, want))
		}
	}
}

// Many evaluators may share a folder from the first moment.
func TestFeatureStoreForManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	want, _ := measured(t, storeTasks(), false, nil, false)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if got, _ := measured(t, storeTasks(), false, NewFeatureStore(dir, "program"), false); !reflect.DeepEqual(got, want) {
				t.Error("numbers differ from those without a store")
			}
		})
	}
	wait.Wait()
}

func TestMatricesAreKeptToTheLastBit(t *testing.T) {
	odd := []float64{0, math.Copysign(0, -1), math.Inf(1), math.NaN(), math.SmallestNonzeroFloat64, math.MaxFloat64, 1.0 / 3, -1}
	all := []*mat.Dense{mat.NewDense(2, 4, odd), nil, mat.NewDense(3, 1, []float64{0.5, float64(float32(0.1)), math.Copysign(0, -1)})}
	content := encodeMatrices(all)
	if want := 3*12 + 8*8 + 3*4; len(content) != want { // the last matrix holds float32 alone
		t.Errorf("%d bytes, want %d", len(content), want)
	}
	got, ok := decodeMatrices(content)
	if !ok || len(got) != 3 || got[1] != nil {
		t.Fatalf("read %v, %v", got, ok)
	}
	for k, m := range []*mat.Dense{all[0], nil, all[2]} {
		if m == nil {
			continue
		}
		rows, columns := m.Dims()
		for i := range rows {
			for j := range columns {
				if a, b := math.Float64bits(got[k].At(i, j)), math.Float64bits(m.At(i, j)); a != b {
					t.Errorf("matrix %d: value %d, %d has bits %x, want %x", k, i, j, a, b)
				}
			}
		}
	}
	for n := range len(content) {
		if part, ok := decodeMatrices(content[:n]); ok && len(part) == 3 {
			t.Errorf("all was read from the first %d bytes of %d", n, len(content))
		}
	}
	for name, head := range map[string][]byte{
		"width 5":     {1, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0},
		"too large":   {255, 255, 255, 255, 255, 255, 255, 255, 8, 0, 0, 0},
		"no columns":  {1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0},
		"cut short":   {1, 0, 0, 0},
		"not written": nil,
	} {
		if _, ok := decodeMatrices(head); ok {
			t.Errorf("%s was read", name)
		}
	}
}
