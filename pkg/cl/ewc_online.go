package cl

import (
	"context"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// OnlineEWC is online elastic weight consolidation, [progress] section 3.2: one running Fisher information, and the newest
// weights as its only anchor.
//
//	L = mean(loss_fresh) + Lambda/2·Σ_i F*_i·(θ_i - θ*_i)²        F*_k = Gamma·F*_{k-1} + F_k
//
// F_k is [EWC]'s. Gamma 1 forgets nothing.
type OnlineEWC struct {
	Lambda     float64 `yaml:"lambda"`      // strength, >= 0; default 1e4, as for EWC
	Gamma      float64 `yaml:"gamma"`       // what is kept of the older importance, 0 to 1; default 0.95, our choice
	FisherRows int     `yaml:"fisher_rows"` // rows of each task's Fisher information, >= 1; default 500
	InNetwork  `yaml:"-"`
}

// NewOnlineEWC returns online elastic weight consolidation with its default settings.
func NewOnlineEWC() *OnlineEWC { return &OnlineEWC{Lambda: 1e4, Gamma: 0.95, FisherRows: 500} }

// Info implements [Strategy].
func (*OnlineEWC) Info() Info {
	return Info{Name: "ewc_online", Title: "online elastic weight consolidation",
		Paper:    "Schwarz et al. 2018, arXiv:1805.06370",
		Equation: "L = mean(loss_fresh) + λ/2·Σ_i F*_i·(θ_i-θ*_i)², F*_k = γ·F*_{k-1} + F_k",
		Stores:   "one importance and one anchor a weight",
		Stream:   CurrentTask}
}

// Label implements [Strategy].
func (e *OnlineEWC) Label() string { return LabelOf(e, NewOnlineEWC()) }

// Validate implements [Strategy].
func (e *OnlineEWC) Validate() error {
	if !(e.Gamma >= 0 && e.Gamma <= 1) {
		return errors.Errorf("cl: ewc_online: gamma is %g; need 0 (the last task alone) to 1 (all tasks alike)", e.Gamma)
	}
	return firstError(weight("ewc_online: lambda", e.Lambda), within("ewc_online: fisher_rows", e.FisherRows, 1, mostImages))
}

// Needs implements [Strategy].
func (e *OnlineEWC) Needs(Setup) diffusion.Extra { return diffusion.Extra{Penalty: e.Lambda > 0} }

// Foresees implements [Strategy].
func (*OnlineEWC) Foresees() bool { return true }

// BeforeStep implements [Strategy].
func (e *OnlineEWC) BeforeStep(s *Step) error {
	s.Batch.PenaltyStrength = e.Lambda
	return nil
}

// Consolidate implements [Strategy].
func (e *OnlineEWC) Consolidate(ctx context.Context, task int, train *datasets.Images) error {
	if e.Lambda == 0 {
		return nil
	}
	fisher, err := e.fisher(ctx, task, train, e.FisherRows)
	if err != nil {
		return err
	}
	return addImportance(e.Setup.Network, e.Gamma, 1, fisher.Square)
}
