package cl_test

import (
	"math"
	"slices"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
)

// adapters is the strategy with adapters small enough for the suite's network.
func adapters(t testing.TB, taskID bool) cl.Strategy {
	return made(t, "lora", map[string]any{"rank": 2, "alpha": 3, "task_id": taskID})
}

func TestLoRAConforms(t *testing.T) {
	for name, taskID := range map[string]bool{"task given": true, "merged": false} {
		t.Run(name, func(t *testing.T) {
			cltest.Conform(t, func() cl.Strategy { return adapters(t, taskID) }, cltest.Options{})
		})
	}
}

// loraRun is a run whose phases a test looks at.
type loraRun struct {
	*testing.T
	*cl.Loop
}

func newLoRARun(t *testing.T, taskID bool) loraRun {
	s := adapters(t, taskID)
	b, c := plain()
	n := cltest.NewNetworkFor(t, c.FreshRows, s)
	l, err := cl.NewLoop(n, b, s, c, cl.Setup{Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	return loraRun{t, l}
}

func (r loraRun) check(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// train does the steps of the phase at hand, and returns the weights after them.
func (r loraRun) train() []float32 {
	r.Helper()
	for !r.PhaseDone() {
		_, err := r.Step()
		r.check(err)
	}
	w, err := r.Network.Weights(false)
	r.check(err)
	return w
}

// predict is what the averaged network predicts for the two classes of a task, told which, or as it is (-1).
func (r loraRun) predict(task, told int) (out []float32) {
	r.Helper()
	x := make([]float32, 4*8*8)
	for i := range x {
		x[i] = float32(math.Sin(float64(i * i)))
	}
	y := []int32{int32(2 * task), int32(2*task + 1), int32(2 * task), int32(2*task + 1)}
	look := func() (err error) {
		out, err = r.Network.Denoiser(true).Output(x, []int32{0, 5, 10, 19}, y)
		return err
	}
	if told < 0 {
		r.check(look())
	} else {
		r.check(r.AtTask(told, look))
	}
	return out
}

// Told the task, the network of each finished task stays what it was, bit for bit; all weights but the adapters and the
// task's own labels stay too; and what is kept is counted.
func TestLoRAForgetsNothingWhereTheTaskIsTold(t *testing.T) {
	r := newLoRARun(t, true)
	own, err := r.Network.LoRAWeights()
	r.check(err)
	var after [][]float32 // of each finished task, as it ended
	var held []float32
	for task := range r.Benchmark.Tasks {
		w := r.train()
		rows, err := r.Network.LabelWeights([]int{2 * task, 2*task + 1})
		r.check(err)
		for i := range w {
			if task > 0 && !own[i] && !rows[i] && math.Float32bits(w[i]) != math.Float32bits(held[i]) {
				t.Fatalf("weight %d was %g before task %d and is %g", i, held[i], task, w[i])
			}
		}
		after = append(after, r.predict(task, -1))
		for before, want := range after {
			if got := r.predict(before, before); !slices.Equal(got, want) {
				t.Errorf("after task %d, task %d is predicted otherwise than at its end", task, before)
			}
		}
		if task > 0 && slices.Equal(r.predict(0, -1), after[0]) {
			t.Errorf("task %d has trained nothing", task)
		}
		r.check(r.EndPhase(t.Context()))
		held, err = r.Network.Weights(false)
		r.check(err)
	}
	// An adapter, trained and averaged, for all tasks but the first, and two rows of 8 values for each task.
	adapter := 0
	for _, yes := range own {
		if yes {
			adapter++
		}
	}
	if got, want := r.Strategy.Stored().Parameters, 2*(2*adapter+3*2*8); got != want || adapter == 0 {
		t.Errorf("%d parameters reported as stored; %d are kept", got, want)
	}
}

// Not told the task, the network stays what it was when adapters are merged, which changes weights that were held.
func TestLoRAMerges(t *testing.T) {
	r := newLoRARun(t, false)
	own, err := r.Network.LoRAWeights()
	r.check(err)
	for task := range r.Benchmark.Tasks {
		before := r.train()
		want := r.predict(task, -1)
		r.check(r.EndPhase(t.Context()))
		got := r.predict(task, -1)
		for i := range got {
			// Float32 through the network's layers; predictions are of order 0.1 to 1.
			if math.Abs(float64(got[i]-want[i])) > 1e-5 {
				t.Fatalf("task %d: prediction %d is %g before merging and %g after", task, i, want[i], got[i])
			}
		}
		weights, err := r.Network.Weights(false)
		r.check(err)
		averages, err := r.Network.Weights(true)
		r.check(err)
		if !slices.Equal(weights, averages) {
			t.Errorf("task %d does not end in its average", task)
		}
		changed, others := 0, 0 // than adapters
		for i := range weights {
			if own[i] {
				continue
			}
			others++
			if weights[i] != before[i] {
				changed++
			}
		}
		if changed < others/2 {
			t.Errorf("merging after task %d changed %d of %d weights", task, changed, others)
		}
	}
	if s := r.Strategy.Stored(); s.Parameters != 0 || s.Bytes != 0 {
		t.Errorf("%+v is stored; need nothing", s)
	}
}
