package cl

import (
	"encoding/binary"
	"math"

	"github.com/pkg/errors"
)

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
