// Package npz writes NumPy's .npz archives: one .npy array a name, uncompressed, as numpy.savez does [npy].
//
// References:
//
//	[npy]  NumPy. numpy.lib.format, version 1.0. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
package npz

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// Array is an array in row-major order: Data is a []uint8, []int64 or []float32 with as many values as Shape says.
type Array struct {
	Name  string
	Shape []int
	Data  any
}

// descr is NumPy's name of the array's type, and the number of its values.
func (a Array) descr() (string, int, error) {
	switch d := a.Data.(type) {
	case []uint8:
		return "|u1", len(d), nil
	case []int64:
		return "<i8", len(d), nil
	case []float32:
		return "<f4", len(d), nil
	}
	return "", 0, errors.Errorf("npz: array %s holds %T; need []uint8, []int64 or []float32", a.Name, a.Data)
}

// header is what stands before the values of a .npy file.
func (a Array) header() ([]byte, error) {
	descr, n, err := a.descr()
	if err != nil {
		return nil, err
	}
	want, dims := 1, ""
	for _, d := range a.Shape {
		if d < 0 {
			return nil, errors.Errorf("npz: array %s has the shape %v; need 0 or more in each dimension", a.Name, a.Shape)
		}
		want *= d
		dims += fmt.Sprintf("%d, ", d)
	}
	if want != n {
		return nil, errors.Errorf("npz: array %s has %d values for shape %v", a.Name, n, a.Shape)
	}
	if len(a.Shape) > 1 {
		dims = strings.TrimSuffix(dims, ", ")
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, strings.TrimSpace(dims))
	const magic = "\x93NUMPY\x01\x00"
	for (len(magic)+2+len(dict)+1)%64 != 0 {
		dict += " "
	}
	dict += "\n"
	return append(binary.LittleEndian.AppendUint16([]byte(magic), uint16(len(dict))), dict...), nil
}

// WriteFile writes arrays of different names to path, whole or not at all.
func WriteFile(path string, arrays ...Array) error {
	for i, a := range arrays {
		if a.Name == "" || slices.ContainsFunc(arrays[:i], func(b Array) bool { return b.Name == a.Name }) {
			return errors.Errorf("npz: array %d has the name %q; need a name for each, and no name twice", i, a.Name)
		}
	}
	return atomicfile.WriteFrom(path, func(out io.Writer) error {
		buffered := bufio.NewWriterSize(out, 1<<20)
		archive := zip.NewWriter(buffered)
		for _, a := range arrays {
			header, err := a.header()
			if err != nil {
				return err
			}
			file, err := archive.CreateHeader(&zip.FileHeader{Name: a.Name + ".npy", Method: zip.Store})
			if err != nil {
				return errors.WithStack(err)
			}
			if _, err := file.Write(header); err != nil {
				return errors.WithStack(err)
			}
			if err := binary.Write(file, binary.LittleEndian, a.Data); err != nil {
				return errors.WithStack(err)
			}
		}
		if err := archive.Close(); err != nil {
			return errors.WithStack(err)
		}
		return buffered.Flush()
	})
}
