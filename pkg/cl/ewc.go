package cl

import (
	"context"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// EWC is elastic weight consolidation, [ewc] eq. 3, with one penalty a finished task k:
//
//	L = mean(loss_fresh) + Lambda/2·Σ_k Σ_i F_ki·(θ_i - θ*_ki)²
//
// F_k is the diagonal of the empirical Fisher information of task k's own images: the mean, over FisherRows rows of it at
// timesteps from all of 0 .. T-1, of the square of one row's gradient of the loss, never of a batch's. The loss stands for
// the likelihood, which is our reading, as it is in [rank1]. All penalties fold into one without loss
// (diffusion.FoldPenalty), so the memory does not grow with the tasks.
type EWC struct {
	Lambda     float64 `yaml:"lambda"`      // strength, >= 0; default 1e4, [rank1]'s for diffusion models (CLoG: 5e4)
	FisherRows int     `yaml:"fisher_rows"` // rows of each task's Fisher information, >= 1; default 500
	InNetwork  `yaml:"-"`
}

// NewEWC returns elastic weight consolidation with its default settings.
func NewEWC() *EWC { return &EWC{Lambda: 1e4, FisherRows: 500} }

// Info implements [Strategy].
func (*EWC) Info() Info {
	return Info{Name: "ewc", Title: "elastic weight consolidation",
		Paper:    "Kirkpatrick et al. 2017, arXiv:1612.00796",
		Equation: "L = mean(loss_fresh) + λ/2·Σ_k Σ_i F_ki·(θ_i-θ*_ki)²",
		Stores:   "one importance and one anchor a weight",
		Stream:   CurrentTask}
}

// Label implements [Strategy].
func (e *EWC) Label() string { return LabelOf(e, NewEWC()) }

// Validate implements [Strategy].
func (e *EWC) Validate() error {
	return firstError(weight("ewc: lambda", e.Lambda), within("ewc: fisher_rows", e.FisherRows, 1, mostImages))
}

// Needs implements [Strategy].
func (e *EWC) Needs(Setup) diffusion.Extra { return diffusion.Extra{Penalty: e.Lambda > 0} }

// Foresees implements [Strategy].
func (*EWC) Foresees() bool { return true }

// BeforeStep implements [Strategy].
func (e *EWC) BeforeStep(s *Step) error {
	s.Batch.PenaltyStrength = e.Lambda
	return nil
}

// Consolidate implements [Strategy]: it adds the task's penalty.
func (e *EWC) Consolidate(ctx context.Context, task int, train *datasets.Images) error {
	if e.Lambda == 0 {
		return nil
	}
	n := e.Setup.Network
	fisher, err := e.fisher(ctx, task, train, e.FisherRows)
	if err != nil {
		return err
	}
	theta, err := n.Weights(false)
	if err != nil {
		return err
	}
	importance, anchor, err := n.Penalty()
	if err != nil {
		return err
	}
	if err := diffusion.FoldPenalty(importance, anchor, fisher.Square, theta); err != nil {
		return err
	}
	return n.SetPenalty(importance, anchor)
}
