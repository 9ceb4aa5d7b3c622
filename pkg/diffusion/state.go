package diffusion

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"palimpsest/pkg/network"
	"palimpsest/pkg/safetensors"
)

// StateFile is the name of the file that [Network.Save] writes.
const StateFile = "network.safetensors"

// open reports a network that was closed.
func (n *Network) open() error {
	if n.closed {
		return errors.New("diffusion: the network was closed, and its weights are gone; use it before Network.Close")
	}
	return nil
}

// build creates every variable a network ever has, if they are not there yet, without compiling anything: weights,
// their averages, and the optimiser's state under the names GoMLX's Adam looks for. Their order, and with it the
// compiled step, is the same whatever is called first and wherever the values come from.
func (n *Network) build() error {
	if err := n.open(); err != nil || n.built {
		return err
	}
	u := n.Shape
	err := exceptions.TryCatch[error](func() {
		g := NewGraph(n.backend, "weights")
		defer g.Finalize()
		model.SetStore(g, n.layout)
		n.Net.Forward(n.names(), n.seed, network.Inputs{
			X: Parameter(g, "x", shapes.Make(dtypes.Float32, 1, u.H, u.W, u.Channels)),
			T: Parameter(g, "t", shapes.Make(dtypes.Int32, 1)),
			Y: Parameter(g, "y", shapes.Make(dtypes.Int32, 1)),
		})
	})
	if err != nil {
		return errors.WithMessage(err, "diffusion: building the network")
	}
	vars, err := network.Weights(n.names())
	if err != nil {
		return err
	}
	n.tensors = nil
	end := 0
	for _, v := range vars {
		first := end
		end += v.Shape().Size()
		n.tensors = append(n.tensors, weight{v, first, end})
	}
	values, err := n.gather()
	if err != nil {
		return err
	}
	n.forget()
	if n.initial != nil {
		for _, w := range n.tensors {
			name := strings.TrimPrefix(w.variable.Path(), "/"+scopeModel+"/")
			if err := n.initial(name, values[w.first:w.end]); err != nil {
				return errors.WithMessagef(err, "diffusion: initial values of %s", name)
			}
		}
	}
	if _, err := n.store.CreateVariable("/"+scopeModel, tensors.FromFlatDataAndDimensions(values, end)); err != nil {
		return err
	}
	if err := n.untrained("/"+scopeEMA, tensors.FromFlatDataAndDimensions(values, end)); err != nil {
		return err
	}
	for _, s := range n.optimizerState() {
		if err := n.untrained(s.path, tensors.FromShape(s.shape)); err != nil {
			return err
		}
	}
	if err := n.buildExtra(); err != nil {
		return err
	}
	n.built = true
	return nil
}

// StartFrom has the network begin with other weights than those drawn from its seed, whenever it begins: now, which must be
// before anything else is asked of it, and at each [Network.Reset]. initial is called for every weight with its name below
// model/ in [StateFile] and the values drawn for it, which it may change.
func (n *Network) StartFrom(initial func(name string, values []float32) error) error {
	if n.built {
		return errors.New("diffusion: the network has its weights already; call StartFrom right after NewNetwork")
	}
	n.initial = initial
	return nil
}

type pathShape struct {
	path  string
	shape shapes.Shape
}

// optimizerState lists the variables of GoMLX's Adam; all start at zero.
func (n *Network) optimizerState() []pathShape {
	scalar := shapes.Make(dtypes.Float32)
	list := []pathShape{
		{model.JoinPath("/", optimizer.Scope, optimizer.ParamLearningRate), scalar},
		{"/" + optimizer.GlobalStepVariableName, shapes.Make(dtypes.Int64)},
		{model.JoinPath("/", optimizer.AdamDefaultScope, "step"), scalar},
	}
	for _, moment := range n.moments() {
		list = append(list, pathShape{moment.path, n.vector(scopeModel).Shape()})
	}
	return list
}

// untrained creates a variable that the optimiser leaves alone.
func (n *Network) untrained(path string, value *tensors.Tensor) error {
	v, err := n.store.CreateVariable(path, value)
	if err != nil {
		return err
	}
	v.SetTrainable(false)
	return nil
}

// Save writes weights, averages, optimiser state and what the network was extended by, bit for bit, to StateFile in dir,
// which must exist. Tensors are named model/..., ema/... and so on; any reader of safetensors can open it.
func (n *Network) Save(dir string) error {
	all, err := n.saved(func(value *tensors.Tensor) (*tensors.Tensor, error) { return value, nil })
	if err != nil {
		return err
	}
	return save(dir, all)
}

// save writes StateFile.
func save(dir string, all []safetensors.Tensor) error {
	// PyTorch's reader wants to see its own name.
	err := safetensors.WriteFile(filepath.Join(dir, StateFile), map[string]string{"format": "pt"}, all)
	return errors.WithMessage(err, "diffusion")
}

// Snapshot is what [Network.Save] writes, as it was at a moment.
type Snapshot struct{ all []safetensors.Tensor }

// Snapshot copies all that Save writes, so that it can be saved while the network goes on. The copy is made on the device, behind the steps
// launched before it, and waited for by nobody but [Snapshot.Save], which carries it off. Where the device has no room for it, or there are several
// devices, it is made in the processor's memory at once. Its user is done with it before the network is closed.
func (n *Network) Snapshot() (*Snapshot, error) {
	if n.mesh == nil {
		if all, err := n.copied(); err == nil {
			return &Snapshot{all}, nil
		}
	}
	all, err := n.saved((*tensors.Tensor).LocalClone)
	return &Snapshot{all}, errors.WithMessage(err, "diffusion: copying the network off the device")
}

// copied is what [Network.saved] lists, with copies on the device in the variables' places.
func (n *Network) copied() ([]safetensors.Tensor, error) {
	var values []any
	at := map[*tensors.Tensor]int{}
	all, err := n.saved(func(value *tensors.Tensor) (*tensors.Tensor, error) {
		at[value] = len(values)
		values = append(values, value)
		return value, nil
	})
	if err != nil {
		return nil, err
	}
	copies, err := n.copies.Call(values...)
	if err != nil {
		return nil, err
	}
	for i, t := range all {
		all[i].Value = copies[at[t.Value]]
	}
	return all, nil
}

// Save is [Network.Save] of the moment. It may run beside the network's steps. What the device held of the copy is freed first.
func (s *Snapshot) Save(dir string) error {
	if s.all == nil {
		return errors.New("diffusion: a snapshot that was dropped has nothing to save; take another by Network.Snapshot")
	}
	for _, t := range s.all {
		if err := t.Value.ToLocal(); err != nil { // which does nothing the second time
			return errors.WithMessage(err, "diffusion: copying the network off the device")
		}
	}
	return save(dir, s.all)
}

// Drop frees the copy, saved or not.
func (s *Snapshot) Drop() {
	for _, t := range s.all {
		_ = t.Value.FinalizeAll() // of an array that nobody looks at any more
	}
	s.all = nil
}

// saved lists the tensors of StateFile, with what of makes of the variables' values.
func (n *Network) saved(of func(*tensors.Tensor) (*tensors.Tensor, error)) ([]safetensors.Tensor, error) {
	if err := n.build(); err != nil {
		return nil, err
	}
	var all []safetensors.Tensor
	for v := range n.store.IterVariables() {
		value, err := v.Value()
		if err == nil {
			value, err = of(value)
		}
		if err != nil {
			return nil, err
		}
		for _, s := range n.stored(v) {
			all = append(all, safetensors.Tensor{Name: s.name, Value: value, Part: s.part})
		}
	}
	return all, nil
}

// Load replaces all that [Network.Save] wrote by what is saved in dir. A file that lacks a tensor of this
// network, holds another, or has one of another shape is refused, and then nothing is replaced.
func (n *Network) Load(dir string) error {
	if err := n.build(); err != nil {
		return err
	}
	want := make(map[string]shapes.Shape)
	for v := range n.store.IterVariables() {
		for _, s := range n.stored(v) {
			want[s.name] = s.shape
		}
	}
	values, err := safetensors.ReadFile(filepath.Join(dir, StateFile), want)
	if err != nil {
		return errors.WithMessage(err, "diffusion")
	}
	for v := range n.store.IterVariables() {
		if err := n.restore(v, values); err != nil {
			return err
		}
	}
	return nil
}

// stored is a tensor of StateFile: a variable, or one weight's part of a vector.
type stored struct {
	name  string
	shape shapes.Shape
	part  *safetensors.Part // nil: all of the variable
}

// stored lists the tensors that hold a variable in StateFile.
func (n *Network) stored(v *model.Variable) []stored {
	vectors := n.vectors()
	i := slices.IndexFunc(vectors, func(x vector) bool { return x.path == v.Path() })
	if i < 0 {
		return []stored{{strings.TrimPrefix(v.Path(), "/"), v.Shape(), nil}}
	}
	list := make([]stored, len(n.tensors))
	for k, w := range n.tensors {
		dims := w.variable.Shape().Dimensions
		if vectors[i].rows > 0 {
			dims = append([]int{vectors[i].rows}, dims...)
		}
		list[k] = stored{vectors[i].before + strings.TrimPrefix(w.variable.Path(), "/"+scopeModel+"/") + vectors[i].after,
			shapes.Make(v.Shape().DType, dims...), &safetensors.Part{First: w.first, Dims: dims}}
	}
	return list
}

// restore sets a variable to what StateFile held of it, which it takes over.
func (n *Network) restore(v *model.Variable, values map[string]*tensors.Tensor) error {
	list := n.stored(v)
	if list[0].part == nil {
		return v.SetValue(values[list[0].name])
	}
	whole := tensors.FromShape(v.Shape())
	for _, s := range list {
		if err := s.part.Copy(whole, values[s.name]); err != nil {
			return err
		}
		if err := values[s.name].FinalizeAll(); err != nil { // a large network's values would otherwise be there three times
			return err
		}
	}
	return v.SetValue(whole)
}

// Reset makes the network what [NewNetwork] (and [Network.StartFrom]) makes of seed, but keeps what is compiled: several runs of one configuration
// then compile once. The optimiser and the count of predictions start again too.
func (n *Network) Reset(seed uint64) error {
	if err := n.build(); err != nil {
		return err
	}
	other := &Network{Process: n.Process, Net: n.Net, Shape: n.Shape, Train: n.Train, extra: n.extra, terms: n.terms, backend: n.backend, store: model.NewStore(),
		layout: model.NewStore(), seed: seed, initial: n.initial}
	if err := other.build(); err != nil {
		return err
	}
	for v := range n.store.IterVariables() {
		value, err := other.store.GetVariable(v.Path()).Value()
		if err != nil {
			return err
		}
		if err := v.SetValue(value); err != nil {
			return err
		}
	}
	n.seed = seed
	n.predicted.Store(0)
	return nil
}

// ResetOptimizer forgets the optimiser's moments and counters; weights and averages stay. The caller's index of
// [Network.Step] starts at 0 again for the warm-up to be repeated.
func (n *Network) ResetOptimizer() error {
	if err := n.build(); err != nil {
		return err
	}
	for _, s := range n.optimizerState() {
		if err := n.store.GetVariable(s.path).SetValue(tensors.FromShape(s.shape)); err != nil {
			return err
		}
	}
	return nil
}

// Parameters is the number of trained weights. It is 0 only where the network cannot be built, which the first call
// that can fail reports.
func (n *Network) Parameters() int {
	if !n.built && n.build() != nil {
		return 0
	}
	return n.tensors[len(n.tensors)-1].end
}

// PredictionCalls counts the rows, over all batches and both of guidance's calls, that this network's Denoisers have
// evaluated.
func (n *Network) PredictionCalls() int64 { return n.predicted.Load() }

// ready reports what does not fit in a call of the network on the images x, [B, D], at timesteps t and with labels y, both [B], and
// builds it.
func (n *Network) ready(x []float32, t, y []int32) error {
	if rows := len(t); rows == 0 || len(x) != rows*n.Shape.Values() || len(y) != rows {
		return errors.Errorf("diffusion: %d timesteps, %d labels and %d pixels; need %d pixels and one label a timestep",
			rows, len(y), len(x), rows*n.Shape.Values())
	}
	if err := n.labelsInRange(y); err != nil {
		return err
	}
	if err := n.Process.timestepsInRange(t); err != nil {
		return err
	}
	return n.build()
}

// labelsInRange reports the first label that a class-conditional network does not know.
func (n *Network) labelsInRange(y []int32) error {
	i := slices.IndexFunc(y, func(y int32) bool { return y < 0 || int(y) > n.Shape.Classes })
	if n.Shape.Classes > 0 && i >= 0 {
		return errors.Errorf("diffusion: label %d of row %d is outside 0 .. %d, the last meaning no label", y[i], i, n.Shape.Classes)
	}
	return nil
}
