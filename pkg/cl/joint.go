package cl

// Joint trains from scratch on all tasks at once, JointTraining in [avalanche]:
//
//	L = mean(loss_all)
//
// It is the reference a continual learner is measured against: nothing is old, so nothing is forgotten. Its one phase
// is as long as all tasks of the others together, and all rows of a step, the replay rows too, are fresh images drawn
// from the whole benchmark. It has no settings.
type Joint struct {
	Base `yaml:"-"`
}

// Info implements [Strategy].
func (*Joint) Info() Info {
	return Info{Name: "joint", Title: "joint training",
		Paper:    "reference, JointTraining in Avalanche (Lomonaco et al. 2021, arXiv:2104.00405)",
		Equation: "L = mean(loss_all), all tasks at once and from scratch",
		Stores:   "every image of every task, from the start",
		Stream:   AllTasks, Borders: NoBorders}
}

// ReplayRows implements [Strategy]: the loop's, filled with fresh images.
func (*Joint) ReplayRows(loop int) int { return loop }

// Label implements [Strategy].
func (*Joint) Label() string { return "joint" }

// Foresees implements [Strategy].
func (*Joint) Foresees() bool { return true }
