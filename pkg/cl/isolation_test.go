package cl_test

import (
	"errors"
	"slices"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/diffusion"
)

// both are the weights and their averages, one after the other.
func both(t *testing.T, n *diffusion.Network) []float32 {
	t.Helper()
	var all []float32
	for _, ema := range []bool{false, true} {
		w, err := n.Weights(ema)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w...)
	}
	return all
}

// isolated trains a strategy on the plain benchmark, calls look at the end of every task, before the loop has ended it, and
// returns the loop when all is done.
func isolated(t *testing.T, s cl.Strategy, look func(l *cl.Loop, task int)) *cl.Loop {
	t.Helper()
	b, c := plain()
	n := cltest.NewNetworkFor(t, c.FreshRows+c.ReplayRows, s)
	if err := n.Reset(7); err != nil {
		t.Fatal(err)
	}
	l, err := cl.NewLoop(n, b, s, c, cl.Setup{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	for !l.Done() {
		if l.PhaseDone() {
			look(l, l.LastTask())
			err = l.EndPhase(t.Context())
		} else {
			_, err = l.Step()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// at is what the network of l is for a task.
func at(t *testing.T, l *cl.Loop, task int) (all []float32) {
	t.Helper()
	if err := l.AtTask(task, func() error { all = both(t, l.Network); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestEnsembleIsModelsFromScratch: each task's model is the one that from_scratch has of it, whatever comes after.
func TestEnsembleIsModelsFromScratch(t *testing.T) {
	var alone [][]float32
	isolated(t, made(t, "from_scratch", nil), func(l *cl.Loop, _ int) { alone = append(alone, both(t, l.Network)) })
	look := func(l *cl.Loop, now int) {
		for j := range alone {
			if j <= now && !slices.Equal(at(t, l, j), alone[j]) {
				t.Errorf("after task %d, task %d has not the model trained on it alone", now, j)
			}
		}
		if j := now + 1; j < len(alone) && !slices.Equal(at(t, l, j), both(t, l.Network)) {
			t.Errorf("after task %d, the next one has another model than the one at work", now)
		}
	}
	l := isolated(t, made(t, "ensemble", nil), look)
	look(l, len(alone)-1)
	if got, want := l.Stored().Parameters, 2*2*l.Network.Parameters(); got != want {
		t.Errorf("%d parameters stored, want weights and averages of 2 of 3 tasks, %d", got, want)
	}
}

// TestAtTaskPutsBack: a network is put back when what is done with it fails, and when it panics.
func TestAtTaskPutsBack(t *testing.T) {
	l := isolated(t, made(t, "ensemble", nil), func(*cl.Loop, int) {})
	before, stop := both(t, l.Network), errors.New("stop")
	if slices.Equal(at(t, l, 0), before) {
		t.Fatal("the first and the last task have the same model")
	}
	if err := l.AtTask(0, func() error { return stop }); !errors.Is(err, stop) {
		t.Errorf("AtTask returns %v, want what failed", err)
	}
	if !slices.Equal(both(t, l.Network), before) {
		t.Error("the network is another after a failure")
	}
	func() {
		defer func() { _ = recover() }()
		_ = l.AtTask(0, func() error { panic("stop") })
	}()
	if !slices.Equal(both(t, l.Network), before) {
		t.Error("the network is another after a panic")
	}
	if err := l.AtTask(3, func() error { return nil }); err == nil {
		t.Error("a task that does not exist is sampled")
	}
}
