package kernelsetup

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"palimpsest/pkg/backend"

	"github.com/pkg/errors"
)

// driverEnv names the environment variable that gives the driver's version where the driver cannot be asked, as while an image is built.
const driverEnv = "PALIMPSEST_NVIDIA_DRIVER"

// nvidiaDriver returns the version of the NVIDIA driver, "580.65.06", or "" if there is none.
func nvidiaDriver() string {
	if given := os.Getenv(driverEnv); given != "" {
		return given
	}
	if text, err := os.ReadFile("/proc/driver/nvidia/version"); err == nil {
		if v := driverVersion(string(text)); v != "" {
			return v
		}
	}
	// Where Windows lends its GPU to Linux there is no /proc/driver/nvidia.
	text, err := exec.Command("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").Output()
	if err != nil {
		return ""
	}
	return driverVersion(string(text))
}

var versionPattern = regexp.MustCompile(`\b\d{3,}\.\d+(\.\d+)?\b`)

// driverVersion finds the version in what the driver or nvidia-smi says of itself.
func driverVersion(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return versionPattern.FindString(line)
}

// The oldest drivers CUDA 13 and CUDA 12 run on.
const (
	driverForCUDA13 = 580
	driverForCUDA12 = 525
)

// cudaPlugin returns the plugin that suits a driver.
func cudaPlugin(driver string) (backend.Plugin, error) {
	major, _, _ := strings.Cut(driver, ".")
	number, err := strconv.Atoi(major)
	switch {
	case driver == "":
		return backend.Plugin{}, errors.New("no NVIDIA driver found (neither /proc/driver/nvidia/version nor nvidia-smi); " +
			"install one, or set " + driverEnv + " to the version of the machine this is for")
	case err != nil || number < driverForCUDA12:
		return backend.Plugin{}, errors.Errorf("NVIDIA driver %s found, CUDA 12 needs %d or later; update the driver, or run setup without --cuda",
			driver, driverForCUDA12)
	case number < driverForCUDA13:
		return backend.CUDA12, nil
	}
	return backend.CUDA13, nil
}
