//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && arm64 && xla))

package backend

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdlib.h>
import "C"

import (
	"unsafe"

	"github.com/gomlx/go-xla/compute/xla"
)

// XLABuilt says whether XLA is compiled into this program.
const XLABuilt = true

// Plugins come from kernelsetup, pinned by hash; go-xla's own download is switched off even
// where another package links it.
func init() { xla.EnableAutoInstall(false) }

// preload loads a shared library for the rest of the process. A failure shows later, when
// the plugin misses it.
func preload(path string) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	C.dlopen(name, C.RTLD_NOW|C.RTLD_LOCAL)
}
