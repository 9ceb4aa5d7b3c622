package backend

import (
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/pkg/errors"
)

// Plugin is a pinned PJRT plugin as Python packages carry it.
type Plugin struct {
	Name         string // "xla-cpu-0.11.2": of the folder it is unpacked in
	Title        string // for messages, with the size of the download
	Requirements string // the packages, each with its version and SHA-256, as pip reads them
	File         string // the library, relative to the folder the packages are unpacked in
	Setup        string // the command that installs it
}

// What is pinned: the wheels' names, versions and hashes are in these files and nowhere else.
var (
	//go:embed requirements/cpu.txt
	cpuRequirements string
	//go:embed requirements/cuda13.txt
	cuda13Requirements string
	//go:embed requirements/cuda12.txt
	cuda12Requirements string
)

// CPU is the XLA plugin for the processor.
var CPU = Plugin{
	Name:         "xla-cpu-0.11.2",
	Title:        "XLA CPU plugin, 63 MB",
	Requirements: cpuRequirements,
	File:         "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
	Setup:        "go run . setup",
}

// CUDA13 is the XLA plugin for NVIDIA GPUs with a driver of 580 or later.
var CUDA13 = Plugin{
	Name:         "xla-cuda13-0.11.2",
	Title:        "XLA CUDA 13 plugin and NVIDIA's libraries, over 2 GB",
	Requirements: cuda13Requirements,
	File:         "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
	Setup:        "go run . setup --cuda",
}

// CUDA12 is the XLA plugin for NVIDIA GPUs with a driver of 525 to 579.
var CUDA12 = Plugin{
	Name:         "xla-cuda12-0.11.2",
	Title:        "XLA CUDA 12 plugin and NVIDIA's libraries, over 2 GB",
	Requirements: cuda12Requirements,
	File:         "jax_plugins/xla_cuda12/xla_cuda_plugin.so",
	Setup:        "go run . setup --cuda",
}

// StampName is the file an installer writes last into a folder. A folder without it is
// unfinished and is replaced by the next installation.
const StampName = ".installed"

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
// mends it, if p is not installed completely or has no build for this machine.
func (p Plugin) Path() (string, error) {
	if !p.Supported() {
		return "", errors.Errorf("%s is built for linux/amd64 only, this is %s/%s", p.Name, runtime.GOOS, runtime.GOARCH)
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
func (p Plugin) Supported() bool { return runtime.GOOS == "linux" && runtime.GOARCH == "amd64" }

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
