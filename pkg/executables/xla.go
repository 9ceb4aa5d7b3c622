//go:build cgo && linux && amd64

package executables

// #include "plugin.h"
import "C"

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"palimpsest/pkg/kept"

	"github.com/pkg/errors"
	"golang.org/x/sys/unix"
)

// cache is where the executables of the process are kept, set by Load.
var cache struct {
	sync.RWMutex
	store  kept.Store
	base   []byte // digest of what all of them depend on
	cores  []byte // as base was made
	config string // of the backend a child opens; "": this process compiles
	device bool   // the programs are for a device of its own, whose code no core matters to
}

// worth is how long a compilation must take for its result to be kept.
var worth = time.Second / 20

// loads counts the executables that this process found in the folder, children those that a child compiled for it.
var loads, children atomic.Int64

// format is the version of what is written here.
const format = "palimpsest executable 1"

// Load returns the table of functions for backends that keep their executables in dir, made of the table of the plugin in
// the file at path. Where config is not empty, large programs are compiled by a process that calls [Child] and opens the backend
// it names. It is for go-xla's RegisterPreloadedPlugin, before the first backend. Where it fails, XLA compiles
// everything; the error says why, in one line.
func Load(path, dir, config string, table unsafe.Pointer) (unsafe.Pointer, error) {
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if value != "" && (strings.HasPrefix(name, "XLA_") || strings.HasPrefix(name, "TF_XLA_")) {
			return nil, errors.Errorf("%s is set, which may ask for more than the result", name)
		}
	}
	return load(path, dir, config, nil, table)
}

// LoadDevice is [Load] for the plugin of a device that is not the processor: device is the digest of all that its programs depend on besides
// the processor, such as the plugin, the card, its driver and XLA's flags; it must not be empty. Nothing else bears on their keys, so that
// what is kept serves other machines of the kind, should the folder be carried there. All programs are compiled in this process: another would
// open the device a second time, and choose algorithms on it while this one computes.
func LoadDevice(path, dir string, device []byte, table unsafe.Pointer) (unsafe.Pointer, error) {
	return load(path, dir, "", device, table)
}

func load(path, dir, config string, device []byte, table unsafe.Pointer) (unsafe.Pointer, error) {
	base, err := dependencies(path, device)
	if err != nil {
		return nil, err
	}
	store, err := openStore(dir, Most)
	if err != nil {
		return nil, err
	}
	cache.Lock()
	defer cache.Unlock()
	var why *C.char
	ours := C.wrap(table, &why)
	if ours == nil {
		return nil, errors.New(C.GoString(why))
	}
	cache.store, cache.base, cache.cores, cache.config, cache.device = store, base, cores(), config, len(device) > 0
	return ours, nil
}

// dependencies is the digest of what every executable of this process depends on: the plugin, the processor, and how many
// threads XLA starts. The plugin is known by its file's name, size, number and times, the last of which nobody can set: to
// read its 200 MB takes half a second, a tenth of what is to be gained.
//
// The programs of another device depend on the processor and what device says.
func dependencies(path string, device []byte) ([]byte, error) {
	about := C.processor()
	processor := unsafe.Slice((*byte)(unsafe.Pointer(&about)), unsafe.Sizeof(about))
	if len(device) > 0 {
		return kept.Digest([]byte(format), processor, device), nil
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	var info syscall.Stat_t
	if err := syscall.Stat(path, &info); err != nil {
		return nil, errors.Wrap(err, path)
	}
	threads := fmt.Sprint(os.Getenv("PJRT_NPROC"), " ", os.Getenv("NPROC"))
	return kept.Digest([]byte(format), []byte(path), binary.LittleEndian.AppendUint64(nil, info.Ino), fmt.Append(nil, info.Size, info.Mtim, info.Ctim),
		processor, []byte(threads), cores()), nil
}

// cores is how many cores the calling thread may run on.
func cores() []byte {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	return binary.LittleEndian.AppendUint64(nil, uint64(set.Count()))
}

func view(data unsafe.Pointer, size C.size_t) []byte { return unsafe.Slice((*byte)(data), int(size)) }

//export palimpsestCompile
func palimpsestCompile(args *C.struct_compile_args) unsafe.Pointer {
	if child != nil {
		compileForParent(args)
	}
	begin := time.Now()
	atWork.Add(1)
	defer func() {
		atWork.Add(-1)
		spent.Add(int64(time.Since(begin)))
	}()
	cache.RLock()
	store, base, config, share := cache.store, cache.base, cache.config, cores()
	if !bytes.Equal(cache.cores, share) {
		config = "" // a child would open its backend for fewer cores than this one was opened for
	}
	if cache.device {
		share = nil
	}
	cache.RUnlock()
	format, code, options := view(unsafe.Pointer(args.program.format), args.program.format_size),
		view(unsafe.Pointer(args.program.code), args.program.code_size), view(unsafe.Pointer(args.options), args.options_size)
	key := kept.Digest(base, share, format, code, options)
	load := func(data []byte) bool {
		loaded := C.deserialise(args.client, unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data)))
		if loaded != nil {
			args.executable = loaded
		}
		return loaded != nil
	}
	if data := store.Get(key); data != nil && load(data) {
		loads.Add(1)
		return nil
	}
	if config != "" && len(code) >= large {
		if data, err := byChild(config, job{format, code, options}); err == nil && load(data) {
			children.Add(1)
			store.Put(key, data)
			return nil
		}
	}
	start := time.Now()
	if failure := C.compile(args); failure != nil {
		return failure
	}
	if time.Since(start) < worth {
		return nil
	}
	var s C.struct_serialised
	if C.serialise(args.executable, &s) != 0 {
		store.Put(key, view(s.data, s.size))
		C.release(&s)
	}
	return nil
}
