package cl

// FromScratch trains a new network on each task alone, FromScratchTraining in [avalanche]:
//
//	L = mean(loss_fresh)
//
// Weights, averages and optimiser start again, at the initial weights of the run, at every task. What a task gains against
// it was transferred from other tasks. It has no settings.
type FromScratch struct {
	Base `yaml:"-"`
}

// Info implements [Strategy].
func (*FromScratch) Info() Info {
	return Info{Name: "from_scratch", Title: "each task from scratch",
		Paper:    "baseline, FromScratchTraining in Avalanche (Lomonaco et al. 2021, arXiv:2104.00405)",
		Equation: "L = mean(loss_fresh), from new weights at each task",
		Stores:   "nothing",
		Stream:   CurrentTask, Restarts: true}
}

// Label implements [Strategy].
func (*FromScratch) Label() string { return "from_scratch" }

// Foresees implements [Strategy].
func (*FromScratch) Foresees() bool { return true }
