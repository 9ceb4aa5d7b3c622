package cltest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"gonum.org/v1/gonum/mat"

	"palimpsest/datasets"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dit"
	"palimpsest/pkg/network/networktest"
	"palimpsest/pkg/unet"
)

const (
	side   = 8  // of the images, in pixels
	images = 24 // of each task
	tasks  = 3

	timesteps = 20
)

// Config is the loop that the suite runs: short, with everything random switched on.
func Config() cl.LoopConfig {
	return cl.LoopConfig{FreshRows: 4, ReplayRows: 4, StepsPerTask: 4, ResetOptimizer: true, LabelDropout: 0.2}
}

// NewBenchmark returns a benchmark of 3 tasks of 24 grey 8×8 images of two classes each, with flips. No two images are
// equal, and none equals a mirrored one.
func NewBenchmark() *datasets.Benchmark {
	b := &datasets.Benchmark{Name: "test", H: side, W: side, C: 1, Prep: datasets.Prep{Method: "none", Flip: true}}
	rng := rand.New(rand.NewPCG(11, 12))
	for task := range tasks {
		im := &datasets.Images{N: images, H: side, W: side, C: 1}
		for i := range images {
			for p := range side * side {
				switch p { // the signature: task and number, in the first two pixels
				case 0:
					im.Pixels = append(im.Pixels, uint8(60*task+10))
				case 1:
					im.Pixels = append(im.Pixels, uint8(10*i))
				default:
					im.Pixels = append(im.Pixels, uint8(rng.IntN(256)))
				}
			}
			im.Labels = append(im.Labels, int32(2*task+i%2))
		}
		classes := []int{2 * task, 2*task + 1}
		b.Tasks = append(b.Tasks, datasets.Task{ID: task, Name: fmt.Sprint("task ", task), Classes: classes, Train: im})
		for _, c := range classes {
			b.ClassNames = append(b.ClassNames, fmt.Sprint("class ", c))
		}
	}
	return b
}

// Features stands in for a classifier: the mean of each quarter of an image and of the whole.
func Features(im *datasets.Images) (*mat.Dense, error) {
	m := mat.NewDense(im.N, 5, nil)
	for i := range im.N {
		for p, v := range im.Image(i) {
			quarter := p/(side*side/2)*2 + p%side/(side/2)
			m.Set(i, quarter, m.At(i, quarter)+float64(v))
			m.Set(i, 4, m.At(i, 4)+float64(v))
		}
	}
	return m, nil
}

// kind is what networks of the suite must have in common to share their compiled step.
type kind struct {
	rows  int // of a step
	extra diffusion.Extra
	form  string // of [forms]

	devices int    // that the step computes on; 0: one
	apart   string // what diffusion.ApartEnv was set to for it; "": as it is
}

// forms are the networks and processes that the suite has beside its usual ones, which are "".
var forms = map[string]func(compute.Backend) (*diffusion.Network, error){"": newNetwork, Flow: newFlow, DiT: newDiT}

// shared are the networks of the process and, for each, the file that holds it as it was when new.
var shared struct {
	sync.Mutex
	networks map[kind]*diffusion.Network
	initial  map[kind][]byte
}

// NewNetwork returns a class-conditional network for the suite's images with T = 20, dropout and EMA, in its initial
// state. It is for steps of the rows of [Config]: see [NewNetworkOf].
func NewNetwork(t testing.TB) *diffusion.Network {
	t.Helper()
	return NewNetworkOf(t, Config().FreshRows+Config().ReplayRows)
}

// NewNetworkOf is [NewNetwork] for steps of another number of rows. Compiling takes most of a test's time and a network
// compiles for one number of rows, so every call in a process with the same number returns the same network, reset.
func NewNetworkOf(t testing.TB, rows int) *diffusion.Network {
	t.Helper()
	return NewNetworkFor(t, rows, &cl.Finetune{})
}

// NewNetworkFor is [NewNetworkOf] for a strategy: the network is extended by what s needs in the suite's benchmark. Strategies
// that need the same share a network.
func NewNetworkFor(t testing.TB, rows int, s cl.Strategy) *diffusion.Network {
	t.Helper()
	n, err := networkFor(func() (compute.Backend, error) { return backendtest.Open(t), nil }, t.TempDir(), rows, s, "")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// networkFor is [NewNetworkFor] on the backend that open opens, with its files in dir.
func networkFor(open func() (compute.Backend, error), dir string, rows int, s cl.Strategy, form string) (*diffusion.Network, error) {
	return networkOf(open, dir, kindOf(rows, s, form))
}

// networkOf is networkFor of a kind.
func networkOf(open func() (compute.Backend, error), dir string, k kind) (*diffusion.Network, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.networks == nil {
		shared.networks, shared.initial = map[kind]*diffusion.Network{}, map[kind][]byte{}
	}
	if shared.networks[k] == nil {
		back, err := open()
		if err != nil {
			return nil, err
		}
		n, err := forms[k.form](back)
		if err == nil {
			err = n.Extend(k.extra)
		}
		if err == nil && k.devices > 0 {
			err = n.Spread(k.devices)
		}
		if err != nil {
			return nil, err
		}
		if shared.initial[k], err = save(n, dir); err != nil {
			return nil, err
		}
		shared.networks[k] = n
	}
	return shared.networks[k], load(shared.networks[k], dir, shared.initial[k])
}

// kindOf is the kind of network that s needs.
func kindOf(rows int, s cl.Strategy, form string) kind {
	c := Config()
	return kind{rows: rows, form: form, extra: s.Needs(cl.Setup{Tasks: tasks, FreshRows: c.FreshRows, ReplayRows: rows - c.FreshRows,
		H: side, W: side, C: 1, Classes: 2 * tasks, Timesteps: timesteps})}
}

// Of the suite's networks. The checks of a strategy compare bits, which any network shows that has every kind of weight; the forms
// show that it works with those that are trained.
var (
	usual = networktest.Least{H: side, W: side, Channels: 1, OutChannels: 1, Hidden: 8, Dropout: 0.1, Classes: 2 * tasks}
	train = diffusion.TrainConfig{LearningRate: 1e-3, WarmUp: 3, ClipNorm: 1, EMA: 0.9}
)

func newNetwork(back compute.Backend) (*diffusion.Network, error) {
	p, err := diffusion.New(diffusion.Config{T: timesteps, Schedule: "linear", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedLarge})
	if err != nil {
		return nil, err
	}
	return diffusion.NewNetwork(back, p, usual, train, 1)
}

// newFlow is a U-Net of flow matching.
func newFlow(back compute.Backend) (*diffusion.Network, error) {
	p, err := diffusion.New(diffusion.Config{T: timesteps, Schedule: diffusion.FlowSchedule, Prediction: diffusion.PredictFlow, Variance: diffusion.FixedLarge})
	if err != nil {
		return nil, err
	}
	net := unet.Config{ImageSize: side, Channels: 1, OutChannels: 1, Base: 8, Mults: []int{1}, ResBlocks: 1, Heads: 1, Groups: 4,
		Dropout: 0.1, Classes: 2 * tasks}
	return diffusion.NewNetwork(back, p, net, train, 1)
}

// newDiT is a transformer with a learned variance.
func newDiT(back compute.Backend) (*diffusion.Network, error) {
	p, err := diffusion.New(diffusion.Config{T: timesteps, Schedule: "cosine", Prediction: diffusion.PredictVelocity, Variance: diffusion.LearnedRange})
	if err != nil {
		return nil, err
	}
	net := dit.Config{Height: side, Width: side, Channels: 1, OutChannels: 2, Classes: 2 * tasks, Patch: 4, Depth: 2, Hidden: 8, Heads: 2}
	return diffusion.NewNetwork(back, p, net, train, 1)
}

// save returns all of a network's state, bit for bit.
func save(n *diffusion.Network, dir string) ([]byte, error) {
	if err := n.Save(dir); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, diffusion.StateFile))
}

// load replaces all of a network's state.
func load(n *diffusion.Network, dir string, state []byte) error {
	if err := os.WriteFile(filepath.Join(dir, diffusion.StateFile), state, 0o600); err != nil {
		return err
	}
	return n.Load(dir)
}
