package diffusion

import (
	"os"
	"slices"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/distributed"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"

	"palimpsest/pkg/network"
)

// Names of what holds a network's weights: of a vector in the store, of a folder of tensors in [StateFile].
const (
	scopeModel   = "model"   // trained weights
	scopeEMA     = "ema"     // their exponential moving average
	scopeTeacher = "teacher" // a frozen copy, where [Extra] asks for it
)

// Network is a network with its process, optimiser state and averaged weights on one backend. It is not to be used by
// several goroutines at once.
type Network struct {
	Process *Process
	Net     network.Network // its architecture
	Shape   network.Shape   // of Net
	Train   TrainConfig

	backend compute.Backend
	store   *model.Store // flat vectors, see flat.go
	layout  *model.Store // the weights one by one, without values
	tensors []weight     // of layout, in the order of the flat vectors
	seed    uint64
	weights []float64                                 // of the loss, by timestep
	initial func(name string, values []float32) error // of [Network.StartFrom]; nil: weights are drawn
	step    *model.Exec
	outputs [3]*model.Exec // raw, EMA, teacher
	loops   [3]*model.Exec // samplers of these
	copies  *Exec          // of all variables: [Network.Snapshot]

	extra       Extra
	terms       []*term        // that extra declares
	importances [2]*model.Exec // of Fisher and MAS

	held *held                   // images on the device; nil: none
	mesh *distributed.DeviceMesh // of the devices that a step computes on; nil: on the first
	rows int                     // of a step, where there are several devices; 0: there was no step

	stepRows int // of the steps done; 0: there was none

	far       bool // the device has a memory of its own: to fetch one array is quicker than two
	apart     bool // far, or told to be treated so: [ApartEnv]
	built     bool // all variables are in the store
	stepped   bool // the training step is compiled, or about to be
	closed    bool
	predicted atomic.Int64
}

// NewNetwork prepares a network whose weights are drawn from seed. Nothing is compiled before the first call.
func NewNetwork(backend compute.Backend, p *Process, net network.Network, c TrainConfig, seed uint64) (*Network, error) {
	switch {
	case backend == nil:
		return nil, errors.New("diffusion.NewNetwork: no backend (nil); open one by backend.Open")
	case net == nil:
		return nil, errors.New("diffusion.NewNetwork: no architecture (nil); take a unet.Config or a dit.Config")
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	shape := net.Shape()
	if want := p.OutChannels(shape.Channels); shape.OutChannels != want {
		return nil, errors.Errorf("diffusion: variance %q needs a network with %d output channels, not %d", p.Variance, want, shape.OutChannels)
	}
	if err := net.Validate(); err != nil {
		return nil, err
	}
	if err := c.ValidateFor(p); err != nil {
		return nil, err
	}
	weights, err := p.LossWeights(c.LossWeight)
	if err != nil {
		return nil, err
	}
	n := &Network{Process: p, Net: net, Shape: shape, Train: c, backend: backend, store: model.NewStore(), layout: model.NewStore(),
		seed: seed, weights: weights}
	n.far = isCUDA(backend)
	if n.apart, err = apart(n.far); err != nil {
		return nil, err
	}
	if n.step, err = model.NewExec(backend, n.store, n.stepGraph); err != nil {
		return nil, err
	}
	n.step.SetMaxCache(1)
	if n.copies, err = NewExec(backend, func(all []*Node) []*Node {
		for i, x := range all {
			all[i] = Identity(x)
		}
		return all
	}); err != nil {
		return nil, err
	}
	for i, name := range []string{scopeModel, scopeEMA, scopeTeacher} {
		n.outputs[i], err = model.NewExec(backend, n.store, func(_ *model.Scope, x, t, y *Node) *Node {
			return n.forward(n.parts(x, name), network.Inputs{X: x, T: t, Y: y, NoGradient: true})
		})
		if err != nil {
			return nil, err
		}
		if n.loops[i], err = model.NewExec(backend, n.store, n.loopGraph(name)); err != nil {
			return nil, err
		}
	}
	for i, of := range []func(pred, loss *Node) *Node{lossOfRow, squaredOutput} {
		if n.importances[i], err = model.NewExec(backend, n.store, n.importanceGraph(of)); err != nil {
			return nil, err
		}
		n.importances[i].SetMaxCache(1)
	}
	return n, nil
}

// isCUDA says whether a backend computes on an NVIDIA GPU, under whatever measures what goes through it.
func isCUDA(b compute.Backend) bool {
	if over, ok := b.(interface{ Unwrap() compute.Backend }); ok {
		b = over.Unwrap()
	}
	x, ok := b.(interface{ IsCUDA() bool })
	return ok && x.IsCUDA()
}

// ApartEnv says, as 1 or 0, whether training treats the device as one with a memory of its own, apart from the processor's
// ([Network.Apart]); unset, a GPU is one.
const ApartEnv = "PALIMPSEST_APART"

// apart reads ApartEnv.
func apart(far bool) (bool, error) {
	switch v := os.Getenv(ApartEnv); v {
	case "":
		return far, nil
	case "0", "1":
		return v == "1", nil
	default:
		return false, errors.Errorf("diffusion: %s is %q; set it to 1 or 0, or unset it", ApartEnv, v)
	}
}

// Apart says that the device has a memory of its own: images are better kept there than sent with every step, and it had better not
// wait for the host between steps. Digits do not depend on it.
func (n *Network) Apart() bool { return n.apart }

// Close frees the compiled graphs and the weights. What is asked of the network afterwards is an error.
func (n *Network) Close() {
	if n.closed {
		return
	}
	n.closed = true
	n.step.Finalize()
	n.copies.Finalize()
	for _, exec := range slices.Concat(n.outputs[:], n.loops[:], n.importances[:]) {
		exec.Finalize()
	}
	n.held.drop()
	n.store.Finalize()
	n.layout.Finalize()
}
