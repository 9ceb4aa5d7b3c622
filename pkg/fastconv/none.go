//go:build !(cgo && linux && (amd64 || arm64))

package fastconv

import (
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
)

// Load fails: this build has no XLA to load kernels into.
func Load(string, unsafe.Pointer) (unsafe.Pointer, error) {
	return nil, errors.New("this build has no XLA")
}

// Vectors names the widest vectors the kernels use on this processor.
func Vectors() string { return "none" }

// runs says whether this package's kernels compute on a backend.
func runs(compute.Backend) bool { return false }
