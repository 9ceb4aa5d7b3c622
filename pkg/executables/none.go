//go:build !(cgo && linux && amd64)

package executables

import (
	"unsafe"

	"github.com/pkg/errors"
)

// Load fails: no plugin is pinned for this build.
func Load(plugin, dir string, table unsafe.Pointer) (unsafe.Pointer, error) {
	return nil, errors.New("only done for XLA on linux/amd64")
}
