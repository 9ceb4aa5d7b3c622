package cl

import (
	"palimpsest/datasets"
	"palimpsest/pkg/memory"
)

// GDumb is the greedy sampler with a dumb learner, [gdumb]: at every task a network is trained from new weights on the
// buffer alone, which has taken its share of the task's images before.
//
//	L = mean(loss_buffer)
//
// The buffer keeps the same number of each class. Its images fill the fresh and the replay rows of a step alike, drawn
// evenly. The paper trains once, when it is asked; here it is asked after every task. A method that forgets nothing it can
// still see: what it lacks to the joint network is the price of few images.
type GDumb struct {
	Buffer int `yaml:"buffer"` // images kept, >= 1; default 200
	Replay `yaml:"-"`
}

// NewGDumb returns it with its default settings.
func NewGDumb() *GDumb { return &GDumb{Buffer: 200} }

// Info implements [Strategy].
func (*GDumb) Info() Info {
	return Info{Name: "gdumb", Title: "greedy sampler and dumb learner",
		Paper:    "Prabhu et al. 2020, doi:10.1007/978-3-030-58536-5_31",
		Equation: "L = mean(loss_buffer), from new weights at each task",
		Stores:   "a buffer of images of all tasks so far",
		Stream:   CurrentTask, Labels: true, Restarts: true}
}

// Label implements [Strategy].
func (g *GDumb) Label() string { return LabelOf(g, NewGDumb()) }

// Validate implements [Strategy].
func (g *GDumb) Validate() error { return within("gdumb: buffer", g.Buffer, 1, mostImages) }

// ReplayRows implements [Strategy]: the loop's.
func (*GDumb) ReplayRows(loop int) int { return loop }

// Check implements [Strategy]: the fresh rows would do.
func (g *GDumb) Check(Setup) error { return nil }

// Begin implements [Strategy].
func (g *GDumb) Begin(s Setup) error {
	g.Replay = Replay{Buffer: g.Buffer, Policy: memory.NameClassBalanced}
	return g.Replay.begin(s)
}

// BeginTask implements [Strategy]: it offers the task's images to the buffer.
func (g *GDumb) BeginTask(task int, train *datasets.Images) error { return g.memory.Add(task, train) }

// EndTask implements [Strategy]: the buffer has the task's images already.
func (*GDumb) EndTask(int, *datasets.Images) error { return nil }

// Foresees implements [Strategy].
func (*GDumb) Foresees() bool { return true }

// BeforeStep implements [Strategy].
func (g *GDumb) BeforeStep(s *Step) error {
	images, rows := g.memory.Images(), s.Fresh+s.Replay
	for row, j := range g.memory.Draw(s.RNG, rows) {
		s.put(row, images.Image(j), images.Labels[j], 1/float64(rows))
	}
	return nil
}
