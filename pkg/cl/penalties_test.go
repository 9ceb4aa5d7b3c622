package cl_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/diffusion"
)

// penalties are the methods that hold weights, with few rows, at a strength.
var penalties = map[string]func(lambda float64) cl.Strategy{
	"l2":  func(lambda float64) cl.Strategy { return &cl.L2{Lambda: lambda} },
	"ewc": func(lambda float64) cl.Strategy { return &cl.EWC{Lambda: lambda, FisherRows: 5} },
	"ewc_online": func(lambda float64) cl.Strategy {
		return &cl.OnlineEWC{Lambda: lambda, Gamma: 0.5, FisherRows: 5}
	},
	"ewc_rank1": func(lambda float64) cl.Strategy { return &cl.Rank1EWC{Lambda: lambda, FisherRows: 5, Trace: true} },
	"si":        func(lambda float64) cl.Strategy { return &cl.SI{Lambda: lambda, Xi: 1e-3} },
	"mas":       func(lambda float64) cl.Strategy { return &cl.MAS{Lambda: lambda, MASRows: 5} },
}

func TestPenaltiesConform(t *testing.T) {
	for name, create := range penalties {
		t.Run(name, func(t *testing.T) {
			cltest.Conform(t, func() cl.Strategy { return create(10) }, cltest.Options{ZeroWeight: func() cl.Strategy { return create(0) }})
		})
	}
}

// consolidated is a strategy begun on its network, and the network, after the ends of the first two tasks, between which the
// weights have moved by moved everywhere.
func consolidated(t *testing.T, s cl.Strategy, moved float32) (n *diffusion.Network, first, second []float32) {
	t.Helper()
	b, c := plain()
	n = cltest.NewNetworkFor(t, 4, s)
	if _, err := cl.NewLoop(n, b, s, c, cl.Setup{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	weights := func() []float32 {
		w, err := n.Weights(false)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	consolidate := func(task int) {
		if err := s.Consolidate(t.Context(), task, b.Tasks[task].Train); err != nil {
			t.Fatal(err)
		}
	}
	first = weights()
	consolidate(0)
	second = weights()
	for i := range second {
		second[i] += moved
	}
	if err := n.SetWeights(second, false); err != nil {
		t.Fatal(err)
	}
	consolidate(1)
	return n, first, second
}

// penalty is the network's, checked to be finite.
func penalty(t *testing.T, n *diffusion.Network) (importance, anchor []float32) {
	t.Helper()
	importance, anchor, err := n.Penalty()
	if err != nil {
		t.Fatal(err)
	}
	return importance, anchor
}

func near(a, b float32, tolerance float64) bool {
	return math.Abs(float64(a)-float64(b)) <= tolerance*max(math.Abs(float64(b)), 1e-6)
}

// TestPenaltyOfTwoTasks: which importance and which anchor two tasks leave, of each method whose penalty is diagonal. The
// importances of one task are those that the same method finds where it is the first.
func TestPenaltyOfTwoTasks(t *testing.T) {
	const moved = 0.01
	n, _, second := consolidated(t, penalties["l2"](1), moved)
	importance, anchor := penalty(t, n)
	for i := range anchor {
		if importance[i] != 1 || anchor[i] != second[i] {
			t.Fatalf("l2: weight %d has importance %g and anchor %g, want 1 and %g", i, importance[i], anchor[i], second[i])
		}
	}
	// F of each task, found with one rule of rows: what EWC adds with Gamma 0.
	alone := func(gamma float64) []float32 {
		n, _, _ := consolidated(t, &cl.OnlineEWC{Lambda: 1, Gamma: gamma, FisherRows: 5}, moved)
		f, _ := penalty(t, n)
		return f
	}
	last, both := alone(0), alone(1)
	n, first, second := consolidated(t, penalties["ewc"](1), moved)
	importance, anchor = penalty(t, n)
	half := alone(0.5)
	for i := range importance {
		f1, f2 := both[i]-last[i], last[i]
		if !near(importance[i], both[i], 1e-5) {
			t.Fatalf("ewc: weight %d has importance %g, want the sum %g", i, importance[i], both[i])
		}
		if !near(half[i], 0.5*f1+f2, 1e-3) {
			t.Fatalf("ewc_online: weight %d has importance %g, want %g/2 + %g", i, half[i], f1, f2)
		}
		// The folded anchor is the mean of both by importance.
		if sum := f1 + f2; sum > 1e-9 {
			if want := (f1*first[i] + f2*second[i]) / sum; math.Abs(float64(anchor[i]-want)) > 1e-5 {
				t.Fatalf("ewc: weight %d has anchor %g, want %g between %g and %g", i, anchor[i], want, first[i], second[i])
			}
		}
	}
}

// Room for tasks to come makes the step that a run of all of them has.
func TestRank1HasRoom(t *testing.T) {
	for _, tc := range []struct{ room, tasks, want int }{{0, 3, 2}, {3, 2, 2}, {5, 2, 4}, {5, 6, 5}} {
		s := &cl.Rank1EWC{Lambda: 1, FisherRows: 5, Tasks: tc.room}
		if got := s.Needs(cl.Setup{Tasks: tc.tasks}).Directions; got != tc.want {
			t.Errorf("room for %d tasks, of %d: %d directions; need %d", tc.room, tc.tasks, got, tc.want)
		}
	}
	for _, bad := range []int{-1, 1 << 30} {
		if err := (&cl.Rank1EWC{Lambda: 1, FisherRows: 5, Tasks: bad}).Validate(); err == nil || !strings.Contains(err.Error(), "ewc_rank1: tasks is") {
			t.Errorf("%d tasks: %v", bad, err)
		}
	}
}

// TestRank1OfTwoTasks: at the second task's anchor its own penalty is 0 and the first one's λ/2·(μ·(θ - θ*))², where the mean
// gradient μ of the first task and, with Trace, Σ F/‖μ‖² follow from the same rows by hand.
func TestRank1OfTwoTasks(t *testing.T) {
	const moved, lambda = 0.01, 1000
	for _, trace := range []bool{false, true} {
		s := &cl.Rank1EWC{Lambda: lambda, FisherRows: 5, Trace: trace}
		n, first, second := consolidated(t, s, moved)
		if count, err := n.DirectionCount(); err != nil || count != 2 {
			t.Fatalf("%d directions (%v), want one of each task", count, err)
		}
		b, c := plain()
		if err := n.SetWeights(first, false); err != nil {
			t.Fatal(err)
		}
		rows, seed := cl.RowsOf(s.Setup, 0, b.Tasks[0].Train, 5)
		fisher, err := n.Fisher(t.Context(), rows, seed)
		if err != nil {
			t.Fatal(err)
		}
		along, norm, sum := 0.0, 0.0, 0.0
		for i, mu := range fisher.Mean {
			along += float64(mu) * (float64(second[i]) - float64(first[i]))
			norm += float64(mu) * float64(mu)
			sum += float64(fisher.Square[i])
		}
		want := lambda / 2 * along * along
		if trace {
			want *= sum / norm
		}
		if err := n.SetWeights(second, false); err != nil {
			t.Fatal(err)
		}
		l, err := cl.NewLoop(n, b, &cl.Rank1EWC{Lambda: lambda, FisherRows: 5}, c, cl.Setup{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		l.Position.Phase = 1
		res, err := l.Step()
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(res.Directions/want-1) > 1e-3 || want == 0 {
			t.Errorf("trace %v: the penalty is %g, by hand %g", trace, res.Directions, want)
		}
	}
}

// TestImportanceRows: the rows that importances are found from have one timestep of each equal part of the process, and no
// image twice while there are others.
func TestImportanceRows(t *testing.T) {
	b, _ := plain()
	seen, i := map[string]bool{}, 0
	rows, _ := cl.RowsOf(cl.Setup{Seed: 3, Timesteps: 1000}, 1, b.Tasks[1].Train, 20)
	for row := range rows {
		if at := int(row.T[0]); at < 50*i || at >= 50*(i+1) {
			t.Errorf("row %d has timestep %d, want one of 50 from %d", i, at, 50*i)
		}
		key := fmt.Sprint(row.X)
		if seen[key] {
			t.Errorf("row %d has an image of a row before", i)
		}
		seen[key] = true
		i++
	}
	if i != 20 {
		t.Errorf("%d rows, want 20", i)
	}
}

// TestSIOfOneStep: a path of one step of weights w to w + Δ with the gradient g has ω = -g·Δ and Ω = max(ω, 0)/(Δ²+ξ).
func TestSIOfOneStep(t *testing.T) {
	b, c := plain()
	c.StepsPerTask = 1
	s := &cl.SI{Lambda: 1, Xi: 1e-3}
	n := cltest.NewNetworkFor(t, 4, s)
	l, err := cl.NewLoop(n, b, s, c, cl.Setup{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	before, err := n.Weights(false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Step(); err != nil {
		t.Fatal(err)
	}
	omega, start, err := n.PathIntegral()
	if err != nil {
		t.Fatal(err)
	}
	after, err := n.Weights(false)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.EndPhase(t.Context()); err != nil {
		t.Fatal(err)
	}
	importance, anchor := penalty(t, n)
	changed, positive := 0, 0
	for i := range after {
		moved := float64(after[i]) - float64(before[i])
		want := float32(max(float64(omega[i]), 0) / (moved*moved + 1e-3))
		if start[i] != before[i] || anchor[i] != after[i] || !near(importance[i], want, 1e-5) {
			t.Fatalf("weight %d has importance %g at %g, want %g at %g", i, importance[i], anchor[i], want, after[i])
		}
		if moved != 0 {
			changed++
		}
		if want > 0 {
			positive++
		}
	}
	// Adam's first step goes against each weight's gradient.
	if changed == 0 || positive < changed*9/10 {
		t.Errorf("one step of gradient descent gave %d of %d weights importance that it moved", positive, changed)
	}
	if again, _, err := n.PathIntegral(); err != nil || again[0] != 0 {
		t.Errorf("the next path starts at %g (%v), want 0", again[0], err)
	}
}

// TestConsolidationStops: the end of ctx ends the work at a task's end.
func TestConsolidationStops(t *testing.T) {
	b, c := plain()
	s := &cl.EWC{Lambda: 1, FisherRows: 1000}
	if _, err := cl.NewLoop(cltest.NewNetworkFor(t, 4, s), b, s, c, cl.Setup{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Consolidate(ctx, 0, b.Tasks[0].Train); err == nil {
		t.Error("1000 rows were evaluated after the end of ctx")
	}
}
