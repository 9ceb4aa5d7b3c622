package cl_test

import (
	"math"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/memory"
)

// TestERWeights: fresh rows weigh 1/Fresh each, replay rows λ/Replay once there is a memory and 0 before, so that the
// weighted sum of losses is mean(fresh) + λ·mean(replay).
func TestERWeights(t *testing.T) {
	b, c := plain()
	c.FreshRows, c.ReplayRows = 5, 3
	er := cl.NewER()
	er.Lambda = 0.3
	l, err := cl.NewLoop(cltest.NewNetwork(t), b, er, c, cl.Setup{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{Strategy: er}
	l.Strategy = k
	for range 2 {
		for !l.PhaseDone() {
			res, err := l.Step()
			if err != nil {
				t.Fatal(err)
			}
			s, want := k.steps[len(k.steps)-1], float32(0)
			if s.Task > 0 {
				want = 0.1 // 0.3/3
			}
			fresh, replay := 0.0, 0.0
			for i, w := range s.Batch.W {
				if i < 5 && w != 0.2 || i >= 5 && w != want {
					t.Fatalf("task %d: row %d weighs %g, want 0.2 if fresh, else %g", s.Task, i, w, want)
				}
				if i < 5 {
					fresh += float64(res.Rows[i]) / 5
				} else if s.Task > 0 {
					replay += float64(res.Rows[i]) / 3
				}
			}
			// Eight float32 terms: seven digits less a few roundings.
			if l := fresh + 0.3*replay; math.Abs(res.Loss-l) > 1e-5*l {
				t.Errorf("task %d: the loss is %g, mean(fresh) + 0.3·mean(replay) is %g", s.Task, res.Loss, l)
			}
		}
		if err := l.EndPhase(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestERDrawsBalanced: with 11 images of classes in shares of 3, 3, 3 and 2, four balanced replay rows are one of each
// class at every step.
func TestERDrawsBalanced(t *testing.T) {
	b, c := plain()
	er := cl.NewER()
	er.Buffer, er.Draw = 11, cl.DrawBalanced
	for _, s := range run(t, er, b, c, 2).steps {
		if s.Task != 2 {
			continue
		}
		seen := map[int32]bool{}
		for _, y := range s.Batch.Y[s.Fresh:] {
			seen[y] = true
		}
		if len(seen) != 4 {
			t.Errorf("step %d replays classes %v, want all four old ones", s.Index, seen)
		}
	}
}

// TestERCountsHerding: herding looks at all 24 images of each task, and at nothing else.
func TestERCountsHerding(t *testing.T) {
	b, c := plain()
	er := cl.NewER()
	er.Policy, er.Buffer = memory.NameHerding, 11
	run(t, er, b, c, 2)
	if got := er.Stored().ExtraEvaluations; got != 72 {
		t.Errorf("%d evaluations, want 72", got)
	}
	state, err := er.State()
	if err != nil {
		t.Fatal(err)
	}
	if err := er.Begin(cl.Setup{Seed: 2, ReplayRows: 4, Features: cltest.Features}); err != nil {
		t.Fatal(err)
	}
	if got := er.Stored(); got.ExtraEvaluations != 0 || got.Images != nil {
		t.Errorf("after Begin %d evaluations and images %v remain", got.ExtraEvaluations, got.Images)
	}
	if err := er.Restore(state); err != nil {
		t.Fatal(err)
	}
	if got := er.Stored(); got.ExtraEvaluations != 72 || got.Images.N != 11 {
		t.Errorf("restored: %d evaluations, %d images; want 72 and 11", got.ExtraEvaluations, got.Images.N)
	}
}

func TestERLabel(t *testing.T) {
	for want, settings := range map[string]map[string]any{
		"er λ=1":                              nil,
		"er λ=0.3":                            {"lambda": 0.3},
		"er λ=0 buffer=50":                    {"lambda": 0, "buffer": 50},
		"er λ=0.3 rows=4":                     {"lambda": 0.3, "rows": 4},
		"er λ=1 policy=herding draw=balanced": {"policy": "herding", "draw": "balanced"},
	} {
		er := made(t, "er", settings)
		if got := er.Label(); got != want {
			t.Errorf("label %q, want %q", got, want)
		}
	}
}

func TestERRefuses(t *testing.T) {
	for name, change := range map[string]func(*cl.ER, *cl.Setup){
		"negative λ":               func(e *cl.ER, _ *cl.Setup) { e.Lambda = -0.1 },
		"λ not a number":           func(e *cl.ER, _ *cl.Setup) { e.Lambda = math.NaN() },
		"infinite λ":               func(e *cl.ER, _ *cl.Setup) { e.Lambda = math.Inf(1) },
		"no buffer":                func(e *cl.ER, _ *cl.Setup) { e.Buffer = 0 },
		"negative rows":            func(e *cl.ER, _ *cl.Setup) { e.Rows = -1 },
		"unknown policy":           func(e *cl.ER, _ *cl.Setup) { e.Policy = "newest" },
		"unknown draw":             func(e *cl.ER, _ *cl.Setup) { e.Draw = "" },
		"no replay rows":           func(_ *cl.ER, s *cl.Setup) { s.ReplayRows = 0 },
		"loss without a network":   func(e *cl.ER, s *cl.Setup) { e.Policy = memory.NameHighLoss },
		"herding without features": func(e *cl.ER, s *cl.Setup) { e.Policy, s.Features = memory.NameHerding, nil },
	} {
		er, setup := cl.NewER(), cl.Setup{ReplayRows: 4, Features: cltest.Features}
		change(er, &setup)
		if er.Begin(setup) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	er := cl.NewER()
	if _, err := er.State(); err == nil {
		t.Error("state before Begin: no error")
	}
	if err := er.Restore(make([]byte, 100)); err == nil {
		t.Error("restored before Begin: no error")
	}
}
