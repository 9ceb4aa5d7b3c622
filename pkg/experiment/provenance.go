package experiment

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/results"
)

// thisMachine describes this computer.
func thisMachine() results.Machine {
	m := results.Machine{OS: runtime.GOOS + "/" + runtime.GOARCH, CPU: field("/proc/cpuinfo", "model name"),
		Cores: runtime.GOMAXPROCS(0), Go: runtime.Version()}
	m.Memory = kilobytes("/proc/meminfo", "MemTotal")
	if files, _ := filepath.Glob("/proc/driver/nvidia/gpus/*/information"); len(files) > 0 {
		m.GPU = field(files[0], "Model")
	}
	return m
}

// machine describes this computer and the backend chosen on it.
func machine(choice backend.Choice) results.Machine {
	m := thisMachine()
	m.Backend = choice.Config
	// The plugin's folder differs from machine to machine; its file name says which it was.
	if kind, path, found := strings.Cut(m.Backend, ":"); found && filepath.IsAbs(path) {
		m.Backend = kind + ":" + filepath.Base(path)
	}
	return m
}

// commit returns the checkout's commit and whether it had uncommitted changes; "unknown" outside a checkout.
func commit() (hash string, dirty bool) {
	out, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		return "unknown", false
	}
	changes, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output()
	return strings.TrimSpace(string(out)), err != nil || len(changes) > 0
}

// peakRSS is the largest resident memory of this process so far, in bytes; 0 where the system does not tell.
func peakRSS() int64 { return kilobytes("/proc/self/status", "VmHWM") }

// field returns the value of the first "name : value" line of a file under /proc, or "".
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, found := strings.Cut(lines.Text(), ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// kilobytes is field for lines like "VmHWM:  1234 kB", in bytes.
func kilobytes(path, name string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(field(path, name), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n * 1024
}
