package cl

// Finetune trains on the task at hand and does nothing about the ones before, Naive in [avalanche]:
//
//	L = mean(loss_fresh)
//
// It is the floor of a comparison: whatever it keeps of old tasks was kept for free. A step has fresh rows alone. It has no
// settings.
type Finetune struct {
	Base `yaml:"-"`
}

// Info implements [Strategy].
func (*Finetune) Info() Info {
	return Info{Name: "finetune", Title: "fine-tuning",
		Paper:    "baseline, Naive in Avalanche (Lomonaco et al. 2021, arXiv:2104.00405)",
		Equation: "L = mean(loss_fresh)",
		Stores:   "nothing",
		Stream:   CurrentTask, Borders: NoBorders}
}

// Label implements [Strategy].
func (*Finetune) Label() string { return "finetune" }

// Foresees implements [Strategy].
func (*Finetune) Foresees() bool { return true }
