package cl

import (
	"context"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// SI is synaptic intelligence, [si] eqs. 4 and 5: what a weight's path through training took off the loss is its importance.
//
//	L = mean(loss_fresh) + Lambda·Σ_i Ω_i·(θ_i - θ*_i)²        Ω_i = Σ_k max(ω_ki, 0)/(Δ_ki² + Xi)
//
// ω_k is the path integral of the denoising loss's gradient over task k and Δ_k the whole change of the weight in it. Paths
// that raised the loss count as 0, since a penalty cannot be negative. Where tasks bring new classes it keeps little,
// [scenarios].
type SI struct {
	Lambda    float64 `yaml:"lambda"` // strength, c in the paper, >= 0; default 1 (the paper: 0.1 to 1; CLoG: 5)
	Xi        float64 `yaml:"xi"`     // damping, > 0; default 0.001, the paper's on split MNIST (CLoG: 0.01)
	InNetwork `yaml:"-"`
}

// NewSI returns synaptic intelligence with its default settings.
func NewSI() *SI { return &SI{Lambda: 1, Xi: 1e-3} }

// Info implements [Strategy].
func (*SI) Info() Info {
	return Info{Name: "si", Title: "synaptic intelligence",
		Paper:    "Zenke et al. 2017, arXiv:1703.04200",
		Equation: "L = mean(loss_fresh) + λ·Σ_i Ω_i·(θ_i-θ*_i)², Ω_i = Σ_k max(ω_ki, 0)/(Δ_ki²+ξ)",
		Stores:   "one importance, one anchor, one path integral and its start a weight",
		Stream:   CurrentTask}
}

// Label implements [Strategy].
func (s *SI) Label() string { return LabelOf(s, NewSI()) }

// Validate implements [Strategy].
func (s *SI) Validate() error {
	if least := 1e-12; !(s.Xi >= least && s.Xi <= mostWeight) { // it divides, in float32
		return errors.Errorf("cl: si: xi is %g; need a number from %g to %g, for instance 0.001", s.Xi, least, mostWeight)
	}
	return weight("si: lambda", s.Lambda)
}

// Needs implements [Strategy].
func (s *SI) Needs(Setup) diffusion.Extra {
	return diffusion.Extra{Penalty: s.Lambda > 0, Path: s.Lambda > 0}
}

// BeforeStep implements [Strategy].
func (s *SI) BeforeStep(step *Step) error {
	step.Batch.PenaltyStrength = 2 * s.Lambda // the network's penalty has a factor 1/2
	return nil
}

// Consolidate implements [Strategy].
func (s *SI) Consolidate(context.Context, int, *datasets.Images) error {
	if s.Lambda == 0 {
		return nil
	}
	n := s.Setup.Network
	omega, start, err := n.PathIntegral()
	if err != nil {
		return err
	}
	theta, err := n.Weights(false)
	if err != nil {
		return err
	}
	for i := range omega {
		moved := float64(theta[i]) - float64(start[i])
		omega[i] = float32(max(float64(omega[i]), 0) / (moved*moved + s.Xi))
	}
	if err := addImportance(n, 1, 1, omega); err != nil {
		return err
	}
	return n.ResetPath()
}
