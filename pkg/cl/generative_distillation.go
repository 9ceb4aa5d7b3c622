package cl

// GenerativeDistillation is the method of [gendistill]: the teacher's images are noised again, and the network is to
// predict there what the teacher predicts, at all noise levels of the reverse process.
//
//	L = f·mean(loss_fresh) + r·mean over replay rows of mean (prediction - teacher's prediction)²
//
// f and r follow from Lambda by Schedule, the paper's f = 1/k and r = (1-1/k)·Lambda by default. The images are a pool or,
// as in the paper, new ones at each step with Pool 0: see [Generator].
type GenerativeDistillation struct {
	Generator `yaml:",inline"`
}

// NewGenerativeDistillation returns it with its default settings: lambda 1 (the paper chose 0.75 for CIFAR-10) and a pool of
// 200 images made with 10 steps of DDIM (the paper: 2, 10 and 100).
func NewGenerativeDistillation() *GenerativeDistillation {
	return &GenerativeDistillation{newGenerator()}
}

// Info implements [Strategy].
func (g *GenerativeDistillation) Info() Info {
	return Info{Name: "generative_distillation", Title: "generative distillation",
		Paper:    "Masip et al. 2023, arXiv:2311.14028",
		Equation: "L = f·mean(loss_fresh) + r·mean(‖prediction-teacher‖²) on generated images",
		Stores:   "the network after the last task, as teacher, and a pool of generated images",
		Stream:   CurrentTask, Labels: true, Teacher: g.Teacher}
}

// Label implements [Strategy].
func (g *GenerativeDistillation) Label() string { return LabelOf(g, NewGenerativeDistillation()) }

// Validate implements [Strategy].
func (g *GenerativeDistillation) Validate() error { return g.validate("generative_distillation") }

// Warnings implements [Strategy].
func (g *GenerativeDistillation) Warnings() []string { return g.warnings("generative_distillation") }

// BeforeStep implements [Strategy].
func (g *GenerativeDistillation) BeforeStep(s *Step) error {
	return g.replay(s, s.SetDistil)
}
