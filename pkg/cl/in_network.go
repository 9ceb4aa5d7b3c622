package cl

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/datasets"
)

// InNetwork gives a strategy whose memory lies in the extended network the methods that it has no use for. It replays
// nothing, and its state is the number of extra evaluations alone. Embed it with the tag `yaml:"-"`.
type InNetwork struct {
	FreshOnly
	Setup       Setup
	Evaluations int64 // extra ones so far
}

// Begin keeps the setup and starts counting anew.
func (n *InNetwork) Begin(s Setup) error {
	*n = InNetwork{Setup: s}
	return nil
}

// BeforeStep leaves the step as it is.
func (*InNetwork) BeforeStep(*Step) error { return nil }

// EndTask keeps no image.
func (*InNetwork) EndTask(int, *datasets.Images) error { return nil }

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

// appendCount writes a number that readCount reads.
func appendCount(state []byte, count int64) []byte {
	return binary.LittleEndian.AppendUint64(state, uint64(count))
}

// readCount reads a number that State wrote first, and returns what follows.
func readCount(state []byte) (count int64, rest []byte, err error) {
	if len(state) < 8 || binary.LittleEndian.Uint64(state) > math.MaxInt64 {
		return 0, nil, errors.Errorf("cl: the stored state has %d bytes; need 8 of a number and what follows it", len(state))
	}
	return int64(binary.LittleEndian.Uint64(state)), state[8:], nil
}

// appendFloats writes values that readFloats reads.
func appendFloats(state []byte, values []float32) []byte {
	for _, v := range values {
		state = binary.LittleEndian.AppendUint32(state, math.Float32bits(v))
	}
	return state
}

// readFloats returns the values that appendFloats wrote, bit for bit.
func readFloats(state []byte) []float32 {
	values := make([]float32, len(state)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(state[4*i:]))
	}
	return values
}

// rng is the random sequence of a strategy's work at the end of a task.
func (s Setup) rng(task int) *rand.Rand {
	return rand.New(rand.NewPCG(s.Seed, uint64(task)<<48^drawConsolidation))
}

// LabelOf is a label for a strategy: its name, its setting "lambda" where it has one, and its other settings, in the order
// of their names, where they are not those of usual, which is a strategy with the default settings: "er_mine λ=0.3 buffer=60".
func LabelOf(s, usual Strategy) string {
	have, err := Settings(s)
	if err != nil {
		return s.Info().Name
	}
	want, _ := Settings(usual)
	label := s.Info().Name
	if lambda, ok := have["lambda"]; ok {
		label += fmt.Sprintf(" λ=%v", lambda)
	}
	for _, key := range slices.Sorted(maps.Keys(have)) {
		if key != "lambda" && fmt.Sprint(have[key]) != fmt.Sprint(want[key]) {
			label += fmt.Sprintf(" %s=%v", strings.ReplaceAll(key, "_", " "), have[key])
		}
	}
	return label
}

// atLeast reports a setting that is less than least or not finite.
func atLeast(setting string, value, least float64) error {
	if !(value >= least) || math.IsInf(value, 0) {
		return errors.Errorf("cl: %s is %g; need a finite number >= %g", setting, value, least)
	}
	return nil
}

// firstError is the first of several errors that is one.
func firstError(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}
