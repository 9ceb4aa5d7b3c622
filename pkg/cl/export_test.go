package cl

// StepBatch is the batch of the step at hand, as the network would get it.
func StepBatch(l *Loop) (*Step, error) { return l.batch() }
