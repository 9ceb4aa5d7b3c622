package backend

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/pkg/errors"
)

// Plugin is a pinned PJRT plugin as Python packages carry it.
type Plugin struct {
	Name         string // "xla-cpu-0.11.2": of the folder it is unpacked in
	Title        string // for messages, with the size of the download
	Requirements string // the packages, each with its version and SHA-256, as pip reads them
	File         string // the library, relative to the folder the packages are unpacked in
	SHA256       string // of the library; "": not pinned by itself, only the packages are
	Setup        string // the command that installs it
	System       string // the system it is built for, "darwin/arm64"; "": linux/amd64
	Device       string // a file that is there where such a GPU is; "": no file shows it
	Needs        string // what else the machine must have, where this repository has not tried the plugin; "": it has
}

// What is pinned: the wheels' names, versions and hashes are in these files and nowhere else.
var (
	//go:embed requirements/cpu.txt
	cpuRequirements string
	//go:embed requirements/cuda13.txt
	cuda13Requirements string
	//go:embed requirements/cuda12.txt
	cuda12Requirements string
	//go:embed requirements/rocm.txt
	rocmRequirements string
	//go:embed requirements/oneapi.txt
	oneapiRequirements string
	//go:embed requirements/metal.txt
	metalRequirements string
)

// CPU is the XLA plugin for the processor.
var CPU = Plugin{
	Name:         "xla-cpu-0.11.2",
	Title:        "XLA CPU plugin, 63 MB",
	Requirements: cpuRequirements,
	File:         "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
	SHA256:       "ad1309ac822b1b24d51b7f9947c7c9fa9ef5d67f390584cbc3d1fa2428fed9c2",
	Setup:        "go run . setup",
}

// CUDA13 is the XLA plugin for NVIDIA GPUs with a driver of 580 or later.
var CUDA13 = Plugin{
	Name:         "xla-cuda13-0.11.2",
	Title:        "XLA CUDA 13 plugin and NVIDIA's libraries, over 2 GB",
	Requirements: cuda13Requirements,
	File:         "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
	SHA256:       "43d3efd6fd43d8a5d9aa67176e830d81e4ad5fc19fda4ad09cdcc4aebd9f3920",
	Setup:        "go run . setup --cuda",
}

// CUDA12 is the XLA plugin for NVIDIA GPUs with a driver of 525 to 579.
var CUDA12 = Plugin{
	Name:         "xla-cuda12-0.11.2",
	Title:        "XLA CUDA 12 plugin and NVIDIA's libraries, over 2 GB",
	Requirements: cuda12Requirements,
	File:         "jax_plugins/xla_cuda12/xla_cuda_plugin.so",
	SHA256:       "ed4d60d77427548709ca0b5a8e04c1b24cc0091452bb564e4aea01e03ae7eac1",
	Setup:        "go run . setup --cuda",
}

// GPUPlugins are the plugins for GPUs that are not NVIDIA's, by the name under which `setup --gpu` installs them and
// GOMLX_BACKEND=xla:NAME opens them. None was ever run with this program, so none is opened unasked.
var GPUPlugins = map[string]Plugin{
	"rocm": {
		Name:         "xla-rocm7-0.11.2",
		Title:        "XLA plugin for AMD GPUs, 140 MB",
		Requirements: rocmRequirements,
		File:         "jax_plugins/xla_rocm7/xla_rocm_plugin.so",
		Setup:        "go run . setup --gpu rocm",
		Device:       "/dev/kfd",
		Needs:        "an AMD GPU with ROCm 7",
	},
	"oneapi": {
		Name:         "xla-oneapi-0.11.2",
		Title:        "XLA plugin for Intel GPUs, 135 MB",
		Requirements: oneapiRequirements,
		File:         "jax_plugins/xla_oneapi/xla_oneapi_plugin.so",
		Setup:        "go run . setup --gpu oneapi",
		Needs:        "an Intel GPU with oneAPI's libraries",
	},
	"metal": {
		Name:         "metaljax-0.11.9",
		Title:        "PJRT plugin for Apple GPUs (metaljax), 68 MB",
		Requirements: metalRequirements,
		File:         "metaljax/lib/libmetal_pjrt_native.dylib",
		Setup:        "go run . setup --gpu metal",
		System:       "darwin/arm64",
		Device:       "/System/Library/Frameworks/Metal.framework",
		Needs:        "macOS 14 on an Apple processor, and `go run -tags xla .`",
	},
}

// GPUPlugin returns the plugin of [GPUPlugins] of a name. It fails where there is none and where it is built for another
// system than this one.
func GPUPlugin(name string) (Plugin, error) {
	p, known := GPUPlugins[name]
	switch {
	case !known:
		return p, errors.Errorf("no GPU plugin is named %q; choose %s, or for NVIDIA `setup --cuda`", name,
			strings.Join(slices.Sorted(maps.Keys(GPUPlugins)), ", "))
	case !p.Supported():
		return p, errors.Errorf("the %s is built for %s, this is %s", p.ShortTitle(), p.system(), system())
	}
	return p, nil
}

// StampName is the file an installer writes last into a folder. A folder without it is
// unfinished and is replaced by the next installation.
const StampName = ".installed"

// ShortTitle is the title without the size.
func (p Plugin) ShortTitle() string {
	title, _, _ := strings.Cut(p.Title, ",")
	return title
}

// Dir returns the folder p is unpacked in. Its name ends in a hash of what is pinned.
func (p Plugin) Dir() (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(p.Requirements))
	return filepath.Join(cache, "plugins", fmt.Sprintf("%s-%x", p.Name, sum[:4])), nil
}

// Path returns the absolute path of p's library. It fails, naming the command that
// repairs it, if p is not installed completely or has no build for this machine.
func (p Plugin) Path() (string, error) {
	if !p.Supported() {
		return "", errors.Errorf("%s is built for %s only, this is %s", p.Name, p.system(), system())
	}
	dir, err := p.Dir()
	if err != nil {
		return "", err
	}
	library := filepath.Join(dir, p.File)
	for _, file := range []string{filepath.Join(dir, StampName), library} {
		if _, err := os.Stat(file); err != nil {
			return "", errors.Errorf("%s is not installed; run: %s", p.Name, p.Setup)
		}
	}
	return library, nil
}

// Supported says whether p has a build for this machine.
func (p Plugin) Supported() bool { return p.system() == system() }

func (p Plugin) system() string { return cmp.Or(p.System, "linux/amd64") }

// BuildFix says what brings XLA into a build that has none, see [XLABuilt]; "" where nothing does, because no plugin
// exists for the system.
func BuildFix() string {
	if _, err := CPUPluginPath(); err != nil && !CPU.Supported() {
		return ""
	}
	if runtime.GOOS == "darwin" {
		return "go run -tags xla . (with Apple's C compiler; " + NotTried + ")"
	}
	return buildFix(exec.LookPath)
}

// buildFix is BuildFix where a plugin exists; find looks for a program.
func buildFix(find func(string) (string, error)) string {
	for _, compiler := range []string{"gcc", "clang", "cc"} {
		if path, err := find(compiler); err == nil {
			return "cgo is off though " + path + " is here; set CGO_ENABLED=1 (and CC=" + compiler + ") and run again"
		}
	}
	return "install a C compiler (on Debian: apt-get install gcc libc6-dev) and run again"
}

// CPUPluginPath returns the absolute path of the XLA CPU plugin, see [Plugin.Path], or where none is pinned for the system
// that of the one a user gave, see [GivePlugin].
func CPUPluginPath() (string, error) {
	if CPU.Supported() {
		return CPU.Path()
	}
	return givenPath(system())
}

// CUDAPluginPath returns the absolute path of the CUDA plugin, the newer of those
// installed, see [Plugin.Path].
func CUDAPluginPath() (string, error) {
	path, err := CUDA13.Path()
	if err == nil {
		return path, nil
	}
	if path, err := CUDA12.Path(); err == nil {
		return path, nil
	}
	return "", err
}
