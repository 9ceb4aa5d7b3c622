package datasets

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/npz"
)

// Flat rows of three channels are planes in an array of ImageNet's name; of another name nothing says how they lie, and they are refused.
// Grey ones lie in one way.
func TestFlatRows(t *testing.T) {
	row := make([]uint8, 12)
	for i := range row {
		row[i] = uint8(i)
	}
	for _, tc := range []struct {
		name, labels string
		bytes        int
		first, want  string // pixels of the first image, or the error
	}{
		{"data", "labels", 12, "\x00\x04\x08\x01\x05\x09\x02\x06\x0a\x03\x07\x0b", ""},
		{"x_train", "y_train", 12, "", "has the shape [1 12], flat rows, which do not say how their bytes lie; need [N,H,W,C], such as x.reshape(N, H, W, 3)"},
		{"images", "labels", 12, "", "flat rows"},
		{"arr_0", "arr_1", 12, "", "flat rows"},
		{"x_train", "y_train", 9, "\x00\x01\x02\x03\x04\x05\x06\x07\x08", ""},
	} {
		file := filepath.Join(t.TempDir(), "set.npz")
		if err := npz.WriteFile(file, npz.Array{Name: tc.name, Shape: []int{1, tc.bytes}, Data: row[:tc.bytes]}, npz.Array{Name: tc.labels, Shape: []int{1}, Data: []int64{0}}); err != nil {
			t.Fatal(err)
		}
		next, end, err := openNPZImages(npzArrays{file, tc.name}, 1)
		if tc.want != "" {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s, rows of %d: %v, want %q", tc.name, tc.bytes, err, tc.want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		pixels, _, _, _, err := next()
		if err != nil || !slices.Equal(pixels, []uint8(tc.first)) {
			t.Errorf("%s, rows of %d: %v (%v), want %v", tc.name, tc.bytes, pixels, err, []uint8(tc.first))
		}
		_ = end()
	}
}
