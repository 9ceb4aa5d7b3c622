//go:build cgo && linux && (amd64 || arm64)

package fastconv

// #cgo CFLAGS: -O3
// #cgo LDFLAGS: -ldl -lm -lpthread
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
	"github.com/gomlx/go-xla/pjrt"
	"github.com/pkg/errors"
)

var (
	loading sync.Mutex
	loaded  = map[string]bool{} // paths
)

// Load makes backends that are opened on the plugin at path from now on compute their convolutions here. It must come
// before the first of them. Loading the same plugin again does nothing. Where it fails, XLA computes them as before; the
// error says why, in one line.
func Load(path string) error {
	if os.Getenv(Env) == "off" {
		return errors.Errorf("%s=off", Env)
	}
	if C.lanes() == 0 {
		return errors.New("the processor has no AVX2 with FMA")
	}
	loading.Lock()
	defer loading.Unlock()
	if loaded[path] {
		return nil
	}
	if err := try(); err != nil {
		return err
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var message *C.char
	table := C.load(name, &message)
	if table == nil {
		defer C.free(unsafe.Pointer(message))
		return errors.New(C.GoString(message))
	}
	// go-xla asks its list of loaded plugins first, by the name a backend is opened with: the path.
	if err := pjrt.RegisterPreloadedPlugin(path, uintptr(table)); err != nil {
		return errors.WithMessage(err, "go-xla refuses the plugin")
	}
	loaded[path] = true
	return nil
}

// runs says whether this package's kernels compute on a backend.
func runs(b compute.Backend) bool {
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
