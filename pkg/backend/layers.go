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
		const why = "this is not the plugin setup installs"
		return layers{"XLA's own (" + why + ")", notKept + "(" + why + ")"}
	}
	layered.Lock()
	defer layered.Unlock()
	if l, done := layered.plugins[plugin]; done {
		return l
	}
	failed := func(err error) layers {
		return layers{"XLA's own (" + firstLine(err) + ")", notKept + "(" + firstLine(err) + ")"}
	}
	first, err := functions(plugin)
	if err != nil {
		return failed(err)
	}
	var l layers
	table := first
	if dir, err := ExecutablesDir(); err != nil {
		l.executables = notKept + "(" + firstLine(err) + ")"
	} else if upper, err := executables.Load(plugin, dir, config, table); err != nil {
		l.executables = notKept + "(" + firstLine(err) + ")"
	} else {
		table, l.executables = upper, "kept in "+dir
	}
	if upper, err := fastconv.Load(plugin, table); err != nil {
		l.convolutions = "XLA's own (" + firstLine(err) + ")"
	} else {
		table, l.convolutions = upper, "fastconv ("+fastconv.Vectors()+")"
	}
	if table != first {
		// go-xla asks its list of loaded plugins first, by the name a backend is opened with: the path.
		if err := pjrt.RegisterPreloadedPlugin(plugin, uintptr(table)); err != nil {
			return failed(errors.WithMessage(err, "go-xla refuses the plugin"))
		}
	}
	if layered.plugins == nil {
		layered.plugins = map[string]layers{}
	}
	layered.plugins[plugin] = l
	return l
}

// layerDevice puts package executables into the plugin of an NVIDIA card and says where its programs are kept. device is what they depend on, or why
// that is not known. What fails is left out.
func layerDevice(plugin string, device []byte, why error) (said string) {
	defer func() {
		if why != nil {
			said = notKept + "(" + firstLine(why) + ")"
		}
	}()
	layered.Lock()
	defer layered.Unlock()
	if l, done := layered.plugins[plugin]; done {
		return l.executables
	}
	var dir string
	if why == nil {
		dir, why = ExecutablesDir()
	}
	var table unsafe.Pointer
	if why == nil {
		table, why = functions(plugin)
	}
	if why == nil {
		table, why = executables.LoadDevice(plugin, dir, device, table)
	}
	if why == nil {
		why = errors.WithMessage(pjrt.RegisterPreloadedPlugin(plugin, uintptr(table)), "go-xla refuses the plugin")
	}
	if why != nil {
		return ""
	}
	if layered.plugins == nil {
		layered.plugins = map[string]layers{}
	}
	said = "kept in " + dir
	layered.plugins[plugin] = layers{executables: said}
	return said
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
