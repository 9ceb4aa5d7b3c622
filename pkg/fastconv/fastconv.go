//go:build cgo && linux && (amd64 || arm64)

package fastconv

// #cgo CFLAGS: -O3
// #cgo LDFLAGS: -lm -lpthread
// #include <stdlib.h>
// #include "plugin.h"
import "C"

import (
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/pkg/errors"
)

var (
	loading sync.Mutex
	loaded  = map[string]bool{} // paths
)

// Load returns the table of functions for backends that compute their convolutions here, made of the table of the plugin at
// path, or of one that stands for it. It is for go-xla's RegisterPreloadedPlugin under that path, before the first backend.
// Where it fails, XLA computes them as before; the error says why, in one line.
func Load(path string, table unsafe.Pointer) (unsafe.Pointer, error) {
	if os.Getenv(Env) == "off" {
		return nil, errors.Errorf("%s=off", Env)
	}
	if C.lanes() == 0 {
		return nil, errors.New("the processor has no AVX2 with FMA")
	}
	loading.Lock()
	defer loading.Unlock()
	if err := try(); err != nil {
		return nil, err
	}
	var message *C.char
	ours := C.wrap_plugin(table, &message)
	if ours == nil {
		defer C.free(unsafe.Pointer(message))
		return nil, errors.New(C.GoString(message))
	}
	loaded[path] = true
	return ours, nil
}

// runs says whether this package's kernels compute on a backend.
func runs(b compute.Backend) bool {
	if over, ok := b.(interface{ Unwrap() compute.Backend }); ok { // one that measures what goes through it
		b = over.Unwrap()
	}
	x, ok := b.(*xla.Backend)
	loading.Lock()
	defer loading.Unlock()
	return ok && loaded[x.PluginName()]
}

// Vectors names the widest vectors the kernels use on this processor.
func Vectors() string {
	return map[C.int]string{0: "none", 4: "NEON", 8: "AVX2", 16: "AVX-512"}[C.lanes()]
}

// replaced counts the convolutions replaced in this process.
var replaced atomic.Int64

//export palimpsestReplace
func palimpsestReplace(program *C.char, size C.size_t, newSize *C.size_t) *C.char {
	text, n := replace(unsafe.String((*byte)(unsafe.Pointer(program)), int(size)))
	if n == 0 {
		return nil
	}
	replaced.Add(int64(n))
	*newSize = C.size_t(len(text))
	return C.CString(text)
}
