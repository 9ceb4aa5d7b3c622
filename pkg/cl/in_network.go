package cl

import "github.com/pkg/errors"

// InNetwork is [Base] for a strategy whose memory lies in the extended network: its state is the number of extra evaluations
// alone. Embed it with the tag `yaml:"-"`.
type InNetwork struct {
	Base
	Setup       Setup
	Evaluations int64 // extra ones so far
}

// Begin keeps the setup and starts counting again.
func (n *InNetwork) Begin(s Setup) error {
	*n = InNetwork{Setup: s}
	return nil
}

// Stored reports the extra evaluations; what the network keeps is added by [Loop.Stored].
func (n *InNetwork) Stored() Stored { return Stored{ExtraEvaluations: n.Evaluations} }

// State is the number of extra evaluations.
func (n *InNetwork) State() ([]byte, error) {
	return appendCount(nil, n.Evaluations), nil
}

// Restore reads what State wrote.
func (n *InNetwork) Restore(state []byte) error {
	count, rest, err := readCount(state)
	if err != nil || len(rest) > 0 {
		return errors.Errorf("cl: %d bytes of state; need the 8 of a number of evaluations", len(state))
	}
	n.Evaluations = count
	return nil
}
