package cl

import (
	"context"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// Which weights after a task become the teacher.
const (
	TeachAverage = "ema"     // their moving average, which is what is sampled and measured
	TeachTrained = "trained" // the trained weights themselves
)

var teachers = []string{TeachAverage, TeachTrained}

// averaged says whether a teacher is the moving average.
func averaged(teacher string) (bool, error) {
	switch teacher {
	case TeachAverage:
		return true, nil
	case TeachTrained:
		return false, nil
	}
	return false, oneOf("teacher", teacher, teachers)
}

// setTeacher makes the network as it is its own teacher.
func setTeacher(n *diffusion.Network, teacher string) error {
	average, err := averaged(teacher)
	if err != nil {
		return err
	}
	return n.SetTeacher(average)
}

// Teaching is what methods with a teacher share: the settings that say what it is and how much it counts, and the classes it
// knows. Embed it with the tag `yaml:",inline"`.
type Teaching struct {
	Lambda   float64 `yaml:"lambda"`   // weight of the method's term, >= 0
	Schedule string  `yaml:"schedule"` // of Lambda: ScheduleConstant, ScheduleInverse or ScheduleComplement
	Teacher  string  `yaml:"teacher"`  // TeachAverage (default) or TeachTrained

	Base `yaml:"-"`

	setup     Setup
	evaluated int64   // rows besides those of the step
	classes   []int32 // of finished tasks, ascending
}

// validate reports the first setting that no run can use.
func (g *Teaching) validate(name string) error {
	return firstError(weight(name+": lambda", g.Lambda), oneOf(name+": schedule", g.Schedule, taskSchedules),
		oneOf(name+": teacher", g.Teacher, teachers))
}

// Begin implements [Strategy].
func (g *Teaching) Begin(s Setup) error {
	g.setup, g.evaluated, g.classes = s, 0, nil
	return nil
}

// Needs implements [Strategy].
func (g *Teaching) Needs(s Setup) diffusion.Extra {
	return diffusion.Extra{Teacher: g.Lambda > 0 && s.Tasks > 1}
}

// EndTask implements [Strategy]: it notes the classes of the task, which the teacher knows from now on.
func (g *Teaching) EndTask(_ int, train *datasets.Images) error {
	for _, class := range train.Present() {
		if at, known := slices.BinarySearch(g.classes, int32(class)); !known {
			g.classes = slices.Insert(g.classes, at, int32(class))
		}
	}
	return nil
}

// Consolidate implements [Strategy]: the network as it is becomes the teacher.
func (g *Teaching) Consolidate(context.Context, int, *datasets.Images) error {
	if g.Lambda == 0 {
		return nil
	}
	return setTeacher(g.setup.Network, g.Teacher)
}

// weigh scales the fresh rows as the schedule has it and returns the weight of the method's own term, 0 in the first task,
// which has no teacher.
func (g *Teaching) weigh(s *Step) (float64, error) {
	fresh, own, err := byTask(g.Schedule, g.Lambda, s.Task)
	if err != nil || s.Task == 0 {
		return 0, err
	}
	if fresh != 1 {
		s.scaleFresh(fresh)
	}
	return own, nil
}

// Stored implements [Strategy].
func (g *Teaching) Stored() Stored {
	return Stored{Bytes: int64(len(g.classes) * datasets.LabelBytes(g.classes)), ExtraEvaluations: g.evaluated}
}

// State implements [Strategy].
func (g *Teaching) State() ([]byte, error) {
	state := appendCount(nil, g.evaluated)
	return appendClasses(state, g.classes), nil
}

// Restore implements [Strategy].
func (g *Teaching) Restore(state []byte) error {
	rest, err := g.restore(state)
	if err == nil && len(rest) > 0 {
		err = errors.Errorf("cl: %d bytes of state after the classes that a teacher knows; need none", len(rest))
	}
	return err
}

// restore reads what State wrote and returns what follows it.
func (g *Teaching) restore(state []byte) (rest []byte, err error) {
	count, rest, err := readCount(state)
	if err != nil {
		return nil, err
	}
	classes, rest, err := readClasses(rest)
	if err != nil {
		return nil, errors.WithMessage(err, "cl: the classes that a teacher knows")
	}
	g.evaluated, g.classes = count, classes
	return rest, nil
}
