package cl_test

import (
	"math"
	"strings"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/diffusion"
)

// scheduled is replay at λ = 0.6 with a schedule and a buffer.
func scheduled(schedule string, buffer int) *cl.ER {
	er := cl.NewER()
	er.Lambda, er.Schedule, er.Buffer = 0.6, schedule, buffer
	return er
}

// TestSchedules: weights of fresh and replay rows in each of three tasks of 24 images, by hand. Rows are 4 and 4, and
// weights are float32: two roundings.
func TestSchedules(t *testing.T) {
	for _, tc := range []struct {
		schedule      string
		buffer        int
		fresh, replay [3]float64 // sums over rows
	}{
		{"", 11, [3]float64{1, 1, 1}, [3]float64{0, 0.6, 0.6}},
		{cl.ScheduleConstant, 11, [3]float64{1, 1, 1}, [3]float64{0, 0.6, 0.6}},
		{cl.ScheduleInverse, 11, [3]float64{1, 1, 1}, [3]float64{0, 0.3, 0.2}},
		{cl.ScheduleComplement, 11, [3]float64{1, 0.5, 1. / 3}, [3]float64{0, 0.3, 0.4}},
		{cl.ScheduleShare, 12, [3]float64{1, 1, 1}, [3]float64{0, 0.2, 0.2}},  // 12 of 12+24
		{cl.ScheduleShare, 200, [3]float64{1, 1, 1}, [3]float64{0, 0.3, 0.4}}, // 24 of 48, 48 of 72
	} {
		b, c := plain()
		for _, s := range run(t, scheduled(tc.schedule, tc.buffer), b, c, 2).steps {
			for i, w := range s.Batch.W {
				want := tc.replay[s.Task] / 4
				if i < s.Fresh {
					want = tc.fresh[s.Task] / 4
				}
				if math.Abs(float64(w)-want) > want*2e-7 {
					t.Fatalf("schedule %q, buffer %d: in task %d row %d weighs %g; want %g", tc.schedule, tc.buffer, s.Task, i, w, want)
				}
			}
		}
	}
}

// TestAdaptiveFollowsLosses: in a whole run the weight of each step's replay rows is λ/rows times the ratio of the mean
// losses before it, each earlier step of the same task counting 0.95 times the next; here written as plain sums.
func TestAdaptiveFollowsLosses(t *testing.T) {
	b, c := plain()
	c.StepsPerTask = 8
	k := run(t, scheduled(cl.ScheduleAdaptive, 11), b, c, 2)
	moved := false
	for i, s := range k.steps {
		want := 0.0
		if s.Task > 0 {
			var fresh, replay float64
			for j := i - s.Index; j < i; j++ {
				age := math.Pow(0.95, float64(i-j))
				for row, loss := range k.losses[j] {
					if row < 4 {
						fresh += age * float64(loss)
					} else {
						replay += age * float64(loss)
					}
				}
			}
			want = 0.6 / 4
			if s.Index > 0 {
				want *= replay / fresh
				moved = moved || math.Abs(replay/fresh-1) > 0.01
			}
		}
		for row, w := range s.Batch.W {
			if row < 4 && w != 0.25 || row >= 4 && math.Abs(float64(w)-want) > 1e-5*want {
				t.Fatalf("step %d of task %d: row %d weighs %g; want 0.25 if fresh, else %g", s.Index, s.Task, row, w, want)
			}
		}
	}
	if !moved {
		t.Error("the ratio never left 1")
	}
}

// TestAdaptiveByHand: with constant losses the ratio is theirs at once, whatever the weights of the rows, within 1/10 and
// 10; a step that diverged and an ended task leave no trace.
func TestAdaptiveByHand(t *testing.T) {
	b, c := plain()
	inf, nan := math.Inf(1), math.NaN()
	for _, tc := range []struct {
		fresh, replay, want float64
	}{{2, 1, 0.5}, {2, 3, 1.5}, {1, 100, 10}, {100, 1, 0.1}, {0, 1, 10}, {1, 0, 0.1}, {0, 0, 1}, {nan, 1, 1}, {1, inf, 1}} {
		er := scheduled(cl.ScheduleAdaptive, 11)
		l, err := cl.NewLoop(cltest.NewNetwork(t), b, er, c, cl.Setup{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := er.EndTask(0, b.Tasks[0].Train); err != nil {
			t.Fatal(err)
		}
		l.Position.Phase = 1
		f, r := float32(tc.fresh), float32(tc.replay)
		for step := range 4 {
			s, err := cl.StepBatch(l)
			if err != nil {
				t.Fatal(err)
			}
			want := 0.6 / 4
			if step > 0 {
				want *= tc.want
			}
			if got := float64(s.Batch.W[7]); math.Abs(got-want) > 1e-5*want {
				t.Errorf("losses %g and %g, step %d: replay rows weigh %g, want %g", tc.fresh, tc.replay, step, got, want)
			}
			// As importance sampling would leave weights: two rows of each kind with half the weight, two with 3/2.
			for i := range s.Batch.W {
				s.Batch.W[i] *= 0.5 + float32(i%2)
			}
			if err := er.AfterStep(s, diffusion.StepResult{Rows: []float32{f, f, f, f, r, r, r, r}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := er.EndTask(1, b.Tasks[1].Train); err != nil {
			t.Fatal(err)
		}
		l.Position.Phase = 2
		if s, err := cl.StepBatch(l); err != nil || s.Batch.W[7] != float32(0.6/4) {
			t.Errorf("losses %g and %g: the ratio outlives its task (%v)", tc.fresh, tc.replay, err)
		}
	}
}

func TestScheduleSettings(t *testing.T) {
	for schedule, want := range map[string]string{"": "er λ=1", "constant": "er λ=1", "1/k": "er λ=1 schedule=1/k", "1-1/k": "er λ=1 schedule=1-1/k",
		"share": "er λ=1 schedule=share", "adaptive": "er λ=1 schedule=adaptive"} {
		s, err := cl.New(cl.Spec{Name: "er", Settings: map[string]any{"schedule": schedule}})
		if err != nil || s.Label() != want {
			t.Errorf("schedule %q: %v, %v; want label %q", schedule, s, err, want)
		}
	}
	for _, tc := range []struct {
		settings map[string]any
		want     string
	}{
		{map[string]any{"schedule": "1/t"}, `did you mean "1/k"?`},
		{map[string]any{"schedule": "adaptive", "timesteps": "low:0.5"}, "leave timesteps uniform"},
		{map[string]any{"schedule": "adaptive", "timestep_weights": []float64{1, 2}}, "leave timesteps uniform"},
	} {
		if _, err := cl.New(cl.Spec{Name: "er", Settings: tc.settings}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: the error is %v, want it to say %q", tc.settings, err, tc.want)
		}
	}
}

// TestScheduledERConforms: every schedule that promises it is fine-tuning at weight 0. The complement is not: it halves
// the second task's loss and says so.
func TestScheduledERConforms(t *testing.T) {
	for _, schedule := range []string{cl.ScheduleInverse, cl.ScheduleComplement, cl.ScheduleShare, cl.ScheduleAdaptive} {
		t.Run(strings.ReplaceAll(schedule, "/", " by "), func(t *testing.T) {
			o := cltest.Options{MaxImages: 11}
			if schedule != cl.ScheduleComplement {
				o.ZeroWeight = func() cl.Strategy {
					er := scheduled(schedule, 11)
					er.Lambda = 0
					return er
				}
			}
			cltest.Conform(t, func() cl.Strategy { return scheduled(schedule, 11) }, o)
		})
	}
}
