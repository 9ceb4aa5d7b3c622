package cl_test

import (
	"math"
	"slices"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/memory"
)

// zeros predicts zeros and notes at which timesteps.
type zeros struct{ t map[int32]int }

func (b zeros) Output(x []float32, t, _ []int32) ([]float32, error) {
	for _, t := range t {
		b.t[t]++
	}
	return make([]float32, len(x)), nil
}

// TestImageLossesByHand: of a network that predicts an image of zeros, the loss of a picture of one value v is v², whatever the noise,
// and at each of eight timesteps the middle of an eighth of 0 .. T-1. 101 images are two calls of 100 rows at each.
func TestImageLossesByHand(t *testing.T) {
	p, err := diffusion.New(diffusion.Config{T: 1000, Schedule: "cosine", Prediction: diffusion.PredictImage, Variance: diffusion.FixedLarge})
	if err != nil {
		t.Fatal(err)
	}
	im := &datasets.Images{N: 101, H: 2, W: 2, C: 1, Labels: make([]int32, 101)}
	for i := range im.N {
		im.Pixels = append(im.Pixels, slices.Repeat([]uint8{uint8(2 * i)}, 4)...)
	}
	d := zeros{map[int32]int{}}
	losses, rows, err := cl.ImageLosses(cl.Setup{Seed: 1, H: 2, W: 2, C: 1, Timesteps: 1000, Network: &diffusion.Network{Process: p}}, d, im)
	if err != nil {
		t.Fatal(err)
	}
	for i, loss := range losses {
		v := float64(2*i)/127.5 - 1
		if math.Abs(loss-v*v) > 1e-6 { // float32 pixels
			t.Errorf("image %d has the loss %g, want %g", i, loss, v*v)
		}
	}
	if rows != 1600 {
		t.Errorf("%d rows, want 8·200", rows)
	}
	for k := range 8 {
		if at := int32(62.5 + 125*float64(k)); d.t[at] != 200 {
			t.Errorf("timesteps %v, want 200 rows at %d", d.t, at)
		}
	}
}

// TestERKeepsByLoss: what a task leaves in the buffer are the images of highest, or lowest, loss of each class under the averaged
// network of that moment, and what it took to know is counted.
func TestERKeepsByLoss(t *testing.T) {
	b, c := plain()
	for _, policy := range []string{memory.NameHighLoss, memory.NameLowLoss} {
		n, er := cltest.NewNetwork(t), cl.NewER()
		er.Policy, er.Buffer = policy, 6
		l, err := cl.NewLoop(n, b, er, c, cl.Setup{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		for !l.PhaseDone() {
			if _, err := l.Step(); err != nil {
				t.Fatal(err)
			}
		}
		setup, train := cl.SetupOf(b, c, n.Process), b.Tasks[0].Train
		setup.Seed, setup.Network = 1, n
		// The number of images in a call does not change their losses, nor do others beside them.
		losses, _, err := cl.ImageLosses(setup, n.Denoiser(true), train)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.EndPhase(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, class := range []int{0, 1} {
			var want []int
			for i, label := range train.Labels {
				if int(label) == class {
					want = append(want, i)
				}
			}
			slices.SortFunc(want, func(i, j int) int {
				if (losses[i] > losses[j]) == (policy == memory.NameHighLoss) {
					return -1
				}
				return 1
			})
			var got []int
			for _, item := range er.Memory().Items() {
				if item.Class == class {
					got = append(got, int(item.Offer))
				}
			}
			if !slices.Equal(got, want[:3]) {
				t.Errorf("%s: of class %d images %v are kept, want %v", policy, class, got, want[:3])
			}
		}
		if got := er.Stored().ExtraEvaluations; got != 2*8*100 {
			t.Errorf("%s: %d evaluations, want 8 calls of 100 rows for each of two classes", policy, got)
		}
	}
}
