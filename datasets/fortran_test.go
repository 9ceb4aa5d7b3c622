package datasets

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFortranAsNumPy: arrays in Fortran order have the pixels that NumPy gives in C order, and a set of them is that of the same arrays in
// C order, by its hash too; so it is where not all images fit into memory at once.
func TestFortranAsNumPy(t *testing.T) {
	b, err := os.ReadFile(own("fortran", "arrays.json"))
	if err != nil {
		t.Fatal(err)
	}
	var arrays map[string][][]byte // by name, of the splits
	if err := json.Unmarshal(b, &arrays); err != nil {
		t.Fatal(err)
	}
	defer func(old int) { fortranBytes = old }(fortranBytes)
	for name, want := range arrays {
		var hash string
		for _, tc := range []struct {
			file  string
			bytes int // of memory
		}{{"_C.npz", 1 << 20}, {"_F.npz", 1 << 20}, {"_F.npz", 1}, {"_F.npz", 2 * 90}, {"_F.npz", 4 * 90}} {
			fortranBytes = tc.bytes
			ownCache(t)
			d, err := Open(own("fortran", name+tc.file))
			if err != nil {
				t.Fatal(err)
			}
			if hash == "" {
				hash = d.Hash
			} else if d.Hash != hash {
				t.Errorf("%s%s, %d bytes: hash %s, in C order %s", name, tc.file, tc.bytes, d.Hash, hash)
			}
			got := map[split][]byte{}
			err = d.own.reader.each(func(p picture) error {
				got[p.split] = append(got[p.split], p.pixels...)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range want {
				s := []split{inTrain, inTest}[i]
				if len(want) == 1 {
					s = noSplit
				}
				if !bytes.Equal(got[s], w) {
					t.Errorf("%s%s, %d bytes, %s: % d, want % d", name, tc.file, tc.bytes, s, got[s], w)
				}
			}
		}
	}
}

// TestFortranHostile: an array in Fortran order that is cut off, or whose head claims more than there is, is one line; labels of one column
// are the same in either order, as Julia's NPZ writes them.
func TestFortranHostile(t *testing.T) {
	labels, _, err := readNPYLabels(bytes.NewReader(npyOrdered("<i2", "True", "(3, 1)", []byte{1, 0, 2, 0, 3, 0})), nil)
	if err != nil || !slices.Equal(labels, []int64{1, 2, 3}) {
		t.Errorf("labels %v, %v", labels, err)
	}
	for shape, want := range map[string]string{
		"(2, 2, 3)":                       "ends before image 0 of 2 is whole (it ends too early)", // 11 of 12 bytes
		"(2, 7000, 7000, 3)":              "ends before image 0 of 2 is whole",
		"(2, 70000, 70000, 3)":            "at most 50 million",
		"(2, 4294967296, 4294967296)":     "has the shape",
		"(2, 3037000500, 3037000500, 3)":  "has the shape",
		"(2, 9223372036854775807, 4, 3)":  "has the shape",
		"(2, 99999999999999999999, 4, 3)": "has the shape",
		"(2, 0, 3)":                       "has the shape",
		"(3, 2, 3)":                       "for 2 labels",
		"(2, 2, 3, 4)":                    "has the shape",
	} {
		next, err := npyImages(func() (io.Reader, error) {
			return bytes.NewReader(npyOrdered("|u1", "True", shape, make([]byte, 11))), nil
		}, 2, false)
		if err == nil {
			_, _, _, _, err = next()
		}
		if oneLine(t, err); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", shape, err, want)
		}
	}
	// Of a file that is cut within an array nothing is left in the cache.
	whole, err := os.ReadFile(own("fortran", "images_F.npz"))
	if err != nil {
		t.Fatal(err)
	}
	cache, file := ownCache(t), filepath.Join(t.TempDir(), "cut.npz")
	whole[200] ^= 0xff // within the first array, deflated
	put(t, file, whole)
	_, err = Add("cut", file)
	if oneLine(t, err); err == nil || !strings.Contains(err.Error(), file+": array x_train") {
		t.Errorf("damaged: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(cache, "*", "*"))
	if all, _ := registered(); err != nil || len(left)+len(all) > 0 {
		t.Errorf("left %v, %v, %v", fmt.Sprint(left), all, err)
	}
}
