package backend

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/pkg/errors"
)

// Plugin is a pinned PJRT plugin as a Python package carries it.
type Plugin struct {
	Name    string // "cpu", "cuda13", "cuda12"
	Package string // the Python package that holds the library
	Version string // its exact version
	SHA256  string // of the wheel
	File    string // the library, relative to the folder the package is unpacked in
	Title   string // for messages, with the size of the download
	Setup   string // the command that installs it
}

// CPU is the XLA plugin for the processor: XLA as in JAX 0.11.2, Linux on x86-64.
// The package, its hash and its file are named here and nowhere else.
var CPU = Plugin{
	Name:    "cpu",
	Package: "lammps-jax-pjrt-cpu",
	Version: "0.11.2",
	SHA256:  "1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1",
	File:    "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
	Title:   "XLA CPU plugin, 63 MB",
	Setup:   "go run . setup",
}

// StampName is the file an installer writes last into a folder. A folder without it is
// unfinished and is replaced by the next installation.
const StampName = ".installed"

// Dir returns the folder p is unpacked in. It changes with the package and its hash.
func (p Plugin) Dir() (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "plugins", p.Package+"-"+p.Version+"-"+p.SHA256[:8]), nil
}

// Path returns the absolute path of p's library. It fails, naming the command that
// mends it, if p is not installed completely or has no build for this machine.
func (p Plugin) Path() (string, error) {
	if !p.Supported() {
		return "", errors.Errorf("%s %s is built for linux/amd64 only, this is %s/%s",
			p.Package, p.Version, runtime.GOOS, runtime.GOARCH)
	}
	dir, err := p.Dir()
	if err != nil {
		return "", err
	}
	library := filepath.Join(dir, p.File)
	for _, file := range []string{filepath.Join(dir, StampName), library} {
		if _, err := os.Stat(file); err != nil {
			return "", errors.Errorf("%s %s is not installed; run: %s", p.Package, p.Version, p.Setup)
		}
	}
	return library, nil
}

// Supported says whether p has a build for this machine.
func (p Plugin) Supported() bool { return runtime.GOOS == "linux" && runtime.GOARCH == "amd64" }

// CPUPluginPath returns the absolute path of the XLA CPU plugin, see [Plugin.Path].
func CPUPluginPath() (string, error) { return CPU.Path() }

// CUDAPluginPath returns the absolute path of the first installed plugin of [CUDA].
func CUDAPluginPath() (string, error) {
	var first error
	for _, p := range CUDA {
		path, err := p.Path()
		if err == nil {
			return path, nil
		}
		if first == nil {
			first = err
		}
	}
	return "", first
}

// NVIDIADevices returns the device files of the NVIDIA GPUs the driver shows, such as
// /dev/nvidia0, or /dev/dxg where Windows lends its GPU to Linux. None means no GPU.
func NVIDIADevices() []string {
	cards, _ := filepath.Glob("/dev/nvidia[0-9]*") // the pattern is well formed
	if len(cards) == 0 {
		cards, _ = filepath.Glob("/dev/dxg")
	}
	return cards
}

// cudaData returns the folder with NVIDIA's compiler data (libdevice, ptxas) that XLA
// needs beside the plugin, or "" if the user's own XLA_FLAGS already name one or there is none.
func cudaData(plugin string) string {
	if strings.Contains(os.Getenv("XLA_FLAGS"), "--xla_gpu_cuda_data_dir") {
		return ""
	}
	// <site>/jax_plugins/xla_cuda13/xla_cuda_plugin.so, <site>/nvidia/cu13
	site := filepath.Dir(filepath.Dir(filepath.Dir(plugin)))
	for _, dir := range []string{"nvidia/cu13", "nvidia/cuda_nvcc"} {
		if info, err := os.Stat(filepath.Join(site, dir)); err == nil && info.IsDir() {
			return filepath.Join(site, dir)
		}
	}
	return ""
}
