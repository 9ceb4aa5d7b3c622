package cl_test

import (
	"slices"
	"testing"

	"github.com/pkg/errors"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/diffusion"
)

// blind is a strategy that foresees nothing.
type blind struct{ cl.Strategy }

func (blind) Foresees() bool { return false }

// A strategy that foresees its steps trains to the weights, bit by bit, that it trains to where nobody asks it, and so do
// steps done in rows; and a loop that is closed with a step prepared leaves nothing behind.
func TestForeseenStepsAreTheSame(t *testing.T) {
	bench, config := cltest.NewBenchmark(), cltest.Config()
	weights := func(s cl.Strategy, row int) []float32 {
		t.Helper()
		n := cltest.NewNetworkFor(t, rowsOf(s, config), s)
		l, err := cl.NewLoop(n, bench, s, config, cl.Setup{Seed: 3, Features: cltest.Features})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for done := 0; done < config.StepsPerTask+2; {
			if l.PhaseDone() {
				if err := l.EndPhase(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			results, err := l.Steps(min(row, config.StepsPerTask+2-done))
			if err != nil {
				t.Fatal(err)
			}
			if row > 1 && s.Foresees() && len(results) == 1 && l.Position.Step > 0 && !l.PhaseDone() {
				t.Errorf("one step was done where %d were asked for", row)
			}
			if done += len(results); l.Position.Total != done {
				t.Fatalf("%d steps done, and the loop is at %+v", done, l.Position)
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
		want := weights(blind{made(t, name, settings)}, 1)
		for _, row := range []int{1, 3} {
			if !slices.Equal(weights(made(t, name, settings), row), want) {
				t.Errorf("the weights of %s differ where its steps are prepared ahead, %d in a row", name, row)
			}
		}
	}
	if made(t, "er", map[string]any{"schedule": "adaptive"}).Foresees() || made(t, "er+gr", nil).Foresees() {
		t.Error("a strategy that follows losses, or uses the network, says that it foresees its steps")
	}
}

// late is fine-tuning that is told of its steps.
type late struct {
	*cl.Finetune
	told *[]int
}

func (l late) AfterStep(s *cl.Step, _ diffusion.StepResult) error {
	*l.told = append(*l.told, s.Index)
	return nil
}

// Of steps in a row that ends in a loss that is no number, those before it are returned and told of, in their order, and the
// position stays before the one that failed.
func TestDivergedInARow(t *testing.T) {
	bench, config := cltest.NewBenchmark(), cltest.Config()
	s := new(cl.Finetune)
	n := cltest.NewNetworkOf(t, rowsOf(s, config))
	before := n.Train
	defer func() { n.Train = before }()
	n.Train.LearningRate, n.Train.WarmUp = 1e30, 0
	var told []int
	l, err := cl.NewLoop(n, bench, late{s, &told}, config, cl.Setup{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	results, err := l.Steps(config.StepsPerTask)
	if !errors.As(err, new(diffusion.Diverged)) {
		t.Fatalf("%d steps of learning rate %g: %v", len(results), n.Train.LearningRate, err)
	}
	if len(results) == 0 || l.Position.Total != len(results) || !slices.Equal(told, []int{0, 1, 2, 3, 4, 5, 6, 7}[:len(results)]) {
		t.Errorf("%d steps came before it, told of were %v, and the loop is at %+v", len(results), told, l.Position)
	}
}
