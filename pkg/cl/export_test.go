package cl

import (
	"iter"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// LowerHeldLimit has devices hold fewer bytes of images until what it returns is called.
func LowerHeldLimit(bytes int64) (back func()) {
	before := heldLimit
	heldLimit = bytes
	return func() { heldLimit = before }
}

// StepBatch is the batch of the step at hand, as the network would get it.
func StepBatch(l *Loop) (*Step, error) { return l.batch() }

// RowsOf are the rows that importances are found from.
func RowsOf(s Setup, task int, train *datasets.Images, count int) (iter.Seq[diffusion.Batch], uint64) {
	return s.rows(task, train, count)
}

// Interference are the images and timesteps that m compares in the step at hand of l, and how their losses would change.
func Interference(l *Loop, m *MIR) (images []int, t []int32, change []float64, err error) {
	s, err := l.prepare()
	if err != nil {
		return nil, nil, nil, err
	}
	list, err := m.candidates(s)
	for _, c := range list {
		images, t, change = append(images, c.image), append(t, c.t), append(change, c.change)
	}
	return images, t, change, err
}

// ForgetRegistered undoes all of [Register].
func ForgetRegistered() {
	registered.Lock()
	defer registered.Unlock()
	registered.methods = nil
}

// BuiltIn are the strategies of this package, without those registered.
func BuiltIn() []Strategy {
	var all []Strategy
	for _, create := range registry {
		all = append(all, create())
	}
	return all
}

// Taught tells s, which has no network, that a task has ended, and gives it what a network would have made of it: images for
// generated ones and zeros for predictions. A method that compares losses learns nothing.
func Taught(s Strategy, task int, train *datasets.Images) error {
	switch s := s.(type) {
	case *Composite:
		for _, p := range s.parts {
			if err := Taught(p, task, train); err != nil {
				return err
			}
		}
		return nil
	case *MIR:
		return nil
	case *GR:
		s.pool = train
	case *GenerativeDistillation:
		s.pool = train
	case *DER:
		if err := s.EndTask(task, train); err != nil {
			return err
		}
		for _, item := range s.memory.Items() {
			s.kept[item.Offer] = make([]float32, s.Targets*train.ImageSize())
		}
		return nil
	}
	return s.EndTask(task, train)
}

// CompositeOf is the composite of given parts.
func CompositeOf(parts ...Strategy) *Composite {
	c := &Composite{parts: parts}
	for _, p := range parts {
		c.names = append(c.names, p.Info().Name)
	}
	return c
}

// OpenTimesteps is what a loop does first about timesteps that are drawn as name says.
func OpenTimesteps(name string) error {
	l := &Loop{Config: LoopConfig{TimestepSampler: name}}
	return l.openTimesteps()
}

// ImageLosses are the losses that buffers of highest and of lowest loss compare.
func ImageLosses(s Setup, d diffusion.Denoiser, im *datasets.Images) ([]float64, int, error) {
	return s.imageLosses(d, im)
}
