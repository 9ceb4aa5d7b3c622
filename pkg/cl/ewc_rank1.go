package cl

import (
	"context"
	"math"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// Rank1EWC is elastic weight consolidation with a Fisher information of rank 1, [rank1]:
//
//	L = mean(loss_fresh) + Lambda/2·Σ_k c_k·(μ_k·(θ - θ*_k))²
//
// μ_k is the mean, over FisherRows rows of task k at timesteps from all of 0 .. T-1, of one row's gradient of the loss.
// At high noise rows' gradients are nearly parallel, so their Fisher information is nearly μμᵀ: c = 1. Trace scales it to
// the diagonal Fisher's trace, c = Σ_i F_i/‖μ‖², so that Lambda means the same for this penalty and [EWC]'s; it is ours,
// and different from the constant that [rank1]'s code calls optimal. The memory grows by one direction a task.
type Rank1EWC struct {
	Lambda     float64 `yaml:"lambda"`      // strength, >= 0; default 1e4, the lower end of [rank1]'s configurations
	FisherRows int     `yaml:"fisher_rows"` // rows of each task's mean gradient, >= 1; default 500
	Trace      bool    `yaml:"trace"`       // default false

	// Tasks is how many tasks the step has room for, where more than the run's own: those that extend it among them. The penalty is
	// the same, but sums over as many rows have their last digits in common. >= 0; default 0.
	Tasks int `yaml:"tasks"`

	InNetwork `yaml:"-"`
}

// NewRank1EWC returns rank-1 elastic weight consolidation with its default settings.
func NewRank1EWC() *Rank1EWC { return &Rank1EWC{Lambda: 1e4, FisherRows: 500} }

// Info implements [Strategy].
func (*Rank1EWC) Info() Info {
	return Info{Name: "ewc_rank1", Title: "elastic weight consolidation of rank 1",
		Paper:    "Rank-1 Fisher EWC for diffusion models 2025, arXiv:2509.23593",
		Equation: "L = mean(loss_fresh) + λ/2·Σ_k c_k·(μ_k·(θ-θ*_k))²",
		Stores:   "one direction a task and one origin",
		Stream:   CurrentTask}
}

// Label implements [Strategy].
func (e *Rank1EWC) Label() string { return LabelOf(e, NewRank1EWC()) }

// Validate implements [Strategy].
func (e *Rank1EWC) Validate() error {
	return firstError(weight("ewc_rank1: lambda", e.Lambda), within("ewc_rank1: fisher_rows", e.FisherRows, 1, mostImages), within("ewc_rank1: tasks", e.Tasks, 0, mostTasks))
}

// Needs implements [Strategy].
func (e *Rank1EWC) Needs(s Setup) diffusion.Extra {
	if e.Lambda == 0 {
		return diffusion.Extra{}
	}
	return diffusion.Extra{Directions: max(s.Tasks, e.Tasks) - 1}
}

// Foresees implements [Strategy].
func (*Rank1EWC) Foresees() bool { return true }

// BeforeStep implements [Strategy].
func (e *Rank1EWC) BeforeStep(s *Step) error {
	if s.Task > 0 {
		s.Batch.DirectionStrength = e.Lambda
	}
	return nil
}

// Consolidate implements [Strategy]: it adds the task's direction.
func (e *Rank1EWC) Consolidate(ctx context.Context, task int, train *datasets.Images) error {
	if e.Lambda == 0 {
		return nil
	}
	n := e.Setup.Network
	fisher, err := e.fisher(ctx, task, train, e.FisherRows)
	if err != nil {
		return err
	}
	if e.Trace {
		trace, norm := 0.0, 0.0
		for i, mu := range fisher.Mean {
			trace += float64(fisher.Square[i])
			norm += float64(mu) * float64(mu)
		}
		if norm > 0 {
			root := math.Sqrt(trace / norm)
			for i := range fisher.Mean {
				fisher.Mean[i] = float32(root * float64(fisher.Mean[i]))
			}
		}
	}
	theta, err := n.Weights(false)
	if err != nil {
		return err
	}
	return n.AddDirection(fisher.Mean, theta)
}
