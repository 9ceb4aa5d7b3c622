package cl

import (
	"math/rand/v2"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// LoRA learns the first task with all weights, and every later one with nothing but a low-rank adapter next to each kernel,
// [lora] eq. 3, as CLoG does:
//
//	W + Alpha/Rank·A·B,    L = mean(loss_fresh)
//
// From the second task on all other weights are held, except for the embeddings of the task's own labels, which nothing else
// could learn. A task ends in its moving average: the first task's becomes W, so that adapters are trained next to the
// weights that are sampled.
//
// With TaskID a finished task keeps its adapter and its labels' embeddings, and they are put back where its classes are
// asked for: nothing is forgotten, and the task must be known at sampling. Without it each finished adapter is added
// to W for good: one network for all tasks, in which later adapters overwrite.
//
// CLoG adapts attention and the residual blocks' convolutions with a dropout of 0.1 before each adapter; here every kernel
// has one, and none has a dropout of its own.
type LoRA struct {
	Rank   int     `yaml:"rank"`    // of each adapter, >= 1; default 8
	Alpha  float64 `yaml:"alpha"`   // scale of A·B, in multiples of Rank, > 0; default 8
	TaskID bool    `yaml:"task_id"` // the task is given at sampling; default true

	Adapters `yaml:"-"`
}

// NewLoRA returns it with its default settings, which are CLoG's.
func NewLoRA() *LoRA { return &LoRA{Rank: 8, Alpha: 8, TaskID: true} }

// Info implements [Strategy].
func (l *LoRA) Info() Info {
	info := Info{Name: "lora", Title: "low-rank adapters a task, task given at sampling",
		Paper:    "Hu et al. 2021, arXiv:2106.09685; for continual generation Zhang et al. 2024, arXiv:2406.04584",
		Equation: "L = mean(loss_fresh) with W + α/r·A·B in place of W; A and B alone are trained from task 2 on",
		Stores:   "an adapter and the labels' embeddings of each finished task",
		Stream:   CurrentTask, Labels: true, TaskAtSampling: l.TaskID}
	if !l.TaskID {
		info.Title = "low-rank adapters merged after each task, task not given at sampling"
		info.Stores = "nothing: each finished adapter is added to the weights"
	}
	return info
}

// Label implements [Strategy].
func (l *LoRA) Label() string { return LabelOf(l, NewLoRA()) }

// Validate implements [Strategy].
func (l *LoRA) Validate() error {
	if most := 1e6; !(l.Alpha > 0 && l.Alpha <= most) {
		return errors.Errorf("cl: lora: alpha is %g; need more than 0 and at most %g", l.Alpha, most)
	}
	return within("lora: rank", l.Rank, 1, mostRank)
}

// Needs implements [Strategy].
func (l *LoRA) Needs(Setup) diffusion.Extra {
	return diffusion.Extra{Mask: true, LoRA: l.Rank, LoRAAlpha: l.Alpha}
}

// BeginTask implements [Strategy]: it holds what the task does not train, and begins a new adapter.
func (l *LoRA) BeginTask(task int, train *datasets.Images) error {
	if task > 0 {
		seed := rand.New(rand.NewPCG(l.setup.Seed, uint64(task)<<48^drawAdapters)).Uint64()
		if err := l.setup.Network.ResetLoRA(seed); err != nil {
			return err
		}
	}
	trained, err := l.trained(task, classesOf(train))
	if err != nil {
		return err
	}
	return l.setup.Network.SetMask(trained)
}

// EndTask implements [Strategy].
func (l *LoRA) EndTask(task int, train *datasets.Images) error {
	network := l.setup.Network
	if l.TaskID && task > 0 {
		return l.keep(task, train)
	}
	if task > 0 {
		if err := network.MergeLoRA(); err != nil {
			return err
		}
	}
	average, err := network.Weights(true)
	if err != nil {
		return err
	}
	if err := network.SetWeights(average, false); err != nil || !l.TaskID {
		return err
	}
	return l.keep(task, train)
}

// UseTask implements [Strategy].
func (l *LoRA) UseTask(task int) error { return l.put(task) }
