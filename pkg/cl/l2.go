package cl

import (
	"context"
	"slices"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// L2 holds every weight alike at its value after the task before, the L2 baseline of [ewc]:
//
//	L = mean(loss_fresh) + Lambda/2·Σ_i (θ_i - θ*_i)²
//
// θ* are the trained weights, not their average, since those are what training moves.
type L2 struct {
	Lambda    float64 `yaml:"lambda"` // strength, >= 0; default 1 (CLoG: 500, without its reason)
	InNetwork `yaml:"-"`
}

// NewL2 returns the penalty with its default settings, chosen by us for short runs.
func NewL2() *L2 { return &L2{Lambda: 1} }

// Info implements [Strategy].
func (*L2) Info() Info {
	return Info{Name: "l2", Title: "L2 penalty on the weights' change",
		Paper:    "baseline of Kirkpatrick et al. 2017, arXiv:1612.00796",
		Equation: "L = mean(loss_fresh) + λ/2·Σ(θ-θ*)²",
		Stores:   "the weights after the last task",
		Stream:   CurrentTask}
}

// Label implements [Strategy].
func (l *L2) Label() string { return LabelOf(l, NewL2()) }

// Validate implements [Strategy].
func (l *L2) Validate() error { return weight("l2: lambda", l.Lambda) }

// Needs implements [Strategy].
func (l *L2) Needs(Setup) diffusion.Extra { return diffusion.Extra{Penalty: l.Lambda > 0} }

// Foresees implements [Strategy].
func (*L2) Foresees() bool { return true }

// BeforeStep implements [Strategy].
func (l *L2) BeforeStep(s *Step) error {
	s.Batch.PenaltyStrength = l.Lambda
	return nil
}

// Consolidate implements [Strategy]: the weights as they are become θ*.
func (l *L2) Consolidate(_ context.Context, _ int, _ *datasets.Images) error {
	if l.Lambda == 0 {
		return nil
	}
	theta, err := l.Setup.Network.Weights(false)
	if err != nil {
		return err
	}
	return l.Setup.Network.SetPenalty(slices.Repeat([]float32{1}, len(theta)), theta)
}
