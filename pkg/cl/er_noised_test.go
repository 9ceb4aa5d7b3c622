package cl_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/memory"
)

func TestNoisedERConforms(t *testing.T) {
	er := func(lambda float64) func() cl.Strategy {
		return func() cl.Strategy {
			return made(t, "er", map[string]any{"lambda": lambda, "buffer": 11, "noised": true, "policy": memory.NameReservoir})
		}
	}
	// The images that it reports are those of its pairs but for rounding, hence Synthetic.
	cltest.Conform(t, er(0.3), cltest.Options{ZeroWeight: er(0), MaxImages: 11, Synthetic: true})
}

// TestNoisedPairs: each replayed row is x_t = a·x0 + b·ε of an image x0 of the task before, at a timestep of the range, and its target is
// that ε, (x_t - a·x0)/b; it weighs λ/Replay, is not mirrored, has its image's label or none, and is the same to the bit whenever it is
// replayed. Either
// value is at most half a step of 8/255 off.
func TestNoisedPairs(t *testing.T) {
	b, c := plain()
	b.Prep.Flip, c.LabelDropout = true, 0.3
	er := made(t, "er", map[string]any{"lambda": 0.6, "buffer": 5, "noised": true, "timesteps": "range:0.25-0.75"}).(*cl.ER)
	n := cltest.NewNetworkFor(t, 8, er)
	l, err := cl.NewLoop(n, b, er, c, cl.Setup{Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	phase(t, l)
	first, size := b.Tasks[0].Train, b.H*b.W*b.C
	const half = 4. / 255
	known := map[string]bool{}
	for range 3 {
		s, err := cl.StepBatch(l)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Replay {
			row := s.Row(i)
			at, xt, target := s.Batch.T[row], s.Batch.Noise[row*size:(row+1)*size], s.Batch.Target[row*size:(row+1)*size]
			if at < 5 || at >= 15 {
				t.Errorf("timestep %d, want one from 5 to 14", at)
			}
			if s.Batch.W[row] != 0 || s.Batch.TargetW[row] != float32(0.6/4) || !s.Batch.PureNoise[row] || !s.Batch.GivenNoise[row] {
				t.Fatalf("row %d weighs %g by its own loss and %g by its target", row, s.Batch.W[row], s.Batch.TargetW[row])
			}
			a, sigma := n.Process.Signal[at], n.Process.Sigma[at]
			from := slices.IndexFunc(er.Memory().Items(), func(item memory.Item) bool {
				x0 := make([]float32, size)
				datasets.Scale(x0, first.Image(int(item.Offer)))
				for p := range x0 {
					noise := (float64(xt[p]) - a*float64(x0[p])) / sigma
					cut := math.Abs(float64(xt[p])) == 4 || math.Abs(float64(target[p])) == 4
					if !cut && math.Abs(float64(target[p])-noise) > 1.001*half*(1+1/sigma) {
						return false
					}
				}
				return item.Class == int(s.Batch.Y[row]) || int(s.Batch.Y[row]) == len(b.ClassNames)
			})
			if from < 0 {
				t.Errorf("row %d is a pair of no image in the buffer, or under another label", row)
			}
			known[fmt.Sprint(from, at, xt, target)] = true
		}
		if _, err := l.Step(); err != nil {
			t.Fatal(err)
		}
	}
	if len(known) > 5 || len(known) < 3 {
		t.Errorf("%d different pairs were replayed from a buffer of 5, in 12 rows", len(known))
	}
	if got, want := er.Stored().Bytes, int64(5*(2*64+13)); got != want {
		t.Errorf("%d bytes stored, want %d: two bytes a value, and 13 of bookkeeping", got, want)
	}
}

// TestNoisedRecovers: where the network predicts the velocity v, x0 = a·x_t - b·v gives the image away at any timestep but for rounding:
// of at most (a+b)·4/255 ≤ √2·4/255, which are 2.8 grey levels, and half of one.
func TestNoisedRecovers(t *testing.T) {
	p, err := diffusion.New(diffusion.Config{T: 1000, Schedule: "cosine", Prediction: diffusion.PredictVelocity, Variance: diffusion.FixedLarge})
	if err != nil {
		t.Fatal(err)
	}
	er := made(t, "er", map[string]any{"noised": true, "buffer": 24, "policy": memory.NameReservoir}).(*cl.ER)
	b, _ := plain()
	train := b.Tasks[0].Train
	if err := er.Begin(cl.Setup{Seed: 3, Tasks: 2, ReplayRows: 4, H: 8, W: 8, C: 1, Timesteps: 1000, Network: &diffusion.Network{Process: p}}); err != nil {
		t.Fatal(err)
	}
	if err := er.EndTask(0, train); err != nil {
		t.Fatal(err)
	}
	got, far := er.Stored().Images, 0
	for i, v := range got.Pixels {
		if math.Abs(float64(v)-float64(train.Pixels[i])) > 127.5*4*math.Sqrt2/255+0.5 {
			far++
		}
	}
	if far > 3 { // of 1536 pixels, each of which is cut with probability 0.0001 or so
		t.Errorf("%d of %d pixels are not recovered", far, len(got.Pixels))
	}
}

func TestNoisedRefuses(t *testing.T) {
	for want, settings := range map[string]map[string]any{
		"compares images":       {"policy": memory.NameHerding},
		"policy \"high-loss\"":  {"policy": memory.NameHighLoss},
		"at the same timesteps": {"schedule": cl.ScheduleAdaptive},
	} {
		settings["noised"] = true
		if _, err := cl.New(cl.Spec{Name: "er", Settings: settings}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v gives %v, want %q", settings, err, want)
		}
	}
	if label := made(t, "er", map[string]any{"noised": true}).Label(); label != "er λ=1 noised" {
		t.Errorf("label %q", label)
	}
}
