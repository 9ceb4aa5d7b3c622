//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && arm64 && xla))

package backend

// #include <dlfcn.h>
// #include <stdlib.h>
// static void *call(void *f) { return ((void *(*)(void))f)(); }
import "C"

import (
	"sync"
	"unsafe"

	"palimpsest/pkg/executables"
	"palimpsest/pkg/fastconv"

	"github.com/gomlx/go-xla/pjrt"
	"github.com/pkg/errors"
)

// layered is what was put into the plugins of this process, by their paths: it stays, so it is done once.
var layered struct {
	sync.Mutex
	plugins map[string]layers
}

// layer puts packages executables and fastconv, the upper one, into a plugin for the processor, which is opened by config. Both lean on the layout of
// one plugin's interfaces, and so go into the pinned one alone. What fails is left out.
func layer(plugin, config string, pinned bool) layers {
	if !pinned {
		return nothingOver(errors.New("this is not the plugin setup installs"))
	}
	return put(plugin, func(dir string, table unsafe.Pointer) (unsafe.Pointer, error) {
		return executables.Load(plugin, dir, config, table)
	}, fastconv.Load)
}

// layerDevice puts package executables into the plugin of an NVIDIA card and says where its programs are kept. device is what they depend on, or why
// that is not known. What fails is left out.
func layerDevice(plugin string, device []byte, why error) (said string) {
	if why != nil {
		return nothingOver(why).executables
	}
	return put(plugin, func(dir string, table unsafe.Pointer) (unsafe.Pointer, error) {
		return executables.LoadDevice(plugin, dir, device, table)
	}, nil).executables
}

// nothingOver says why nothing lies over a plugin.
func nothingOver(why error) layers {
	return layers{"XLA's own (" + firstLine(why) + ")", notKept + "(" + firstLine(why) + ")"}
}

// put lays over a plugin's table what keep makes of it for a folder, and over that what fast does, which may be nil.
func put(plugin string, keep func(dir string, table unsafe.Pointer) (unsafe.Pointer, error),
	fast func(plugin string, table unsafe.Pointer) (unsafe.Pointer, error)) layers {
	layered.Lock()
	defer layered.Unlock()
	if l, done := layered.plugins[plugin]; done {
		return l
	}
	first, err := functions(plugin)
	if err != nil {
		return nothingOver(err)
	}
	var l layers
	table := first
	if dir, err := ExecutablesDir(); err != nil {
		l.executables = notKept + "(" + firstLine(err) + ")"
	} else if upper, err := keep(dir, table); err != nil {
		l.executables = notKept + "(" + firstLine(err) + ")"
	} else {
		table, l.executables = upper, "kept in "+dir
	}
	if fast != nil {
		if upper, err := fast(plugin, table); err != nil {
			l.convolutions = "XLA's own (" + firstLine(err) + ")"
		} else {
			table, l.convolutions = upper, "fastconv ("+fastconv.Vectors()+")"
		}
	}
	if table != first {
		// go-xla asks its list of loaded plugins first, by the name a backend is opened with: the path.
		if err := pjrt.RegisterPreloadedPlugin(plugin, uintptr(table)); err != nil {
			return nothingOver(errors.WithMessage(err, "go-xla refuses the plugin"))
		}
	}
	if layered.plugins == nil {
		layered.plugins = map[string]layers{}
	}
	layered.plugins[plugin] = l
	return l
}

// functions loads the plugin at path for the rest of the process and returns its table of functions.
func functions(path string) (unsafe.Pointer, error) {
	name, symbol := C.CString(path), C.CString("GetPjrtApi")
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(symbol))
	library := C.dlopen(name, C.RTLD_LAZY|C.RTLD_LOCAL)
	if library == nil {
		return nil, errors.Errorf("the plugin does not load: %s", C.GoString(C.dlerror()))
	}
	get := C.dlsym(library, symbol)
	if get == nil {
		return nil, errors.Errorf("the plugin is none: %s", C.GoString(C.dlerror()))
	}
	return C.call(get), nil
}
