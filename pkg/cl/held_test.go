package cl_test

import (
	"slices"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
)

// scribbler writes over an image of the step, as nothing forbids.
type scribbler struct{ *cl.Finetune }

func (scribbler) BeforeStep(s *cl.Step) error {
	if s.Index%2 == 1 {
		s.Batch.X[1] = 0.5
	}
	return nil
}

// An image that a strategy has changed is trained on as it is then, also where the device holds what it was.
func TestChangedImagesAreSent(t *testing.T) {
	cltest.SameApart(t, func() cl.Strategy { return scribbler{new(cl.Finetune)} })
}

// Fresh and replayed rows are named by where they lie among the training images of all tasks; too many images are not held.
func TestHeldImages(t *testing.T) {
	bench, config := cltest.NewBenchmark(), cltest.Config()
	open := func() *cl.Loop {
		t.Helper()
		s := made(t, "er", map[string]any{"buffer": 11})
		l, err := cl.NewLoop(cltest.NewApartNetwork(t, rowsOf(s, config), s), bench, s, config, cl.Setup{Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		return l
	}
	var all []*datasets.Images
	total := 0
	for _, task := range bench.Tasks {
		all, total = append(all, task.Train), total+task.Train.N
	}
	l := open()
	if err := l.Strategy.EndTask(0, bench.Tasks[0].Train); err != nil {
		t.Fatal(err)
	}
	l.Position.Phase = 1
	s, err := cl.StepBatch(l)
	if err != nil {
		t.Fatal(err)
	}
	set, err := datasets.Concat(all...)
	if err != nil || l.HeldImages() != total {
		t.Fatalf("%d images are held, want %d (%v)", l.HeldImages(), total, err)
	}
	dim := set.ImageSize()
	image := make([]float32, dim)
	for row, at := range s.Batch.Held {
		if at < 0 {
			t.Errorf("row %d, an image of the benchmark, is not held", row)
			continue
		}
		datasets.Scale(image, set.Image(int(at)%total))
		if int(at) >= total {
			datasets.FlipRow(image, bench.H, bench.W, bench.C)
		}
		if !slices.Equal(image, s.Batch.X[row*dim:(row+1)*dim]) {
			t.Errorf("row %d is not image %d of those held", row, at)
		}
		if task := int(at) % total / bench.Tasks[0].Train.N; task != 1 && row < s.Fresh || task != 0 && row >= s.Fresh {
			t.Errorf("row %d is an image of task %d", row, task)
		}
	}
	defer cl.LowerHeldLimit(int64(total*dim) - 1)()
	few := open()
	if s, err = cl.StepBatch(few); err != nil || few.HeldImages() != 0 || s.Batch.Held != nil {
		t.Errorf("of more bytes than the limit, %d images are held, and rows named %v (%v)", few.HeldImages(), s.Batch.Held, err)
	}
}
