package cl

import (
	"context"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// MAS is memory aware synapses, [mas] eqs. 3 and 4: a weight counts as much as the prediction depends on it.
//
//	L = mean(loss_fresh) + Lambda·Σ_i Ω_i·(θ_i - θ*_i)²        Ω_i = Σ_k mean |∂(‖prediction‖²/D)/∂θ_i|
//
// The mean runs over MASRows of task k's images at timesteps from all of 0 .. T-1. The division by an image's D values is
// ours, so that Lambda does not depend on their number. Where tasks bring new classes it keeps little, as its kind does in
// [scenarios].
type MAS struct {
	Lambda    float64 `yaml:"lambda"`   // strength, >= 0; default 1, the paper's (CLoG: 5)
	MASRows   int     `yaml:"mas_rows"` // rows of each task's importance, >= 1; default 500
	InNetwork `yaml:"-"`
}

// NewMAS returns memory aware synapses with its default settings.
func NewMAS() *MAS { return &MAS{Lambda: 1, MASRows: 500} }

// Info implements [Strategy].
func (*MAS) Info() Info {
	return Info{Name: "mas", Title: "memory aware synapses",
		Paper:    "Aljundi et al. 2018, arXiv:1711.09601",
		Equation: "L = mean(loss_fresh) + λ·Σ_i Ω_i·(θ_i-θ*_i)², Ω_i = Σ_k mean |∂(‖prediction‖²/D)/∂θ_i|",
		Stores:   "one importance and one anchor a weight",
		Stream:   CurrentTask}
}

// Label implements [Strategy].
func (m *MAS) Label() string { return LabelOf(m, NewMAS()) }

// Validate implements [Strategy].
func (m *MAS) Validate() error {
	return firstError(weight("mas: lambda", m.Lambda), within("mas: mas_rows", m.MASRows, 1, mostImages))
}

// Needs implements [Strategy].
func (m *MAS) Needs(Setup) diffusion.Extra { return diffusion.Extra{Penalty: m.Lambda > 0} }

// Foresees implements [Strategy].
func (*MAS) Foresees() bool { return true }

// BeforeStep implements [Strategy].
func (m *MAS) BeforeStep(s *Step) error {
	s.Batch.PenaltyStrength = 2 * m.Lambda // the network's penalty has a factor 1/2
	return nil
}

// Consolidate implements [Strategy].
func (m *MAS) Consolidate(ctx context.Context, task int, train *datasets.Images) error {
	if m.Lambda == 0 {
		return nil
	}
	importance, err := m.sensitivity(ctx, task, train, m.MASRows)
	if err != nil {
		return err
	}
	return addImportance(m.Setup.Network, 1, 1/float64(train.ImageSize()), importance.Absolute)
}
