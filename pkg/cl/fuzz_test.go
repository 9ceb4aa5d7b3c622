package cl

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // quick to open, and nothing is computed
	"gonum.org/v1/gonum/mat"
	"gopkg.in/yaml.v3"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/fuzztest"
	"palimpsest/pkg/settings"
	"palimpsest/pkg/unet"
)

// begun is a strategy of a small run, and its state after the first task where that needs no computing.
type begun struct {
	strategy Strategy
	good     []byte
}

// restorable are all strategies, and some composed, at the beginning of a run of two tasks.
func restorable(f *testing.F) (all []begun) {
	f.Helper()
	const side, classes, tasks, timesteps = 4, 4, 2, 5
	back, err := compute.NewWithConfig("go:parallelism=-1")
	if err != nil {
		f.Fatal(err)
	}
	p, err := diffusion.New(diffusion.Config{T: timesteps, Schedule: "linear", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedLarge})
	if err != nil {
		f.Fatal(err)
	}
	u := unet.Config{ImageSize: side, Channels: 1, OutChannels: 1, Base: 4, Mults: []int{1}, ResBlocks: 1, Heads: 1, Groups: 2, Classes: classes}
	im := &datasets.Images{N: 6, H: side, W: side, C: 1, Pixels: make([]uint8, 6*side*side), Labels: []int32{0, 1, 0, 1, 0, 1}}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range im.Pixels {
		im.Pixels[i] = uint8(rng.IntN(256))
	}
	for _, name := range append(Names(), "er+lwf", "er+ewc_rank1+generative_distillation") {
		s, err := New(Spec{Name: name})
		if err != nil {
			f.Fatal(err)
		}
		has, err := Settings(s)
		if err != nil {
			f.Fatal(err)
		}
		set := map[string]any{}
		for key, value := range map[string]any{"buffer": 3, "pool": 2, "generative_distillation_pool": 2, "sampler_steps": 2, "generative_distillation_sampler_steps": 2, "targets": 1, "schedule": "adaptive"} {
			if _, ok := has[key]; ok && (key != "schedule" || name == "er") {
				set[key] = value
			}
		}
		if s, err = New(Spec{Name: name, Settings: set}); err != nil {
			f.Fatal(err)
		}
		setup := Setup{Seed: 1, Tasks: tasks, StepsPerTask: 2, FreshRows: 3, ReplayRows: 3, H: side, W: side, C: 1, Classes: classes, Timesteps: timesteps,
			Features: func(im *datasets.Images) (*mat.Dense, error) { return mat.NewDense(im.N, 2, nil), nil }}
		network, err := diffusion.NewNetwork(back, p, u, diffusion.TrainConfig{LearningRate: 1e-3, EMA: 0.9}, 1)
		if err != nil {
			f.Fatal(err)
		}
		if err := network.Extend(s.Needs(setup)); err != nil {
			f.Fatal(err)
		}
		setup.Network = network
		if err := s.Begin(setup); err != nil {
			f.Fatal(err)
		}
		if err := s.EndTask(0, im); err != nil {
			f.Fatal(err)
		}
		consolidate(s, im)
		good, err := s.State()
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, begun{s, slices.Clone(good)})
	}
	return all
}

// consolidate puts into a strategy what the network would have made of the task's images.
func consolidate(s Strategy, im *datasets.Images) {
	switch s := s.(type) {
	case *DER:
		s.kept[s.memory.Items()[1].Offer] = make([]float32, s.Targets*im.H*im.W*im.C)
	case *GR:
		s.pool, s.generated = im.Select([]int{0, 1}), []Generated{{Task: 1, Images: 2, Asked: []int{1, 1}, Judged: []int{2, 0}, Right: []int{1, 0}}}
	case *GenerativeDistillation:
		s.pool, s.generated = im.Select([]int{0, 1}), []Generated{{Task: 1, Images: 2, Asked: []int{1, 1}, Judged: []int{2, 0}, Right: []int{1, 0}}}
	case *Composite:
		for _, p := range s.parts {
			consolidate(p, im)
		}
	}
}

// FuzzRestore restores arbitrary states of every strategy. One that is accepted is written as it was read; after one that is
// refused the strategy still takes an earlier checkpoint's.
func FuzzRestore(f *testing.F) {
	all := restorable(f)
	for i, b := range all {
		f.Add(uint8(i), b.good)
		if n := len(b.good); n > 0 {
			f.Add(uint8(i), b.good[:n-1])
			changed := bytes.Clone(b.good)
			changed[min(8, n-1)] ^= 0x81
			f.Add(uint8(i), changed)
		}
	}
	f.Add(uint8(0), []byte{1})
	f.Fuzz(func(t *testing.T, which uint8, state []byte) {
		b := all[int(which)%len(all)]
		name := b.strategy.Info().Name
		restored := func(want []byte) {
			t.Helper()
			written, err := b.strategy.State()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			fuzztest.Same(t, written, want)
			b.strategy.Stored()
		}
		if fuzztest.Read(t, len(state), func() error { return b.strategy.Restore(bytes.Clone(state)) }) == nil {
			restored(state)
			return
		}
		if err := b.strategy.Restore(bytes.Clone(b.good)); err != nil {
			t.Fatalf("%s: after a damaged state, a sound one is refused: %v", name, err)
		}
		restored(b.good)
	})
}

// FuzzSpec reads arbitrary names and settings. A strategy that comes of them is made again by its own settings.
func FuzzSpec(f *testing.F) {
	for _, text := range []string{"name: er\nlambda: 0.3", "{name: er+gd, generative_distillation_lambda: .5}", "name: er\nbuffer: -1", "name: er\nlambda: .nan",
		"name: der\ntargets: 99999999999", "name: er\ntimesteps: low:0.25", "name: er\ntimestep_weights: [0, 1, 5]", "name: lora\nrank: 1e9", "name: +", "name: [er]",
		"name: er+er", "&a {name: *a}", "name: ewc\n<<: {lambda: 2}", "- 1", "name: er\n? [a]\n: 1", "name: er\nlambda: [", "name: er\npolicy: \"a\\nb\""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s Strategy
		if fuzztest.Read(t, len(text), func() error {
			var spec Spec
			err := settings.Decode(text, &spec)
			if err == nil {
				s, err = New(spec)
			}
			return err
		}) != nil {
			return
		}
		set, err := Settings(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := New(Spec{Name: s.Info().Name, Settings: set})
		if err != nil {
			t.Fatal(err)
		}
		rewrites(t, again, s)
		if s.Label() != again.Label() {
			t.Fatalf("label %q becomes %q", s.Label(), again.Label())
		}
	})
}

// rewrites checks that two values have one YAML form.
func rewrites(t *testing.T, a, b any) {
	t.Helper()
	written, err := yaml.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	want, err := yaml.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	fuzztest.Same(t, written, want)
}
