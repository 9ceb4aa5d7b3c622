package cl

import (
	"bytes"
	"encoding/binary"

	"github.com/pkg/errors"

	"palimpsest/datasets"
)

// wideClasses begins a list of classes that bytes do not hold. The bytes are a list of two in the first form, in which classes
// ascend, that does not ascend: no list of that form begins so.
var wideClasses = []byte{2, 1, 0}

// appendClasses writes ascending classes into a state: their number and each of them in a byte, as ever; where these do not fit,
// in four, after wideClasses.
func appendClasses(state []byte, classes []int32) []byte {
	if len(classes) < 256 && datasets.LabelBytes(classes) == 1 {
		return datasets.AppendLabels(append(state, byte(len(classes))), classes)
	}
	state = binary.LittleEndian.AppendUint32(append(state, wideClasses...), uint32(len(classes)))
	for _, class := range classes {
		state = binary.LittleEndian.AppendUint32(state, uint32(class))
	}
	return state
}

// readClasses reads what appendClasses wrote and returns what follows it.
func readClasses(state []byte) (classes []int32, rest []byte, err error) {
	cut := errors.Errorf("the list of classes is cut off within %d bytes of stored state", len(state))
	if after, wide := bytes.CutPrefix(state, wideClasses); wide {
		if len(after) < 4 {
			return nil, nil, cut
		}
		n := int64(binary.LittleEndian.Uint32(after))
		if after = after[4:]; n > int64(len(after)/4) {
			return nil, nil, cut
		}
		for range n {
			classes, after = append(classes, int32(binary.LittleEndian.Uint32(after))), after[4:]
		}
		rest = after
	} else {
		if len(state) < 1 || len(state) < 1+int(state[0]) {
			return nil, nil, cut
		}
		classes, rest = datasets.WideLabels(state[1:1+int(state[0])]), state[1+int(state[0]):]
	}
	for i, class := range classes {
		if class < 0 || class >= datasets.MaxClasses || i > 0 && class <= classes[i-1] {
			return nil, nil, errors.Errorf("the stored state lists class %d at place %d; need ascending classes from 0 to %d", class, i, datasets.MaxClasses-1)
		}
	}
	return classes, rest, nil
}
