package cl_test

import (
	"slices"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
)

// A strategy that foresees its steps trains to the weights, bit by bit, that it trains to where nobody asks it; and a loop
// that is closed with a step prepared leaves nothing behind.
func TestForeseenStepsAreTheSame(t *testing.T) {
	bench, config := cltest.NewBenchmark(), cltest.Config()
	weights := func(s cl.Strategy) []float32 {
		t.Helper()
		n := cltest.NewNetworkOf(t, rowsOf(s, config))
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
	if f, ok := cl.Strategy(cl.NewER()).(cl.Foreseer); !ok || !f.Foresees() {
		t.Fatal("er does not foresee its steps")
	}
	if !slices.Equal(weights(cl.NewER()), weights(struct{ cl.Strategy }{cl.NewER()})) {
		t.Error("er's weights differ where its steps are not prepared ahead")
	}
}
