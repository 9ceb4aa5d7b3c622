package cl

// BalancedER is experience replay in which every task counts the same, and every class of the finished ones: at the k-th
// task, k = 1 being the first,
//
//	L = 1/k·mean(loss_fresh) + (1-1/k)·mean(loss_replay)
//
// with replayed images drawn evenly over the classes kept. With as many classes in each task every class counts the same,
// however few of its images are kept. The balance is that of Avalanche's class-balanced buffer, the weights are
// [gendistill]'s; putting both under one name is ours. It is er with draw "balanced", schedule "1-1/k" and lambda 1.
type BalancedER struct {
	Replay `yaml:",inline"`
}

// NewBalancedER returns balanced experience replay with its default settings.
func NewBalancedER() *BalancedER { return &BalancedER{NewReplay()} }

// Info implements [Strategy].
func (*BalancedER) Info() Info {
	return Info{Name: "er_balanced", Title: "class-balanced experience replay",
		Paper:    "Chaudhry et al. 2019, arXiv:1902.10486; weights after Masip et al. 2023, arXiv:2311.14028",
		Equation: "L = 1/k·mean(loss_fresh) + (1-1/k)·mean(loss_replay), drawn evenly over classes",
		Stores:   "a buffer of old images",
		Stream:   CurrentTask, Labels: true}
}

// Label implements [Strategy].
func (e *BalancedER) Label() string { return LabelOf(e, NewBalancedER()) }

// Validate implements [Strategy].
func (e *BalancedER) Validate() error { return e.validate("er_balanced") }

// Foresees implements [Strategy].
func (*BalancedER) Foresees() bool { return true }

// BeforeStep implements [Strategy].
func (e *BalancedER) BeforeStep(s *Step) error {
	if e.memory.Len() == 0 {
		return nil
	}
	fresh, replay, err := byTask(ScheduleComplement, 1, s.Task)
	if err != nil {
		return err
	}
	s.scaleFresh(fresh)
	images := e.memory.Images()
	for i, j := range e.memory.DrawBalanced(s.RNG, s.Replay) {
		s.SetReplay(i, images.Image(j), images.Labels[j], replay/float64(s.Replay))
	}
	return nil
}
