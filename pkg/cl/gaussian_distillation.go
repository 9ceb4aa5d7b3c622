package cl

// GaussianDistillation asks the teacher about pure noise instead of images, the Gaussian distillation of [gendistill]:
//
//	L = f·mean(loss_fresh) + r·mean over replay rows of mean (prediction - teacher's prediction)² at x_t = ε
//
// Timesteps are the loop's, so noise without a trace of an image stands at every t; a class-conditional network is asked for
// the classes of finished tasks, drawn evenly. Both are our reading. f and r follow from Lambda by Schedule.
type GaussianDistillation struct {
	Teaching `yaml:",inline"`
	Rows     int `yaml:"rows"` // rows of noise a step, >= 0; default 0, the loop's replay_rows
}

// NewGaussianDistillation returns it with its default settings: lambda 8, as [gendistill] chose for CIFAR-10.
func NewGaussianDistillation() *GaussianDistillation {
	return &GaussianDistillation{Teaching: Teaching{Lambda: 8, Schedule: ScheduleComplement, Teacher: TeachAverage}}
}

// Info implements [Strategy].
func (d *GaussianDistillation) Info() Info {
	return Info{Name: "gaussian_distillation", Title: "distillation on Gaussian noise",
		Paper:    "Masip et al. 2023, arXiv:2311.14028",
		Equation: "L = f·mean(loss_fresh) + r·mean(‖prediction-teacher‖²) at x_t = ε",
		Stores:   "the network after the last task, as teacher",
		Stream:   CurrentTask, Labels: true, Teacher: d.Teacher}
}

// Label implements [Strategy].
func (d *GaussianDistillation) Label() string { return LabelOf(d, NewGaussianDistillation()) }

// Validate implements [Strategy].
func (d *GaussianDistillation) Validate() error {
	return firstError(d.validate("gaussian_distillation"), within("gaussian_distillation: rows", d.Rows, 0, mostRows))
}

// ReplayRows implements [Strategy].
func (d *GaussianDistillation) ReplayRows(loop int) int { return rowsFor(d.Lambda, d.Rows, loop) }

// Check implements [Strategy].
func (d *GaussianDistillation) Check(s Setup) error {
	return needRows("gaussian_distillation", d.Lambda, s)
}

// Begin implements [Strategy].
func (d *GaussianDistillation) Begin(s Setup) error {
	return firstError(d.Check(s), d.Teaching.Begin(s))
}

// BeforeStep implements [Strategy].
func (d *GaussianDistillation) BeforeStep(s *Step) error {
	weight, err := d.weigh(s)
	if err != nil || weight == 0 {
		return err
	}
	for i := range s.Replay {
		s.SetPureNoise(i, d.classes[s.RNG.IntN(len(d.classes))])
		s.SetDistil(s.Row(i), weight/float64(s.Replay))
	}
	return nil
}
