package backend

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
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
// Paths are relative to the folder nvidia beside the plugin's package.
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
	// <site>/jax_plugins/xla_cuda13/xla_cuda_plugin.so, <site>/nvidia
	nvidia := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(plugin))), "nvidia")
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
	flags := os.Getenv("XLA_FLAGS")
	if strings.Contains(flags, "--xla_gpu_cuda_data_dir") {
		return nil
	}
	for _, name := range []string{"cu13", "cuda_nvcc"} {
		if dir := filepath.Join(nvidia, name); exists(dir) {
			flags = strings.TrimSpace(flags + " --xla_gpu_cuda_data_dir=" + dir)
			return errors.WithStack(os.Setenv("XLA_FLAGS", flags))
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
