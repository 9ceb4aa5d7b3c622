package cl

// LwF is learning without forgetting, [lwf], for noise prediction as in [gendistill] and CLoG's "kd": the network is to
// predict, for noisy images of the task at hand, what it predicted before the task, while it learns them.
//
//	L = f·mean(loss_fresh) + r·mean over fresh rows of mean (prediction - teacher's prediction)²
//
// f and r follow from Lambda by Schedule, which is [gendistill]'s 1-1/k by default. The teacher sees the same x_t, timestep
// and label. Where tasks bring new classes it keeps little, [scenarios].
type LwF struct {
	Teaching `yaml:",inline"`
}

// NewLwF returns learning without forgetting with its default settings: lambda 1 ([gendistill] chose 1.25 for CIFAR-10).
func NewLwF() *LwF {
	return &LwF{Teaching: Teaching{Lambda: 1, Schedule: ScheduleComplement, Teacher: TeachAverage}}
}

// Info implements [Strategy].
func (l *LwF) Info() Info {
	return Info{Name: "lwf", Title: "learning without forgetting",
		Paper:    "Li and Hoiem 2016, arXiv:1606.09282; for diffusion Masip et al. 2023, arXiv:2311.14028",
		Equation: "L = f·mean(loss_fresh) + r·mean(‖prediction-teacher‖²) at the same x_t",
		Stores:   "the network after the last task, as teacher",
		Stream:   CurrentTask, Teacher: l.Teacher}
}

// Label implements [Strategy].
func (l *LwF) Label() string { return LabelOf(l, NewLwF()) }

// Validate implements [Strategy].
func (l *LwF) Validate() error { return l.validate("lwf") }

// BeforeStep implements [Strategy].
func (l *LwF) BeforeStep(s *Step) error {
	own, err := l.weigh(s)
	if err != nil {
		return err
	}
	if weight := own / float64(s.Fresh); weight > 0 {
		for row := range s.Fresh {
			s.SetDistil(row, weight)
		}
	}
	return nil
}
