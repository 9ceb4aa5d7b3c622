package datasets

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"golang.org/x/text/unicode/norm"
)

// wholeLabel is a label that is stored as a floating-point number, which has to be a whole one, 2^53 at most.
func wholeLabel(v float64) (int64, error) {
	if v != math.Trunc(v) || math.Abs(v) > 1<<53 { // NaN equals nothing
		return 0, errors.Errorf("has the label %g; need whole numbers from 0: leave images without a label out, and number classes", v)
	}
	return int64(v), nil
}

// textLabels numbers labels that are text, in the order in which they come.
type textLabels map[string]int64

// number is that of a label, which is taken without white space around it, in Unicode's normal form NFC. An error goes on from the label's
// place.
func (texts textLabels) number(text string) (int64, error) {
	text = norm.NFC.String(strings.TrimSpace(text))
	if !isClassName(text) || len(text) > 200 {
		return 0, errors.Errorf("has the label %.100q; need the name of a class, one line of 1 to 200 bytes in UTF-8", text)
	}
	number, known := texts[text]
	if !known {
		if len(texts) == MaxClasses {
			return 0, errors.Errorf("has the label %.100q, and %d others came before; need %d classes at most: choose other labels by #label=NAME after the path", text, MaxClasses, MaxClasses)
		}
		number = int64(len(texts))
		texts[text] = number
	}
	return number, nil
}

// classes are the names of the classes, and the class of each number.
func (texts textLabels) classes() (names []string, class map[int64]int32) {
	names, class = classesByName(slices.Collect(maps.Keys(texts))), map[int64]int32{}
	for i, name := range names {
		class[texts[name]] = int32(i)
	}
	return names, class
}

// kinds are the kinds of labels in words, by whether they are text.
var kinds = map[bool]string{true: "text", false: "numbers"}

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
