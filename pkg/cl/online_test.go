package cl_test

import (
	"testing"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
)

// arrivals notes what a stream without borders brings.
type arrivals struct {
	cl.Finetune
	steps  []cl.Step
	images []*datasets.Images
}

func (a *arrivals) Info() cl.Info { return cl.Info{Name: "arrivals", Borders: cl.UsesBorders} }

func (a *arrivals) BeforeStep(s *cl.Step) error {
	a.steps = append(a.steps, *s)
	return nil
}

func (a *arrivals) Arrive(images *datasets.Images) error {
	a.images = append(a.images, images)
	return nil
}

// online is a stream of three tasks of 6, 1 and 4 images.
func online() *datasets.Benchmark {
	b := cltest.NewBenchmark()
	b.Online = true
	for i, n := range []int{6, 1, 4} {
		b.Tasks[i].Train = b.Tasks[i].Train.Select([]int{0, 1, 2, 3, 4, 5}[:n])
	}
	return b
}

// TestOnlineByHand: 6, 1 and 4 images in batches of 4 are 3 steps, of which the first task ends with the second, which has the one
// image of the second task and one of the third as well, and the last has a row left over that weighs nothing.
func TestOnlineByHand(t *testing.T) {
	s, c := &arrivals{}, cltest.Config()
	c.ResetOptimizer, c.LabelDropout, c.ReplayRows = false, 0, 4
	b := online()
	b.Prep.Flip = false
	n := cltest.NewNetworkOf(t, 4)
	l, err := cl.NewLoop(n, b, s, c, cl.Setup{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if p := l.Plan(); l.TotalSteps() != 3 || p.Before(1) != 2 || p.Before(2) != 2 || p.Before(3) != 3 {
		t.Fatalf("%d steps, by phase %v", l.TotalSteps(), p.Steps)
	}
	for !l.Done() {
		if l.PhaseDone() {
			err = l.EndPhase(t.Context())
		} else {
			_, err = l.Step()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for i, want := range [][2]int{{4, 4}, {4, 4}, {3, 4}} {
		im, batch := s.images[i], s.steps[i].Batch
		if im.N != want[0] || len(batch.T) != want[1] || s.steps[i].Task != 0 || s.steps[i].Index != i {
			t.Fatalf("step %d of task %d, number %d: %d images in %d rows", i, s.steps[i].Task, s.steps[i].Index, im.N, len(batch.T))
		}
		var sum float32
		for row, weight := range batch.W {
			sum += weight
			if (weight == 0) != (row >= im.N) {
				t.Errorf("row %d of step %d weighs %g", row, i, weight)
			}
		}
		if sum < 0.999 || sum > 1.001 {
			t.Errorf("the rows of step %d weigh %g together", i, sum)
		}
		for k := range im.N {
			if image := string(im.Image(k)); seen[image] {
				t.Errorf("step %d brings an image again", i)
			} else {
				seen[image] = true
			}
			row := make([]float32, im.ImageSize())
			datasets.Scale(row, im.Image(k))
			for j, v := range row {
				if batch.X[k*len(row)+j] != v {
					t.Fatalf("row %d of step %d is not the image that arrives with it", k, i)
				}
			}
		}
	}
	for _, task := range b.Tasks {
		for k := range task.Train.N {
			if !seen[string(task.Train.Image(k))] {
				t.Errorf("image %d of %s never came", k, task.Name)
			}
		}
	}
}

// TestOnlineRefuses: what counts tasks is refused before training, by an error of its own type.
func TestOnlineRefuses(t *testing.T) {
	setup := cl.SetupOf(online(), cltest.Config(), noiseProcess(t))
	for _, tc := range []struct {
		name     string
		settings map[string]any
		refused  bool
	}{
		{"finetune", nil, false}, {"joint", nil, false}, {"er", nil, false}, {"er", map[string]any{"schedule": cl.ScheduleComplement}, true},
		{"er", map[string]any{"schedule": cl.ScheduleShare}, true}, {"mir", nil, false}, {"agem", nil, false}, {"ewc", nil, true},
		{"cumulative", nil, true}, {"er+ewc_rank1", nil, true}, {"er+agem", nil, false}, {"lora", nil, true}, {"gdumb", nil, true},
	} {
		var missing *cl.BordersMissing
		err := cl.Check(made(t, tc.name, tc.settings), setup)
		if errors.As(err, &missing) != tc.refused || !tc.refused && err != nil {
			t.Errorf("%s %v: %v", tc.name, tc.settings, err)
		}
	}
	b := online()
	if _, err := cl.NewLoop(cltest.NewNetworkOf(t, 4), b, &cl.Finetune{}, cltest.Config(), cl.Setup{}); err == nil {
		t.Error("an optimiser that starts anew at each task is accepted in a stream that has none")
	}
}
