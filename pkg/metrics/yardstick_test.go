package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"palimpsest/datasets"
)

// greys makes 2×2 images of one grey level each.
func greys(class int32, levels ...uint8) *datasets.Images {
	im := &datasets.Images{N: len(levels), H: 2, W: 2, C: 1}
	for _, v := range levels {
		im.Pixels, im.Labels = append(im.Pixels, v, v, v, v), append(im.Labels, class)
	}
	return im
}

func TestYardstickByHand(t *testing.T) {
	// Training images at 0 and at 250; held-out ones at distances of 5, 6, ... 104 levels from the former, those from 55 on
	// in the second task too: 150, of which a hundredth is more than one, so what is at most 6 levels away is a copy.
	var test []uint8
	for d := range 100 {
		test = append(test, uint8(5+d))
	}
	tasks := []datasets.Task{
		{Classes: []int{0}, Train: greys(0, 0), Test: greys(0, test...)},
		{Classes: []int{2}, Train: greys(2, 250), Test: greys(2, test[50:]...)},
	}
	e, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	y, err := e.openYardstick()
	if err != nil {
		t.Fatal(err)
	}
	p := y.protocol
	near(t, "threshold", p.PixelThreshold, 6, 1e-6)
	// thirds has two features, the first two pixels: √2 times as far as a level is in [-1, 1].
	near(t, "threshold of features", *p.FeatureThreshold, math.Sqrt2*6/127.5, 1e-6)
	if p.HeldOut != 150 || p.Train != 2 || p.Mirrored || p.Quantile != 0.01 {
		t.Errorf("%+v", p)
	}
	// After task 0 a sample at 250 copies nothing that training has shown; after task 1 it does. What the strategy
	// stores does not move the bar.
	samples := samplesOf(greys(0, 0, 3, 6, 7, 250, 252, 100, 120, 140, 160))
	judged, err := e.Judge(*samples)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range []float64{0.3, 0.5} {
		for _, buffer := range []*datasets.Images{nil, greys(0, 120), greys(0, 30, 50, 70, 90, 120, 200)} {
			sets, err := e.CopySets(after, buffer)
			if err != nil {
				t.Fatal(err)
			}
			_, _, copies, err := e.copyShares(0, judged, sets, nil)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "train copies", *copies.Train.Pixels, want, 1e-12)
			near(t, "train copies by features", *copies.Train.Features, want, 1e-12)
			near(t, "real copies", *copies.Train.RealPixels, 0.02, 1e-12) // those at 5 and 6 of 100
			near(t, "real copies by features", *copies.Train.RealFeatures, 0.02, 1e-12)
			if (copies.Buffer != nil) != (buffer != nil) {
				t.Fatalf("copies of a buffer: %v", copies.Buffer)
			}
			if buffer != nil {
				near(t, "buffer copies", *copies.Buffer.Pixels, 0.1, 1e-12) // the one at 120
			}
		}
	}
}

func TestYardstickIsOfTheDataAlone(t *testing.T) {
	// As many of the held-out images as the quantile says are copies of the whole training set.
	rng := rand.New(rand.NewPCG(2, 3))
	var tasks []datasets.Task
	for j := range 3 {
		tasks = append(tasks, datasets.Task{ID: j, Classes: []int{j}, Train: threeClasses(rng, 300, j), Test: threeClasses(rng, 400, j)})
	}
	e, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sets, err := e.CopySets(2, nil)
	if err != nil {
		t.Fatal(err)
	}
	pixels, features := 0.0, 0.0
	for j, r := range sets.realTrain {
		n := float64(len(e.copies.heldOut[j].pixels) / 4)
		pixels, features = pixels+*r.RealPixels*n, features+*r.RealFeatures*n
	}
	if e.copies.protocol.HeldOut != copyHeldOut {
		t.Errorf("%d of 1200 images held out, want %d", e.copies.protocol.HeldOut, copyHeldOut)
	}
	// More than ten where distances are equal, as whole levels often are.
	if pixels < 10-1e-9 || pixels > 30 || features < 10-1e-9 || features > 40 {
		t.Errorf("%g and %g held-out images are copies, want some ten of a thousand", pixels, features)
	}
	if _, err := e.CopySets(3, nil); err == nil {
		t.Error("after task 3 of 3 gave no error")
	}
	if _, err := e.CopySets(0, &datasets.Images{N: 1, H: 1, W: 1, C: 1, Pixels: []uint8{1}, Labels: []int32{0}}); err == nil {
		t.Error("a buffer of other images gave no error")
	}
}

func TestMirroredCopies(t *testing.T) {
	// The sample is the first image mirrored: a copy only where training mirrors.
	left, other := []float32{-1, 1, -0.5, 0.5}, []float32{1, 1, 1, -1}
	right := []float32{1, -1, 0.5, -0.5}
	plain, err := newImageSet(slices.Concat(left, other), 1, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	both, err := NewMirroredSet(slices.Concat(left, other), 2, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		set  *ImageSet
		copy bool
	}{{plain, false}, {both, true}} {
		nb, err := tc.set.Nearest(right)
		if err != nil {
			t.Fatal(err)
		}
		if nb[0].Copy(DefaultCopyRatio) != tc.copy || tc.copy && (nb[0].D1 != 0 || nb[0].Index != 0) {
			t.Errorf("%+v, copy %v; want %v", nb[0], nb[0].Copy(DefaultCopyRatio), tc.copy)
		}
	}
	// Through the evaluator, both criteria, pixels and features.
	rng := rand.New(rand.NewPCG(21, 2))
	task := datasets.Task{Classes: []int{0}, Train: threeClasses(rng, 200, 0), Test: threeClasses(rng, 200, 0)}
	flipped := samplesOf(task.Train)
	flipped.Images = mirrored(flipped.Images, 2, 2, 1)
	for _, mirror := range []bool{false, true} {
		e, err := NewEvaluator(new(thirds), []datasets.Task{task}, EvaluatorOptions{Mirrored: mirror})
		if err != nil {
			t.Fatal(err)
		}
		sets, err := e.CopySets(0, task.Train.Select([]int{0, 1}))
		if err != nil {
			t.Fatal(err)
		}
		judged, err := e.Judge(*flipped)
		if err != nil {
			t.Fatal(err)
		}
		m, err := e.Task(0, judged, sets)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{"ratio": *m.MemorisedTrain, "pixels": *m.Copies.Train.Pixels, "features": *m.Copies.Train.Features}
		for name, v := range got {
			if mirror && v != 1 || !mirror && v > 0.5 {
				t.Errorf("mirrored %v: %s says that %g are copies", mirror, name, v)
			}
		}
		if mirror && *m.Copies.Buffer.Pixels < 0.01-1e-12 {
			t.Errorf("two of 200 are mirrored images of the buffer, found %g", *m.Copies.Buffer.Pixels)
		}
		if e.copies.protocol.Mirrored != mirror {
			t.Errorf("the protocol says mirrored %v", !mirror)
		}
	}
}

func TestMirroredSetEqualsExhaustiveSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	const h, w, size, n, m = 2, 3, 6, 60, 40
	images, samples := make([]float32, m*size), make([]float32, n*size)
	for _, s := range [][]float32{images, samples} {
		for i := range s {
			s[i] = 2*rng.Float32() - 1
		}
	}
	set, err := NewMirroredSet(images, h, w, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := set.Nearest(samples)
	if err != nil {
		t.Fatal(err)
	}
	other := mirrored(samples, h, w, 1)
	for i, nb := range got {
		want := noPair()
		for j := range m {
			one := images[j*size : (j+1)*size]
			a, b := exhaustive(samples[i*size:(i+1)*size], one, size).D1, exhaustive(other[i*size:(i+1)*size], one, size).D1
			want.add(j, min(a, b))
		}
		if nb != (Neighbour{want.row[0], want.distance[0], want.distance[1]}) {
			t.Fatalf("sample %d: %+v, want %+v", i, nb, want)
		}
	}
	// The images of a stretch are those of a set made of them alone.
	part, err := NewMirroredSet(images[10*size:25*size], h, w, 1)
	if err != nil {
		t.Fatal(err)
	}
	a, b := part.nearest(samples), set.between(10, 25).nearest(samples)
	for i := range a {
		a[i].Index += 10
		if a[i] != b[i] {
			t.Fatalf("sample %d: %+v, want %+v", i, b[i], a[i])
		}
	}
}

func TestCollapse(t *testing.T) {
	tasks := testTasks()
	e, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// A diverged model: the upper end of the range throughout. A healthy one: test images.
	white := &Samples{Images: slices.Repeat([]float32{7}, 4*20)}
	for range 20 {
		white.Labels = append(white.Labels, 2)
	}
	healthy := samplesOf(tasks[0].Test)
	got, union, err := e.Evaluate(1, []*Samples{healthy, white}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *got[1].ClippedPixels != 1 || *got[1].IdenticalSamples != 1 {
		t.Errorf("white images: %g clipped, %g identical", *got[1].ClippedPixels, *got[1].IdenticalSamples)
	}
	if *got[0].IdenticalSamples != 0 || *got[0].ClippedPixels != *got[0].RealClippedPixels {
		t.Errorf("test images: %g identical, %g clipped where real ones have %g", *got[0].IdenticalSamples, *got[0].ClippedPixels, *got[0].RealClippedPixels)
	}
	near(t, "identical", *union.IdenticalSamples, 1.0/3, 1e-12)
	near(t, "clipped", *union.ClippedPixels, (2**got[0].ClippedPixels+1)/3, 1e-12)
	near(t, "real clipped", *union.RealClippedPixels, (2**got[0].RealClippedPixels+*got[1].RealClippedPixels)/3, 1e-12)
}

// TestSearched: of more training images than are searched each task has its share, evenly chosen, in order; of fewer all are.
func TestSearched(t *testing.T) {
	numbered := func(n int) *datasets.Images {
		im := &datasets.Images{N: n, H: 1, W: 1, C: 1, Pixels: make([]uint8, n), Labels: make([]int32, n)}
		for i := range n {
			im.Pixels[i] = uint8(i)
		}
		return im
	}
	tasks := []*datasets.Images{numbered(40), numbered(20), numbered(1)}
	if got := searched(tasks, 61); &got[0] != &tasks[0] {
		t.Error("all could be searched and are not")
	}
	got := searched(tasks, 12)
	for j, want := range [][]uint8{{0, 5, 11, 17, 22, 28, 34}, {0, 6, 13}, {0}} {
		if !slices.Equal(got[j].Flat(), want) {
			t.Errorf("of task %d: %v, want %v", j, got[j].Flat(), want)
		}
	}
}
