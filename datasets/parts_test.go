package datasets

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// tarOf is a .tar file of the members, names and contents in turn.
func tarOf(t *testing.T, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: members[i], Mode: 0o644, Size: int64(len(members[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(members[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestTarFolders: where all members of a .tar file lie in folders called after splits, they belong to them; else all are of none, and a
// fifth of them is taken for testing.
func TestTarFolders(t *testing.T) {
	ownCache(t)
	for name, tc := range map[string]struct {
		folders          []string
		train, val, test int
	}{
		"folders":      {[]string{"train", "test"}, 10, 0, 10},
		"from here":    {[]string{"./train", "./test"}, 10, 0, 10},
		"deeper":       {[]string{"train/a", "val/a", "test/a"}, 10, 10, 10},
		"some without": {[]string{"train", "."}, 16, 0, 4},
		"training":     {[]string{"train", "training_wheels"}, 16, 0, 4},
		"one":          {[]string{"train"}, 8, 0, 2},
		"no training":  {[]string{"test"}, 8, 0, 2},
	} {
		var members []string
		for f, folder := range tc.folders {
			for i := range 10 {
				key := fmt.Sprintf("%s/%04d", folder, i)
				members = append(members, key+".cls", fmt.Sprint(i%2), key+".png", string(pngOf(t, 8, 8, byte(20*f+i), 99, 200)))
			}
		}
		file := filepath.Join(t.TempDir(), "w.tar")
		put(t, file, tarOf(t, members...))
		info, err := Describe(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d, err := Load(file)
		val := 0
		if err == nil && d.Val != nil {
			val = d.Val.N
		}
		if err != nil || info.Train != tc.train || info.Test != tc.test || val != tc.val {
			t.Errorf("%s: %d and %d images, %d for validation (%v); want %d, %d, %d", name, info.Train, info.Test, val, err, tc.train, tc.test, tc.val)
		}
	}
}

// npzOf is an .npz file of the arrays, names and contents in turn.
func npzOf(t *testing.T, arrays map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range arrays {
		w, err := z.Create(name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestNPZNamedAfterASplit: the name of a file says nothing of arrays that say their split themselves, and is asked where none does.
func TestNPZNamedAfterASplit(t *testing.T) {
	ownCache(t)
	images, labels := npyOf("|u1", "(4, 2, 2)", make([]byte, 16)), npyOf("|u1", "(4,)", []byte{0, 1, 0, 1})
	file := filepath.Join(t.TempDir(), "val.npz")
	put(t, file, npzOf(t, map[string][]byte{"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}))
	if info, err := Describe(file); err != nil || info.Train != 4 || info.Test != 4 {
		t.Errorf("%d and %d images, %v", info.Train, info.Test, err)
	}
	other := filepath.Join(t.TempDir(), "val.npz")
	put(t, other, npzOf(t, map[string][]byte{"images": images, "labels": labels}))
	if _, err := Describe(other); err == nil || !strings.Contains(err.Error(), "none is named train") {
		t.Errorf("arrays that say no split: %v", err)
	}
	truth := filepath.Join(t.TempDir(), "truth.npz")
	put(t, truth, npzOf(t, map[string][]byte{"x_train": npyOf("|b1", "(4, 2, 2)", make([]byte, 16)), "y_train": labels}))
	if _, err := Describe(truth); err == nil || !strings.Contains(err.Error(), "store 255*x.astype('uint8')") {
		t.Errorf("pixels that are true or false: %v", err)
	}
}
