package datasets

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/pkg/errors"
)

// wholeLabel is a label that is stored as a floating-point number, which has to be a whole one, 2^53 at most.
func wholeLabel(v float64) (int64, error) {
	if v != math.Trunc(v) || math.Abs(v) > 1<<53 { // NaN equals nothing
		return 0, errors.Errorf("has the label %g; need whole numbers from 0: leave images without a label out, and number classes", v)
	}
	return int64(v), nil
}

// LabelBytes is how many bytes each label takes when labels are stored: four if any of them is no byte, 0 to 255, otherwise one, as in
// files that were written when labels always took one.
func LabelBytes(labels []int32) int {
	if slices.ContainsFunc(labels, func(label int32) bool { return label < 0 || label > 255 }) {
		return 4
	}
	return 1
}

// AppendLabels writes labels, each of [LabelBytes], little end first.
func AppendLabels(to []byte, labels []int32) []byte {
	wide := LabelBytes(labels) == 4
	for _, label := range labels {
		if wide {
			to = binary.LittleEndian.AppendUint32(to, uint32(label))
		} else {
			to = append(to, byte(label))
		}
	}
	return to
}

// WideLabels are labels that were stored as bytes.
func WideLabels(stored []byte) []int32 {
	labels := make([]int32, len(stored))
	for i, label := range stored {
		labels[i] = int32(label)
	}
	return labels
}
