package cl_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
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
	n := cltest.NewNetworkFor(t, rowsOf(s, c), s)
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
	same := isolated(t, made(t, "finetune", nil), func(*cl.Loop, int) {}) // one network for all tasks
	for _, l := range []*cl.Loop{l, same} {
		for _, task := range []int{-2, 3} {
			if err := l.AtTask(task, func() error { return nil }); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("task %d of 3; need 0 to 2", task)) {
				t.Errorf("a task that does not exist is sampled: %v", err)
			}
		}
		if err := l.AtTask(0, nil); err == nil || !strings.Contains(err.Error(), "without a function") {
			t.Errorf("a task is looked at without a function: %v", err)
		}
	}
}

// TestPackNetPrunesTheSmallest: weights of known order, of which the first task keeps the largest third, the second the larger
// half of what is left, and the third the rest; by a fixed share each task keeps a quarter of what is left.
func TestPackNetPrunesTheSmallest(t *testing.T) {
	b, c := plain()
	for _, tc := range []struct {
		keep float64
		kept [3]func(n int) int // by task, of a kernel of n weights
	}{
		{0, [3]func(n int) int{
			func(n int) int { return int(math.Round(float64(n) / 3)) },
			func(n int) int { return int(math.Round(float64(n-int(math.Round(float64(n)/3))) / 2)) },
			func(n int) int {
				third := int(math.Round(float64(n) / 3))
				return n - third - int(math.Round(float64(n-third)/2))
			},
		}},
		{0.25, [3]func(n int) int{ // all kernels have multiples of 8 weights, so that 1/4 and the last two of 3/16 and 9/64 round
			func(n int) int { return n / 4 },
			func(n int) int { return int(math.Round(float64(n-n/4) / 4)) },
			func(n int) int {
				left := n - n/4
				return int(math.Round(float64(left-int(math.Round(float64(left)/4))) / 4))
			},
		}},
	} {
		s := cl.NewPackNet()
		s.Keep = tc.keep
		n := cltest.NewNetworkFor(t, rowsOf(s, c), s)
		if _, err := cl.NewLoop(n, b, s, c, cl.Setup{Seed: 7}); err != nil {
			t.Fatal(err)
		}
		kernels, err := n.Kernels()
		if err != nil || len(kernels) < 3 {
			t.Fatalf("%d kernels, %v", len(kernels), err)
		}
		initial, err := n.Weights(false)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(initial)
		for task := range 3 {
			if err := s.BeginTask(task, b.Tasks[task].Train); err != nil {
				t.Fatal(err)
			}
			// Free weights grow from the kernel's first in the second task, and from its last in the others, with signs in turn.
			weights := slices.Clone(want)
			for _, k := range kernels {
				var free []int
				for i := k[0]; i < k[1]; i++ {
					if task == 0 || want[i] == 0 {
						free = append(free, i)
					}
				}
				if task == 1 {
					slices.Reverse(free)
				}
				for rank, i := range free {
					weights[i] = float32((rank+1)*(1-2*(rank%2))) / 64
					want[i] = 0
					if rank >= len(free)-tc.kept[task](k[1]-k[0]) {
						want[i] = weights[i]
					}
				}
			}
			averages := slices.Clone(weights)
			for i := range averages {
				averages[i] /= 2
			}
			if err := n.SetWeights(weights, false); err != nil {
				t.Fatal(err)
			}
			if err := n.SetWeights(averages, true); err != nil {
				t.Fatal(err)
			}
			for index := range c.StepsPerTask {
				if before := both(t, n)[:len(want)]; index < 3 && !slices.Equal(before, weights) {
					t.Fatalf("keep %g: weights of task %d are pruned before step %d of 4", tc.keep, task, index)
				}
				if err := s.BeforeStep(&cl.Step{Task: task, Index: index}); err != nil {
					t.Fatal(err)
				}
			}
			got := both(t, n)
			for i, w := range want {
				if got[i] != w || got[len(want)+i] != w/2 {
					t.Fatalf("keep %g: after task %d weight %d is %g and its average %g, want %g and %g", tc.keep, task, i, got[i], got[len(want)+i], w, w/2)
				}
			}
		}
	}
}

// TestPackNetForgetsNothing: what a task's network answers is the same, bit for bit, whatever is learned later, although later
// tasks do change the network; and each label's embedding trains in its own task alone.
func TestPackNetForgetsNothing(t *testing.T) {
	answers := func(l *cl.Loop, task int) (all []float32) {
		for _, ema := range []bool{false, true} {
			err := l.AtTask(task, func() error {
				x := make([]float32, 2*8*8)
				for i := range x {
					x[i] = float32(math.Sin(float64(i)))
				}
				out, err := l.Network.Denoiser(ema).Output(x, []int32{3, 17}, []int32{int32(2 * task), 6})
				all = append(all, out...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return all
	}
	var learned, networks [][]float32
	look := func(l *cl.Loop, now int) {
		for j, want := range learned {
			if !slices.Equal(answers(l, j), want) {
				t.Errorf("after task %d the network of task %d answers otherwise than just after it", now, j)
			}
		}
		for j := range networks {
			if !slices.Equal(at(t, l, j), networks[j]) {
				t.Errorf("after task %d the network of task %d has other weights than just after it", now, j)
			}
		}
		if now == len(learned) {
			learned, networks = append(learned, answers(l, now)), append(networks, at(t, l, now))
		}
	}
	var embeddings [][]bool
	l := isolated(t, made(t, "packnet", map[string]any{"retrain": 0.5}), func(l *cl.Loop, now int) {
		look(l, now)
		embeddings = append(embeddings, changed(t, l))
	})
	look(l, 4)
	if slices.Equal(learned[0], answers(l, 1)) || slices.Equal(networks[0], networks[1]) {
		t.Error("two tasks have one network")
	}
	for task, rows := range embeddings {
		for class, yes := range rows {
			if yes != (class/2 <= task) && class < 6 {
				t.Errorf("after task %d, the embedding of class %d changed: %t", task, class, yes)
			}
		}
	}
	kernels, err := l.Network.Kernels()
	if err != nil {
		t.Fatal(err)
	}
	end, zero := both(t, l.Network), 0
	for _, k := range kernels {
		for _, w := range end[k[0]:k[1]] {
			if w == 0 {
				zero++
			}
		}
	}
	if zero > 0 {
		t.Errorf("%d weights belong to no task in the end; the last one keeps what is left", zero)
	}
	if got, want := l.Strategy.Stored().Bytes, int64(l.Network.Parameters()); got != want {
		t.Errorf("%d bytes stored, want one a weight, %d", got, want)
	}
}

// changed tells of each class whether its embedding is another than at the beginning.
func changed(t *testing.T, l *cl.Loop) []bool {
	t.Helper()
	fresh := cltest.NewNetworkOf(t, 8)
	if err := fresh.Reset(7); err != nil {
		t.Fatal(err)
	}
	before, now, rows := both(t, fresh), both(t, l.Network), make([]bool, 6)
	for class := range rows {
		of, err := l.Network.LabelWeights([]int{class})
		if err != nil {
			t.Fatal(err)
		}
		for i, yes := range of {
			rows[class] = rows[class] || yes && before[i] != now[i]
		}
	}
	return rows
}

// TestPackNetLeavesWeights: shares that leave a later task without a weight of its own are refused, those of one task and those
// that leave each some are not.
func TestPackNetLeavesWeights(t *testing.T) {
	b, c := plain()
	for keep, refused := range map[float64]bool{1: true, 0.99999: true, 0.5: false, 0: false} {
		s := made(t, "packnet", map[string]any{"keep": keep})
		n := cltest.NewNetworkFor(t, rowsOf(s, c), s)
		if _, err := cl.NewLoop(n, b, s, c, cl.Setup{Seed: 7}); (err != nil) != refused || refused && !strings.Contains(err.Error(), "packnet") {
			t.Errorf("keep %g of two tasks: %v", keep, err)
		}
	}
	if err := made(t, "packnet", map[string]any{"keep": 1}).(*cl.PackNet).Check(cl.Setup{Tasks: 1}); err != nil {
		t.Errorf("keep 1 of one task: %v", err)
	}
}

func TestPackNetRefuses(t *testing.T) {
	for _, settings := range []map[string]any{{"retrain": 0}, {"retrain": 1}, {"keep": -0.1}, {"keep": 1.1}} {
		if _, err := cl.New(cl.Spec{Name: "packnet", Settings: settings}); err == nil {
			t.Errorf("packnet takes %v", settings)
		}
	}
	for _, name := range []string{"er+ensemble", "lora+packnet"} {
		if _, err := cl.New(cl.Spec{Name: name}); err == nil {
			t.Errorf("%s is made of parts that do not go together", name)
		}
	}
	// Without the task at sampling lora still says which weights train.
	merged := cl.Spec{Name: "lora+packnet", Settings: map[string]any{"task_id": false}}
	if _, err := cl.New(merged); err == nil || !strings.Contains(err.Error(), "which weights train") {
		t.Errorf("lora merged beside packnet gives %v", err)
	}
}
