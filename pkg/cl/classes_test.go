package cl

import (
	"slices"
	"testing"
)

// TestClassLists: lists of classes come back, those of bytes in the form they have always had, and what is cut off is refused.
func TestClassLists(t *testing.T) {
	many := make([]int32, 256)
	for i := range many {
		many[i] = int32(i)
	}
	for _, tc := range []struct {
		classes []int32
		size    int
	}{{nil, 1}, {[]int32{3}, 2}, {[]int32{0, 1}, 3}, {many[:255], 256}, {many, 3 + 4 + 4*256}, {[]int32{2, 256}, 3 + 4 + 8}, {[]int32{65535}, 3 + 4 + 4}} {
		state := appendClasses(nil, tc.classes)
		got, rest, err := readClasses(append(slices.Clone(state), 7))
		if err != nil || !slices.Equal(got, tc.classes) || !slices.Equal(rest, []byte{7}) || len(state) != tc.size {
			t.Errorf("%d classes: %d bytes, read as %v with rest %v, %v; want %d bytes", len(tc.classes), len(state), got, rest, err, tc.size)
		}
		for cut := range state {
			if got, rest, err := readClasses(state[:cut]); err == nil && len(tc.classes) > 0 {
				t.Errorf("%d of %d bytes are read as %v with rest %v", cut, len(state), got, rest)
			}
		}
	}
	for _, bad := range [][]byte{{2, 5, 4}, {2, 5, 5}, {2, 1, 0, 1, 0, 0, 0, 0, 0, 0, 255}} {
		if got, _, err := readClasses(bad); err == nil {
			t.Errorf("% x is read as %v", bad, got)
		}
	}
}
