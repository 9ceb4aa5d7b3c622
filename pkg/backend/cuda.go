package backend

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// NVIDIADevices returns the device files of the NVIDIA GPUs the driver shows, such as
// /dev/nvidia0, or /dev/dxg where Windows lends its GPU to Linux. None means no GPU.
func NVIDIADevices() []string {
	cards, _ := filepath.Glob("/dev/nvidia[0-9]*") // the pattern is well formed
	if len(cards) == 0 {
		cards, _ = filepath.Glob("/dev/dxg")
	}
	return cards
}

// cudaLibraries are what XLA and NVIDIA's own libraries look for by name alone, in the
// order JAX loads them before its plugin; a plugin for CUDA 12 or 13 has its half of them.
// Paths are relative to the folder nvidia next to the plugin's package.
var cudaLibraries = []string{
	"cuda_runtime/lib/libcudart.so.12", "cu13/lib/libcudart.so.13",
	"cuda_nvrtc/lib/libnvrtc.so.12", "cu13/lib/libnvrtc.so.13",
	"cublas/lib/libcublas.so.12", "cublas/lib/libcublasLt.so.12",
	"cu13/lib/libcublas.so.13", "cu13/lib/libcublasLt.so.13",
	"nccl/lib/libnccl.so.2",
	"cuda_cupti/lib/libcupti.so.12", "cu13/lib/libcupti.so.13",
	"cusparse/lib/libcusparse.so.12", "cu13/lib/libcusparse.so.12",
	"cusolver/lib/libcusolver.so.11", "cu13/lib/libcusolver.so.12",
	"cufft/lib/libcufft.so.11", "cu13/lib/libcufft.so.12",
	"nvshmem/lib/libnvshmem_host.so.3",
	"cudnn/lib/libcudnn.so.9",
}

// prepareCUDA readies a process for a CUDA plugin that pip unpacked, as JAX does it: it
// loads NVIDIA's libraries, so that later look-ups by name find these copies, and tells XLA
// where libdevice and ptxas lie. A plugin elsewhere, with no folder nvidia at its side, is
// left to the user's own settings.
func prepareCUDA(plugin string) error {
	nvidia := filepath.Join(packagesOf(plugin), "nvidia")
	if info, err := os.Stat(nvidia); err != nil || !info.IsDir() {
		return nil
	}
	for _, library := range cudaLibraries {
		if path := filepath.Join(nvidia, library); exists(path) {
			preload(path)
		}
	}
	// go-xla looks for the folder in another place and would warn.
	if err := os.Setenv("GOPJRT_CUDA_CHECKS", "0"); err != nil {
		return errors.WithStack(err)
	}
	flags := strings.Fields(os.Getenv("XLA_FLAGS"))
	set := func(name, value string) {
		if !slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--"+name) }) {
			flags = append(flags, "--"+name+"="+value)
		}
	}
	// A Python environment may lack the packages of the compiler, which XLA needs libdevice of: then it looks elsewhere.
	for _, dir := range []string{filepath.Join(nvidia, "cu13"), filepath.Join(nvidia, "cuda_nvcc"), os.Getenv("CUDA_HOME"), "/usr/local/cuda"} {
		if exists(filepath.Join(dir, "nvvm", "libdevice", "libdevice.10.bc")) {
			set("xla_gpu_cuda_data_dir", dir)
			break
		}
	}
	// XLA would try several compilations of every fused kernel, some hundred a program, and keep its first choice nine times in
	// ten, and dozens of every matrix product, which cuBLAS has as well: a minute for a small network. A plugin of another
	// version may not know the settings, and ends the process then.
	if version, err := os.ReadFile(filepath.Join(filepath.Dir(plugin), "version.py")); err == nil && strings.Contains(string(version), "0.11.2") {
		set("xla_gpu_experimental_enable_fusion_autotuner", "false")
		set("xla_gpu_enable_triton_gemm", "false")
	}
	return errors.WithStack(os.Setenv("XLA_FLAGS", strings.Join(flags, " ")))
}

// driverDir is where NVIDIA's driver describes itself and its cards.
const driverDir = "/proc/driver/nvidia"

// cardDigest is the SHA-256 of what a compiled program for NVIDIA's cards depends on besides the processor: the plugin's bytes, the versions of
// NVIDIA's packages beside it, the driver, the cards' names, and the environment's words to XLA and NVIDIA's libraries. It fails where the
// driver says nothing, and where XLA is asked for traces of its compilation.
func cardDigest(plugin string) ([]byte, error) {
	sum := sha256.New()
	bytes, err := hashOf(plugin)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(sum, bytes)
	packages, _ := atomicfile.Glob(packagesOf(plugin), "nvidia*.dist-info") // the pattern is well formed
	for _, p := range packages {
		fmt.Fprintln(sum, filepath.Base(p))
	}
	driver, err := os.ReadFile(filepath.Join(driverDir, "version"))
	cards, _ := filepath.Glob("/proc/driver/nvidia/gpus/*/information") // the pattern is well formed
	if err != nil || len(cards) == 0 {                                  // a container may hide the folder
		if driver, err = exec.Command("nvidia-smi", "--query-gpu=name,driver_version,vbios_version", "--format=csv,noheader").Output(); err != nil {
			return nil, errors.Wrap(err, "neither "+driverDir+" nor nvidia-smi says which card and driver this is")
		}
	}
	sum.Write(driver)
	for _, card := range cards {
		text, err := os.ReadFile(card)
		if err != nil {
			return nil, errors.WithStack(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "Model:") || strings.HasPrefix(line, "Video BIOS:") {
				fmt.Fprint(sum, line)
			}
		}
	}
	words, err := wordsToXLA(os.Environ())
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(sum, "%q\n", words)
	return sum.Sum(nil), nil
}

// wordsToXLA are the environment's words to XLA and NVIDIA's libraries that bear on compiled programs, sorted: where XLA notes what it
// found out about kernels, and where MPS has its pipe and logs, says nothing of them. It fails where XLA is asked for traces.
func wordsToXLA(environ []string) (words []string, err error) {
	for _, word := range environ {
		name, value, _ := strings.Cut(word, "=")
		if strings.HasPrefix(name, "CUDA_MPS_") || !slices.ContainsFunc([]string{"XLA_", "TF_XLA_", "CUDA_", "NVIDIA_"},
			func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			continue
		}
		if strings.Contains(value, "xla_dump") {
			return nil, errors.Errorf("%s asks for more than the result", name)
		}
		if name == "XLA_FLAGS" {
			value = strings.Join(slices.DeleteFunc(strings.Fields(value), func(flag string) bool {
				return strings.HasPrefix(flag, "--xla_gpu_per_fusion_autotune_cache_dir=")
			}), " ")
		}
		words = append(words, name+"="+value)
	}
	slices.Sort(words)
	return words, nil
}

// tf32Env is where NVIDIA's libraries look whether they may round float32 to TF32; "0" forbids it.
const tf32Env = "NVIDIA_TF32_OVERRIDE"

// trueFloat32 has a CUDA plugin compute float32 as float32, unless the user asks for TF32, the format of ten bits' precision
// that NVIDIA's matrix units would use in its place: by the option tf32 of go-xla, which is for matrix products alone, and
// then for convolutions too, or by a value of his own in [tf32Env]. It returns the settings to open and says what computes
// convolutions.
func trueFloat32(config string) (string, string, error) {
	_, options, _ := strings.Cut(config, ",")
	asked := false
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "tf32":
			asked = value == "" || strings.EqualFold(value, "true") || value == "1"
		case "notf32":
		default:
			continue
		}
		if asked {
			return config, "cuDNN (float32 as TF32)", nil
		}
	}
	if !strings.Contains(options, "tf32") {
		config += ",tf32=false"
	}
	if value := os.Getenv(tf32Env); value != "" && value != "0" {
		return config, "cuDNN (" + tf32Env + "=" + value + ")", nil
	}
	return config, "cuDNN (float32 without TF32)", errors.WithStack(os.Setenv(tf32Env, "0"))
}

// packagesOf is the folder of Python packages that a plugin of JAX's lies in: plugin is <it>/jax_plugins/xla_cuda13/xla_cuda_plugin.so.
func packagesOf(plugin string) string { return filepath.Dir(filepath.Dir(filepath.Dir(plugin))) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
