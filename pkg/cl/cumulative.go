package cl

// Cumulative goes on training on the task at hand and all tasks before it, Cumulative in [avalanche]:
//
//	L = mean(loss_seen)
//
// All rows of a step are fresh images drawn uniformly from all images seen so far, so a task's share falls as tasks
// come in: 1/k in the k-th of equally large tasks. It shows what a memory without limit would reach in the same number
// of steps. It has no settings.
type Cumulative struct {
	Base `yaml:"-"`
}

// Info implements [Strategy].
func (*Cumulative) Info() Info {
	return Info{Name: "cumulative", Title: "cumulative training",
		Paper:    "reference, Cumulative in Avalanche (Lomonaco et al. 2021, arXiv:2104.00405)",
		Equation: "L = mean(loss_seen), the task at hand and all before it",
		Stores:   "every image of every task so far",
		Stream:   SeenTasks}
}

// ReplayRows implements [Strategy]: the loop's, filled with fresh images.
func (*Cumulative) ReplayRows(loop int) int { return loop }

// Label implements [Strategy].
func (*Cumulative) Label() string { return "cumulative" }

// Foresees implements [Strategy].
func (*Cumulative) Foresees() bool { return true }
