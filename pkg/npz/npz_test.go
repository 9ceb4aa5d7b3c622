package npz

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// The bytes are those that numpy.savez of NumPy 2.4 writes for the same arrays.
func TestAsNumPyWritesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npz")
	if err := WriteFile(path, Array{"arr_0", []int{1, 2, 1, 3}, []uint8{1, 2, 3, 4, 5, 255}}, Array{"arr_1", []int{2}, []int64{7, -1}}, Array{"x", []int{1, 1}, []float32{0.5}}); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	pad := func(s string, n int) string { return s + string(bytes.Repeat([]byte(" "), n)) + "\n" }
	want := map[string]string{
		"arr_0.npy": "\x93NUMPY\x01\x00\x76\x00" + pad("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 1, 3), }", 52) + "\x01\x02\x03\x04\x05\xff",
		"arr_1.npy": "\x93NUMPY\x01\x00\x76\x00" + pad("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", 60) + "\x07\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff",
		"x.npy":     "\x93NUMPY\x01\x00\x76\x00" + pad("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }", 58) + "\x00\x00\x00\x3f",
	}
	if len(archive.File) != len(want) {
		t.Errorf("%d files, want %d", len(archive.File), len(want))
	}
	for _, f := range archive.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want[f.Name] {
			t.Errorf("%s is\n%q, want\n%q", f.Name, got, want[f.Name])
		}
	}
	for _, bad := range []Array{{"a", []int{3}, []uint8{1}}, {"a", []int{1}, []float64{1}}} {
		if err := WriteFile(path, bad); err == nil {
			t.Errorf("%+v is written", bad)
		}
	}
}

// What NumPy could not read is refused, and nothing is written.
func TestRefused(t *testing.T) {
	for name, arrays := range map[string][]Array{
		"too few values":     {{"x", []int{2}, []uint8{1}}},
		"dimensions below 0": {{"x", []int{-1, -2}, []uint8{1, 2}}},
		"another kind":       {{"x", []int{1}, []string{"a"}}},
		"no name":            {{"", []int{1}, []uint8{1}}},
		"one name for both":  {{"x", []int{1}, []uint8{1}}, {"x", []int{1}, []uint8{2}}},
	} {
		dir := t.TempDir()
		if err := WriteFile(filepath.Join(dir, "a.npz"), arrays...); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is written, %v", name, left, err)
		}
	}
}
