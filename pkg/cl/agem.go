package cl

import "palimpsest/pkg/diffusion"

// AGEM is averaged gradient episodic memory, [agem] eq. 11: old images are not learned again, but the step must not raise
// their loss. With g the gradient of mean(loss_fresh) and r that of mean(loss_replay), the step follows
//
//	g - (g·r)/(r·r)·r    where g·r < 0, and g elsewhere
//
// Adam's moments are those of the projected gradient, as in other implementations. The old images of a step are drawn
// evenly over the buffer, the same number at every step. It has no weight.
type AGEM struct {
	Replay `yaml:",inline"`
}

// NewAGEM returns averaged gradient episodic memory with its default settings.
func NewAGEM() *AGEM { return &AGEM{NewReplay()} }

// Info implements [Strategy].
func (a *AGEM) Info() Info {
	return Info{Name: "agem", Title: "averaged gradient episodic memory",
		Paper:    "Chaudhry et al. 2019, arXiv:1812.00420",
		Equation: "min mean(loss_fresh) along g - min(g·r, 0)/(r·r)·r, r = gradient of mean(loss_replay)",
		Stores:   "a buffer of old images",
		Stream:   CurrentTask, Borders: a.borders(), Labels: a.grouped()}
}

// Label implements [Strategy].
func (a *AGEM) Label() string { return LabelOf(a, NewAGEM()) }

// Validate implements [Strategy].
func (a *AGEM) Validate() error { return a.validate("agem") }

// Needs implements [Strategy].
func (*AGEM) Needs(s Setup) diffusion.Extra {
	return diffusion.Extra{Projection: s.Tasks > 1 || s.Online}
}

// BeforeStep implements [Strategy].
func (a *AGEM) BeforeStep(s *Step) error {
	if a.memory.Len() == 0 {
		return nil
	}
	images := a.memory.Images()
	for i, j := range a.memory.Draw(s.RNG, s.Replay) {
		s.SetReplay(i, images.Image(j), images.Labels[j], 1/float64(s.Replay))
		s.SetReference(i)
	}
	return nil
}
