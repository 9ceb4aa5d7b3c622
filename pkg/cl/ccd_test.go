package cl_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/network/networktest"
)

func TestCCDConforms(t *testing.T) {
	ccd := func(weight float64) func() cl.Strategy {
		return func() cl.Strategy {
			return made(t, "ccd", map[string]any{"buffer": 11, "lambda": weight, "ikc": weight, "ukc": weight, "pkc": weight})
		}
	}
	cltest.Conform(t, ccd(0.5), cltest.Options{ZeroWeight: ccd(0), MaxImages: 11})
}

// TestCCDWithoutConsistencyIsER: rehearsal alone is er, bit for bit.
func TestCCDWithoutConsistencyIsER(t *testing.T) {
	_, ccd, _ := trained(t, made(t, "ccd", map[string]any{"buffer": 11, "lambda": 0.3, "ikc": 0, "ukc": 0, "pkc": 0}))
	_, er, _ := trained(t, made(t, "er", map[string]any{"buffer": 11, "lambda": 0.3}))
	if !slices.Equal(ccd, er) {
		t.Error("ccd without consistency differs from er")
	}
}

// TestCCDRows: of 4 replay rows two show old images under their label, one does so without, and one is pure noise under a
// label of a finished task; a loss of weight 0 has no rows.
func TestCCDRows(t *testing.T) {
	type row struct {
		weight, distil float64
		none, pure     bool
	}
	for _, tc := range []struct {
		lambda, ikc, ukc, pkc float64
		want                  [4]row
	}{
		{0.4, 0.6, 0.2, 0.3, [4]row{{0.2, 0.3, false, false}, {0.2, 0.3, false, false}, {0, 0.2, true, false}, {0, 0.3, false, true}}},
		{0, 0, 0.2, 0.3, [4]row{{0, 0.1, true, false}, {0, 0.1, true, false}, {0, 0.15, false, true}, {0, 0.15, false, true}}},
		{0.4, 0, 0, 0.3, [4]row{{0.2, 0, false, false}, {0.2, 0, false, false}, {0, 0.15, false, true}, {0, 0.15, false, true}}},
	} {
		k, _, _ := trained(t, made(t, "ccd", map[string]any{"buffer": 11, "lambda": tc.lambda, "ikc": tc.ikc, "ukc": tc.ukc, "pkc": tc.pkc}))
		for _, s := range k.steps {
			b := s.Batch
			if s.Task == 0 {
				if b.Distil != nil || b.PureNoise != nil {
					t.Error("a teacher in the first task")
				}
				continue
			}
			for i, want := range tc.want {
				at := s.Row(i)
				got := row{float64(b.W[at]), float64(b.Distil[at]), b.Y[at] == 6, b.PureNoise[at]}
				if math.Abs(got.weight-want.weight) > 1e-6 || math.Abs(got.distil-want.distil) > 1e-6 || got.none != want.none || got.pure != want.pure {
					t.Fatalf("%+v: replay row %d is %+v, want %+v", tc, i, got, want)
				}
				if !got.none && int(b.Y[at]) >= 2*s.Task {
					t.Errorf("row %d of task %d has label %d, which is of no finished task", i, s.Task, b.Y[at])
				}
			}
			for i := range s.Fresh {
				if b.Distil[i] != 0 || math.Abs(float64(b.W[i])-0.25) > 1e-6 {
					t.Errorf("fresh row %d weighs %g and %g", i, b.W[i], b.Distil[i])
				}
			}
		}
	}
}

// givenNoise is a strategy in whose steps the noise can be given too.
type givenNoise struct{ *cl.CCD }

func (g givenNoise) Needs(s cl.Setup) diffusion.Extra {
	return g.CCD.Needs(s).Merge(diffusion.Extra{Given: true})
}

// TestCCDLossByHand: the distance to the teacher in a step is
//
//	IKC·mean over images + UKC·mean over images without label + PKC·mean over noise of mean (prediction - teacher's)²
//
// with the predictions of both networks at the rows' own x_t. The network has no dropout, so that it predicts in the step what
// it predicts outside, and the noise is given.
func TestCCDLossByHand(t *testing.T) {
	b, c := plain()
	p, err := diffusion.New(diffusion.Config{T: 20, Schedule: "linear", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedLarge})
	if err != nil {
		t.Fatal(err)
	}
	u := networktest.Least{H: 8, W: 8, Channels: 1, OutChannels: 1, Hidden: 8, Classes: 6}
	n, err := diffusion.NewNetwork(backendtest.Open(t), p, u, diffusion.TrainConfig{LearningRate: 1e-2}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ccd := made(t, "ccd", map[string]any{"buffer": 11, "rows": 6, "ikc": 0.5, "ukc": 2, "pkc": 3, "teacher": "trained"}).(*cl.CCD)
	l, err := cl.NewLoop(n, b, givenNoise{ccd}, c, cl.Setup{Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.StepsPerTask + 2 { // the second step of the second task is done, so that network and teacher differ
		if i == c.StepsPerTask {
			if err := l.EndPhase(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.Step(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := cl.StepBatch(l)
	if err != nil {
		t.Fatal(err)
	}
	batch, size := s.Batch, 64
	batch.Noise, batch.GivenNoise = make([]float32, len(batch.X)), slices.Repeat([]bool{true}, len(batch.T))
	for i := range batch.Noise {
		batch.Noise[i] = float32(math.Sin(float64(i*i) / 7))
	}
	xt := slices.Clone(batch.Noise)
	for i := range s.Replay - 2 { // the last two are pure noise
		at := s.Row(i)
		row := xt[at*size : (at+1)*size]
		n.Process.QSample(row, batch.X[at*size:(at+1)*size], batch.Noise[at*size:(at+1)*size], int(batch.T[at]))
	}
	labels := slices.Clone(batch.Y)
	labels[s.Row(2)], labels[s.Row(3)] = 6, 6 // none
	teacher, err := n.Teacher()
	if err != nil {
		t.Fatal(err)
	}
	mine, err := n.Denoiser(false).Output(xt, batch.T, labels)
	if err != nil {
		t.Fatal(err)
	}
	taught, err := teacher.Output(xt, batch.T, labels)
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for kind, weight := range []float64{0.5, 2, 3} {
		mean := 0.0
		for _, i := range []int{2 * kind, 2*kind + 1} {
			for j := range size {
				d := float64(mine[s.Row(i)*size+j]) - float64(taught[s.Row(i)*size+j])
				mean += d * d / float64(2*size)
			}
		}
		if mean == 0 {
			t.Fatal("the network has not moved away from its teacher")
		}
		want += weight * mean
	}
	r, err := n.Step(batch, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(r.Distil/want-1) > 1e-4 { // float32 sums of 384 squares
		t.Errorf("the consistency losses are %g in the step and %g by hand", r.Distil, want)
	}
}

func TestCCDRefusesTooFewRows(t *testing.T) {
	s := made(t, "ccd", map[string]any{"rows": 2})
	if err := s.Begin(cl.Setup{Tasks: 2, ReplayRows: 2}); err == nil || !strings.Contains(err.Error(), "too few") {
		t.Errorf("two rows for three losses: %v", err)
	}
}
