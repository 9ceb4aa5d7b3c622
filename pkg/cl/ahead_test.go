package cl_test

import (
	"slices"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
)

// blind is a strategy that foresees nothing.
type blind struct{ cl.Strategy }

func (blind) Foresees() bool { return false }

// A strategy that foresees its steps trains to the weights, bit by bit, that it trains to where nobody asks it; and a loop
// that is closed with a step prepared leaves nothing behind.
func TestForeseenStepsAreTheSame(t *testing.T) {
	bench, config := cltest.NewBenchmark(), cltest.Config()
	weights := func(s cl.Strategy) []float32 {
		t.Helper()
		n := cltest.NewNetworkFor(t, rowsOf(s, config), s)
		l, err := cl.NewLoop(n, bench, s, config, cl.Setup{Seed: 3, Features: cltest.Features})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		phase(t, l)
		for range 2 {
			if _, err := l.Step(); err != nil {
				t.Fatal(err)
			}
		}
		w, err := n.Weights(false)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	for name, settings := range map[string]map[string]any{"er": {"buffer": 11}, "er+ewc_rank1": {"buffer": 11, "fisher_rows": 3, "er_schedule": "1-1/k"}} {
		if !made(t, name, settings).Foresees() {
			t.Fatalf("%s does not foresee its steps", name)
		}
		if !slices.Equal(weights(made(t, name, settings)), weights(blind{made(t, name, settings)})) {
			t.Errorf("the weights of %s differ where its steps are not prepared ahead", name)
		}
	}
	if made(t, "er", map[string]any{"schedule": "adaptive"}).Foresees() || made(t, "er+gr", nil).Foresees() {
		t.Error("a strategy that follows losses, or uses the network, says that it foresees its steps")
	}
}
