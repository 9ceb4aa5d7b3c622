package cl_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/diffusion"
)

// steep is a loss that falls by a third from each of the 20 timesteps to the next.
func steep(t int32) float64 { return math.Pow(2./3, float64(t)) }

// learned is the state of a sampler that has seen nothing but the steep loss.
func learned(t *testing.T) []byte {
	t.Helper()
	m, err := diffusion.NewLossHistory(20, 10)
	if err != nil {
		t.Fatal(err)
	}
	for step := range 20 {
		for range 10 {
			if err := m.Update(step, steep(int32(step))); err != nil {
				t.Fatal(err)
			}
		}
	}
	state, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// TestImportanceKeepsExpectations: over many steps the weighted sum of a loss that is known at every timestep has the
// expectation it has with uniform timesteps, in fresh rows and in replay rows, also where these choose their own
// timesteps, and rows drawn by importance scatter less. Every step starts from the same memory of losses.
func TestImportanceKeepsExpectations(t *testing.T) {
	mean, lowest := 0.0, 0.0
	for step := range int32(20) {
		mean += steep(step) / 20
		if step < 5 {
			lowest += steep(step) / 5
		}
	}
	state := learned(t)
	for name, tc := range map[string]struct {
		sampler, timesteps string
		replay             float64 // expectation of the replayed loss
	}{
		"uniform":              {cl.SampleUniform, "", mean},
		"importance":           {cl.SampleImportance, "", mean},
		"importance, targeted": {cl.SampleImportance, "low:0.25", lowest},
	} {
		b, c := plain()
		c.TimestepSampler = tc.sampler
		c.StepsPerTask = 4000
		er := cl.NewER()
		er.Lambda, er.Timesteps = 0.3, tc.timesteps
		k := &keeper{Strategy: er}
		l, err := cl.NewLoop(cltest.NewNetwork(t), b, k, c, cl.Setup{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := er.EndTask(0, b.Tasks[0].Train); err != nil {
			t.Fatal(err)
		}
		l.Position.Phase = 1
		var fresh, replay, freshSquares, replaySquares float64
		n := float64(c.StepsPerTask)
		for step := range c.StepsPerTask {
			if tc.sampler == cl.SampleImportance {
				if err := l.RestoreTimesteps(state); err != nil {
					t.Fatal(err)
				}
			}
			l.Position.Step = step
			s, err := cl.StepBatch(l)
			if err != nil {
				t.Fatal(err)
			}
			if tc.timesteps != "" && slices.ContainsFunc(s.Batch.W[s.Fresh:], func(w float32) bool { return w != float32(0.3/4) }) {
				t.Fatalf("rows at timesteps of their own weigh %v, want 0.3/4 each", s.Batch.W[s.Fresh:])
			}
			var f, r float64
			for i, w := range s.Batch.W {
				if loss := float64(w) * steep(s.Batch.T[i]); i < s.Fresh {
					f += loss
				} else {
					r += loss
				}
			}
			fresh, freshSquares = fresh+f/n, freshSquares+f*f/n
			replay, replaySquares = replay+r/n, replaySquares+r*r/n
		}
		for _, tc := range []struct {
			rows                string
			mean, squares, want float64
		}{{"fresh", fresh, freshSquares, mean}, {"replay", replay, replaySquares, 0.3 * tc.replay}} {
			deviation := math.Sqrt(max(tc.squares-tc.mean*tc.mean, 0))
			t.Logf("%s: %s rows %.5f, deviation %.5f; want %.5f", name, tc.rows, tc.mean, deviation, tc.want)
			// Weights are float32: seven digits.
			if math.Abs(tc.mean-tc.want) > 5*deviation/math.Sqrt(n)+1e-6 {
				t.Errorf("%s: the loss of %s rows is %g in expectation; want %g ± %g", name, tc.rows, tc.mean, tc.want, deviation/math.Sqrt(n))
			}
			// Drawn in proportion to the loss, each row's weighted loss is the mean, but for the uniform share of 0.001.
			if drawn := tc.rows == "fresh" || name == "importance"; drawn && name != "uniform" && deviation > 0.05*tc.want {
				t.Errorf("%s: the loss of %s rows has deviation %g, more than 5 %% of %g", name, tc.rows, deviation, tc.want)
			}
		}
	}
}

// sampled is a run's network, strategy and sampler.
type sampled struct{ network, strategy, sampler []byte }

func snapshot(t *testing.T, l *cl.Loop) (s sampled) {
	t.Helper()
	dir := t.TempDir()
	err := l.Network.Save(dir)
	if err == nil {
		s.network, err = os.ReadFile(filepath.Join(dir, diffusion.StateFile))
	}
	if err == nil {
		s.strategy, err = l.Strategy.State()
	}
	if err == nil {
		s.sampler, err = l.TimestepState()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// play goes on with a run for a number of events, steps or ends of phases, or to its end.
func play(t *testing.T, l *cl.Loop, events int) {
	t.Helper()
	for ; events != 0 && !l.Done(); events-- {
		var err error
		if l.PhaseDone() {
			err = l.EndPhase(t.Context())
		} else {
			_, err = l.Step()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestImportanceResumes: a run with importance sampling that is stopped and continued from what it had stored ends as
// the uninterrupted one, bit for bit; without the sampler's state it does not.
func TestImportanceResumes(t *testing.T) {
	b, c := cltest.NewBenchmark(), cltest.Config()
	c.TimestepSampler, c.StepsPerTask = cl.SampleImportance, 50
	begin := func() *cl.Loop {
		er := cl.NewER()
		er.Lambda, er.Buffer = 0.3, 11
		l, err := cl.NewLoop(cltest.NewNetwork(t), b, er, c, cl.Setup{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	whole := begin()
	play(t, whole, 130)
	middle, position := snapshot(t, whole), whole.Position
	m, err := diffusion.NewLossHistory(20, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.UnmarshalBinary(middle.sampler); err != nil || !m.Ready() || slices.Max(m.Weights()) < 1.2/20 {
		t.Fatalf("after 130 events draws are still uniform (%v): %v", err, m.Weights())
	}
	play(t, whole, -1)
	want := snapshot(t, whole)
	for _, forget := range []bool{false, true} {
		l := begin()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, diffusion.StateFile), middle.network, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := l.Network.Load(dir); err != nil {
			t.Fatal(err)
		}
		if err := l.Strategy.Restore(middle.strategy); err != nil {
			t.Fatal(err)
		}
		l.Position = position
		if !forget {
			if err := l.RestoreTimesteps(middle.sampler); err != nil {
				t.Fatal(err)
			}
		}
		play(t, l, -1)
		got := snapshot(t, l)
		same := bytes.Equal(got.network, want.network) && bytes.Equal(got.strategy, want.strategy) && bytes.Equal(got.sampler, want.sampler)
		if same == forget {
			t.Errorf("resumed with the sampler's state %v: equal to the uninterrupted run %v", !forget, same)
		}
	}
}

// TestImportanceCountsWhatIsDrawn: rows of weight 0 and rows with timesteps of the strategy's own leave the memory
// alone, so that replay with weight 0 is fine-tuning bit for bit; others are all remembered.
func TestImportanceCountsWhatIsDrawn(t *testing.T) {
	b, c := cltest.NewBenchmark(), cltest.Config()
	c.TimestepSampler, c.StepsPerTask = cl.SampleImportance, 50
	end := func(s cl.Strategy) sampled {
		l, err := cl.NewLoop(cltest.NewNetworkOf(t, rowsOf(s, c)), b, s, c, cl.Setup{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		play(t, l, -1)
		return snapshot(t, l)
	}
	seen := func(s sampled) int { // losses, from the words that count them
		count, words := 0, s.sampler[len("palimpsest importance 1\n")+8:]
		for range 20 {
			n := int(words[0]) + int(words[1])<<8
			count, words = count+n, words[8*(1+min(n, 10)):]
		}
		return count
	}
	er := func(lambda float64, timesteps string) *cl.ER {
		er := cl.NewER()
		er.Lambda, er.Buffer, er.Timesteps = lambda, 11, timesteps
		return er
	}
	finetune, zero := end(&cl.Finetune{}), end(er(0, ""))
	if !bytes.Equal(finetune.network, zero.network) || !bytes.Equal(finetune.sampler, zero.sampler) {
		t.Error("replay with weight 0 is not fine-tuning")
	}
	if got := seen(finetune); got != 150*4 {
		t.Errorf("fine-tuning: %d losses remembered, want %d", got, 150*4)
	}
	c.StepsPerTask = 5
	for name, tc := range map[string]struct {
		s    cl.Strategy
		want int
	}{
		"replay":   {er(0.3, ""), 15*4 + 10*4},
		"targeted": {er(0.3, "low:0.25"), 15 * 4},
		"joint":    {&cl.Joint{}, 15 * 8},
	} {
		if got := seen(end(tc.s)); got != tc.want {
			t.Errorf("%s: %d losses remembered, want %d", name, got, tc.want)
		}
	}
}

// TestUniformSampler: "uniform" is what no setting is, has no state and takes none.
func TestUniformSampler(t *testing.T) {
	b, c := cltest.NewBenchmark(), cltest.Config()
	var ends []sampled
	for _, c.TimestepSampler = range []string{"", cl.SampleUniform} {
		l, err := cl.NewLoop(cltest.NewNetworkOf(t, c.FreshRows), b, &cl.Finetune{}, c, cl.Setup{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		play(t, l, -1)
		ends = append(ends, snapshot(t, l))
		if err := l.RestoreTimesteps(nil); err != nil {
			t.Error(err)
		}
		if err := l.RestoreTimesteps(learned(t)); err == nil || !strings.Contains(err.Error(), "timestep_sampler") {
			t.Errorf("the state of another sampler is restored: %v", err)
		}
	}
	if ends[0].sampler != nil || ends[1].sampler != nil || !bytes.Equal(ends[0].network, ends[1].network) {
		t.Error("\"\" and \"uniform\" differ, or have a state")
	}
	c.TimestepSampler = cl.SampleImportance
	l, err := cl.NewLoop(cltest.NewNetworkOf(t, c.FreshRows), b, &cl.Finetune{}, c, cl.Setup{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if l.RestoreTimesteps(nil) == nil {
		t.Error("an empty state is restored")
	}
	c.TimestepSampler = "importence"
	if _, err := cl.NewLoop(cltest.NewNetworkOf(t, c.FreshRows), b, &cl.Finetune{}, c, cl.Setup{}); err == nil || !strings.Contains(err.Error(), `did you mean "importance"`) {
		t.Errorf("an unknown sampler: %v", err)
	}
}

// TestTimestepsChangedByHand: a strategy that writes timesteps past SetTimestep is told.
func TestTimestepsChangedByHand(t *testing.T) {
	b, c := plain()
	l, err := cl.NewLoop(cltest.NewNetworkOf(t, c.FreshRows), b, byHand{&cl.Finetune{}}, c, cl.Setup{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Step(); err == nil || !strings.Contains(err.Error(), "SetTimestep") {
		t.Errorf("the error is %v", err)
	}
}

type byHand struct{ *cl.Finetune }

func (byHand) BeforeStep(s *cl.Step) error {
	s.Batch.T[len(s.Batch.T)-1] ^= 1
	return nil
}
