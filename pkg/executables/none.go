//go:build !(cgo && linux && amd64)

package executables

import (
	"unsafe"

	"github.com/pkg/errors"
)

// Load fails: no plugin is pinned for this build.
func Load(plugin, dir, config string, table unsafe.Pointer) (unsafe.Pointer, error) {
	return nil, errors.New("only done for XLA on linux/amd64")
}

// LoadDevice fails as Load does.
func LoadDevice(plugin, dir string, device []byte, table unsafe.Pointer) (unsafe.Pointer, error) {
	return Load(plugin, dir, "", table)
}

// ChildEnv is the environment variable that makes a program compile for another; here none does.
const ChildEnv = "PALIMPSEST_COMPILE_FOR"

// Child fails as Load does.
func Child() error { return errors.New("only done for XLA on linux/amd64") }
