package cl

import "palimpsest/pkg/diffusion"

// GR is deep generative replay, [gr]: generated images of finished tasks are learned like data.
//
//	L = f·mean(loss_fresh) + r·mean(loss_generated)
//
// f and r follow from Lambda by Schedule. The images are a pool or new ones at each step: see [Generator]. New ones need the
// network of the task before as a teacher, which then evaluates every row of every step, although nothing is distilled.
type GR struct {
	Generator `yaml:",inline"`
}

// NewGR returns generative replay with its default settings: a pool of 200 images made with 10 steps of DDIM, few enough
// for short runs ([rank1] made 5000 a class with 50).
func NewGR() *GR { return &GR{newGenerator()} }

// Info implements [Strategy].
func (g *GR) Info() Info {
	return Info{Name: "gr", Title: "generative replay",
		Paper:    "Shin et al. 2017, arXiv:1705.08690",
		Equation: "L = f·mean(loss_fresh) + r·mean(loss_generated)",
		Stores:   "a pool of generated images, or the network after the last task",
		Stream:   CurrentTask, Labels: true, Teacher: g.Teacher}
}

// Label implements [Strategy].
func (g *GR) Label() string { return LabelOf(g, NewGR()) }

// Validate implements [Strategy].
func (g *GR) Validate() error { return g.validate("gr") }

// Warnings implements [Strategy].
func (g *GR) Warnings() []string { return g.warnings("gr") }

// Needs implements [Strategy].
func (g *GR) Needs(s Setup) diffusion.Extra {
	if g.Pool > 0 {
		return diffusion.Extra{}
	}
	return g.Generator.Needs(s)
}

// BeforeStep implements [Strategy].
func (g *GR) BeforeStep(s *Step) error {
	return g.replay(s, func(row int, weight float64) { s.Batch.W[row] = float32(weight) })
}
