package backend

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"palimpsest/pkg/goconv"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	"github.com/pkg/errors"
	"k8s.io/klog/v2"
)

// layers says what lies over a backend; "" where there is nothing to say.
type layers struct {
	convolutions string // what computes 3×3 convolutions
	executables  string // where compiled programs are kept
}

// newBackend opens config through GoMLX and says what lies over it. Whatever panics inside becomes an error: GoMLX panics
// on a backend name it does not know.
func newBackend(config string) (backend compute.Backend, over layers, err error) {
	defer func() {
		if r := recover(); r != nil {
			backend, err = nil, errors.Errorf("%v", r)
		}
	}()
	// Before anything is laid over a plugin: the keys of kept programs depend on the plugin.
	if err := limitThreads(runtime.GOMAXPROCS(0), runtime.NumCPU()); err != nil {
		return nil, layers{}, err
	}
	if plugin, found := strings.CutPrefix(config, "xla:"); found {
		plugin, options, _ := strings.Cut(plugin, ",")
		if err := verify(plugin); err != nil { // before any of its code runs
			return nil, layers{}, err
		}
		if namesCUDA(filepath.Base(plugin)) {
			// Before NVIDIA's libraries are loaded, which read their settings then.
			if config, over.convolutions, err = trueFloat32(config); err == nil {
				err = prepareCUDA(plugin)
			}
			if err != nil {
				return nil, layers{}, err
			}
			if filepath.IsAbs(plugin) {
				device, err := cardDigest(plugin)
				over.executables = layerDevice(plugin, device, err)
			}
		} else if filepath.IsAbs(plugin) {
			installed, err := CPU.Path()
			pinned, asked := err == nil && plugin == installed, config
			if namesCUDA(plugin) {
				link, err := linkTo(plugin)
				if err != nil {
					return nil, layers{}, err
				}
				defer os.RemoveAll(filepath.Dir(link)) // the library stays loaded
				plugin = link
				if config = "xla:" + link; options != "" {
					config += "," + options
				}
			}
			over = layer(plugin, asked, pinned)
		}
	}
	if err := refuseDeadlock(config); err != nil {
		return nil, layers{}, err
	}
	defer quiet()()
	backend, err = compute.NewWithConfig(config)
	if err != nil {
		return nil, layers{}, err // XLA returns a typed nil with its error
	}
	if name, _, _ := strings.Cut(config, ":"); name == gobackend.BackendName {
		backend, over.convolutions = goconv.Wrap(backend), "goconv (matrix products)"
	}
	return backend, over, nil
}

// threadsEnv is where XLA's PJRT clients look for their number of threads before they count processors.
const threadsEnv = "PJRT_NPROC"

// limitThreads has XLA start as many threads as Go would run where that is fewer than there are processors: XLA counts
// the processors it may be scheduled on, and in a container with a quota of two on a machine of 64 it would start 64
// threads that throttle each other. It starts four at least. A user's own number stays.
func limitThreads(threads, processors int) error {
	if threads >= processors || os.Getenv(threadsEnv) != "" {
		return nil
	}
	return errors.WithStack(os.Setenv(threadsEnv, strconv.Itoa(threads)))
}

// namesCUDA says whether go-xla would take a plugin of this name for one of CUDA's.
func namesCUDA(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "cuda") || strings.Contains(name, "nvidia")
}

// linkTo returns a link to plugin in a temporary folder of its own. go-xla looks for "cuda"
// in the whole path and passes options that a plugin for the processor refuses, so that a
// home folder of that name would keep XLA from opening.
func linkTo(plugin string) (string, error) {
	dir, err := os.MkdirTemp("", "xla-cpu-")
	if err != nil {
		return "", errors.WithStack(err)
	}
	link := filepath.Join(dir, filepath.Base(plugin))
	return link, errors.WithStack(os.Symlink(plugin, link))
}

// quiet silences what GoMLX itself writes until the returned function is called: pure Go
// prints its number of workers on standard output, XLA logs an error that it returns as well.
func quiet() (restore func()) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return func() {}
	}
	stdout := os.Stdout
	os.Stdout = null
	klog.LogToStderr(false)
	klog.SetOutput(null)
	return func() {
		os.Stdout = stdout
		klog.SetOutput(os.Stderr)
		klog.LogToStderr(true)
		null.Close()
	}
}
