package cl

import (
	"cmp"
	"math"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// PackNet gives every task weights of its own within one network, [packnet] section 3:
//
//	L = mean(loss_fresh), over the weights that no task owns; task j is sampled with those of tasks 0 .. j
//
// A task trains the free weights, next to those of the tasks before, which are fixed. For its last steps, the share Retrain,
// the smallest free weights of each kernel are set to zero and the rest, the share that the task keeps, trains on alone;
// then the task owns it. The next task starts with the others at zero. What is small is read off the trained weights; the
// averages share their fate.
//
// Gains, offsets and biases, and the embedding of no label, train in the first task and are fixed from then on, as in
// [packnet]. The embedding of a label trains in the first task that has images of it, which is our reading: [packnet] has an
// output layer for each task instead.
type PackNet struct {
	Retrain float64 `yaml:"retrain"` // share of a task's steps after pruning, 0 < retrain < 1; default 0.33, [packnet]'s 10 of 30 epochs
	Keep    float64 `yaml:"keep"`    // share of a kernel's free weights that a task keeps, 0 to 1 ([packnet]: 0.5, 0.25); default 0: as many for each task of the run
	Base    `yaml:"-"`

	setup   Setup
	kernels [][2]int
	owner   []byte // of each weight: 1 more than the task that owns it, 0 where it is free
	packed  int    // tasks whose weights have been chosen
}

// NewPackNet returns the method with its default settings.
func NewPackNet() *PackNet { return &PackNet{Retrain: 0.33} }

// Info implements [Strategy].
func (*PackNet) Info() Info {
	return Info{Name: "packnet", Title: "weights of its own for each task, by pruning",
		Paper:    "Mallya, Lazebnik 2018, arXiv:1711.05769",
		Equation: "L = mean(loss_fresh), over the weights no task owns; task j is sampled with those of tasks up to j",
		Stores:   "which task owns each weight", Stream: CurrentTask, Labels: true, TaskAtSampling: true}
}

// Label implements [Strategy].
func (p *PackNet) Label() string { return LabelOf(p, NewPackNet()) }

// Validate implements [Strategy].
func (p *PackNet) Validate() error {
	if !(p.Retrain > 0 && p.Retrain < 1) || !(p.Keep >= 0 && p.Keep <= 1) {
		return errors.Errorf("cl: packnet: retrain is %g, keep %g; need 0 < retrain < 1 and 0 <= keep <= 1", p.Retrain, p.Keep)
	}
	return nil
}

// Needs implements [Strategy].
func (*PackNet) Needs(Setup) diffusion.Extra { return diffusion.Extra{Mask: true} }

// Check implements [Strategy].
func (p *PackNet) Check(s Setup) error {
	if s.Tasks > math.MaxUint8 {
		return errors.Errorf("cl: packnet: %d tasks; it tells %d apart", s.Tasks, math.MaxUint8)
	}
	if s.Learned > 0 && p.Keep == 0 {
		return errors.Errorf("cl: packnet: %d tasks have shared out all weights among themselves, and none is free for a task more; make the first run with keep, for instance keep=%g", s.Learned, 0.25)
	}
	if p.Keep == 1 && s.Tasks > 1 {
		return errors.Errorf("cl: packnet: keep is 1, so that the first task keeps all weights and none is free for the %d that follow; take less, for instance keep=%g, or leave it out", s.Tasks-1, 0.25)
	}
	return nil
}

// Begin implements [Strategy].
func (p *PackNet) Begin(s Setup) error {
	if err := p.Check(s); err != nil {
		return err
	}
	if err := needNetwork("packnet", s); err != nil {
		return err
	}
	*p = PackNet{Retrain: p.Retrain, Keep: p.Keep, setup: s, owner: make([]byte, s.Network.Parameters())}
	var err error
	p.kernels, err = s.Network.Kernels()
	return firstError(p.Validate(), err, p.enough())
}

// share is which share of a kernel's free weights a task keeps.
func (p *PackNet) share(task int) float64 {
	if p.Keep == 0 {
		return 1 / float64(p.setup.Tasks-task)
	}
	return p.Keep
}

// kept is how many of a kernel's free weights a task keeps.
func (p *PackNet) kept(task, free int) int { return int(math.Round(p.share(task) * float64(free))) }

// enough reports a task for which no weight is left.
func (p *PackNet) enough() error {
	free := make([]int, len(p.kernels))
	for k, kernel := range p.kernels {
		free[k] = kernel[1] - kernel[0]
	}
	for task := range p.setup.Tasks {
		most := 0
		for k := range free {
			kept := p.kept(task, free[k])
			free[k], most = free[k]-kept, max(most, kept)
		}
		if most == 0 {
			return errors.Errorf("cl: packnet: with keep=%g there is no weight for task %d of %d; take another share, or leave it out", p.Keep, task+1, p.setup.Tasks)
		}
	}
	return nil
}

// BeginTask implements [Strategy]: the task trains the free weights of kernels, and what else it is the first to train.
func (p *PackNet) BeginTask(task int, train *datasets.Images) error {
	labels := make([]int, p.setup.Network.Shape.Classes) // the run's own, and room for more
	for i := range labels {
		labels[i] = i
	}
	ofAny, err := p.setup.Network.LabelWeights(labels)
	if err != nil {
		return err
	}
	ofTask, err := labelWeights(p.setup.Network, classesOf(train))
	if err != nil {
		return err
	}
	free := make([]bool, len(p.owner))
	for _, k := range p.kernels {
		for i := k[0]; i < k[1]; i++ {
			free[i] = true
		}
	}
	for i := range free {
		if !free[i] && p.owner[i] == 0 && (ofTask[i] || task == 0 && !ofAny[i]) {
			p.owner[i] = byte(task + 1)
		}
		free[i] = free[i] && p.owner[i] == 0 || p.owner[i] == byte(task+1)
	}
	return p.setup.Network.SetMask(free)
}

// BeforeStep implements [Strategy]: it prunes where the share of steps for retraining begins.
func (p *PackNet) BeforeStep(s *Step) error {
	n := p.setup.StepsPerTask
	if s.Index != n-max(1, int(math.Round(p.Retrain*float64(n)))) {
		return nil
	}
	return p.prune(s.Task)
}

// prune gives a task the largest free weights of each kernel and sets the others to zero.
func (p *PackNet) prune(task int) error {
	n := p.setup.Network
	weights, err := n.Weights(false)
	averages, err2 := n.Weights(true)
	if err := firstError(err, err2); err != nil {
		return err
	}
	for _, k := range p.kernels {
		var free []int
		for i := k[0]; i < k[1]; i++ {
			if p.owner[i] == 0 {
				free = append(free, i)
			}
		}
		slices.SortStableFunc(free, func(i, j int) int {
			return cmp.Compare(math.Abs(float64(weights[j])), math.Abs(float64(weights[i])))
		})
		for rank, i := range free {
			if rank < p.kept(task, len(free)) {
				p.owner[i] = byte(task + 1)
			} else {
				weights[i], averages[i] = 0, 0
			}
		}
	}
	train := make([]bool, len(p.owner))
	for i, owner := range p.owner {
		train[i] = owner == byte(task+1)
	}
	p.packed = task + 1
	return firstError(n.SetWeights(weights, false), n.SetWeights(averages, true), n.SetMask(train))
}

// UseTask implements [Strategy]: weights that are free or of a later task are zero. A task that has not been pruned yet has
// the network as it is.
func (p *PackNet) UseTask(task int) error {
	if task < 0 || task >= p.packed {
		return nil
	}
	for _, ema := range []bool{false, true} {
		w, err := p.setup.Network.Weights(ema)
		if err != nil {
			return err
		}
		for i, owner := range p.owner {
			if owner == 0 || int(owner) > task+1 {
				w[i] = 0
			}
		}
		if err := p.setup.Network.SetWeights(w, ema); err != nil {
			return err
		}
	}
	return nil
}

// Stored implements [Strategy].
func (p *PackNet) Stored() Stored { return Stored{Bytes: int64(len(p.owner))} }

// State implements [Strategy]: the number of pruned tasks, and each weight's owner.
func (p *PackNet) State() ([]byte, error) {
	return append(appendCount(nil, int64(p.packed)), p.owner...), nil
}

// Restore implements [Strategy].
func (p *PackNet) Restore(state []byte) error {
	packed, owner, err := readCount(state)
	if err != nil || len(owner) != len(p.owner) || packed > int64(p.setup.Tasks) || int(slices.Max(owner)) > p.setup.Tasks {
		return errors.Errorf("cl: packnet: %d bytes of state; need the 8 of a number of tasks, and the owners of %d weights among %d tasks",
			len(state), len(p.owner), p.setup.Tasks)
	}
	p.packed, p.owner = int(packed), slices.Clone(owner)
	return nil
}
