package experiment

import (
	"bufio"
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

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

// machine describes this computer as a run of the given stretches used it.
func machine(stretches []results.Stretch) results.Machine {
	m := thisMachine()
	for i, s := range stretches {
		if i == 0 || s.Backend != stretches[i-1].Backend {
			m.Backend = strings.TrimPrefix(m.Backend+", then "+s.Backend, ", then ")
		}
		m.Cores = min(m.Cores, s.Cores)
	}
	return m
}

// thisStretch describes what this process does of a run that it takes up after some steps.
func thisStretch(choice backend.Choice, cores, fromStep int, environment map[string]string) (results.Stretch, error) {
	m := thisMachine()
	s := results.Stretch{FromStep: fromStep, Started: time.Now().UTC().Truncate(time.Second), Backend: choice.Config, Environment: environment,
		Cores: cores, Arch: runtime.GOARCH, CPU: m.CPU, GPU: m.GPU, Go: m.Go}
	s.Commit, s.Dirty = commit()
	// The plugin's folder differs from machine to machine; its file name says which it was.
	if kind, path, found := strings.Cut(s.Backend, ":"); found && filepath.IsAbs(path) {
		s.Backend = kind + ":" + filepath.Base(path)
	}
	if strings.HasPrefix(choice.Convolutions, "fastconv") { // the same digits whatever vectors it uses
		s.Backend += " with fastconv"
	}
	var err error
	s.PluginSHA256, err = choice.PluginSHA256()
	return s, err
}

// xlaEnvironment is what the environment tells XLA that can change its digits, by the variables' names. Its number of
// threads (PJRT_NPROC) does not: work is divided by the number of cores.
func xlaEnvironment() map[string]string {
	var out map[string]string
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "XLA_") && !strings.HasPrefix(name, "TF_XLA_") && name != "NVIDIA_TF32_OVERRIDE" {
			continue
		}
		// Where libraries lie says nothing of what they compute.
		words := slices.DeleteFunc(strings.Fields(value), func(w string) bool { return strings.HasPrefix(w, "--xla_gpu_cuda_data_dir=") })
		if len(words) > 0 {
			if out == nil {
				out = map[string]string{}
			}
			out[name] = strings.Join(words, " ")
		}
	}
	return out
}

// differencesOf lists in what two stretches of a run differ that can change its last digits.
func differencesOf(before, now results.Stretch) []string {
	var out []string
	add := func(what, before, now string) {
		if before != now {
			out = append(out, fmt.Sprintf("%s %s, before %s", what, cmp.Or(now, "none"), cmp.Or(before, "none")))
		}
	}
	add("backend", before.Backend, now.Backend)
	if before.Backend == now.Backend {
		add("plugin", before.PluginSHA256, now.PluginSHA256)
	}
	add("cores", strconv.Itoa(before.Cores), strconv.Itoa(now.Cores))
	add("architecture", before.Arch, now.Arch)
	add("processor", before.CPU, now.CPU)
	add("GPU", before.GPU, now.GPU)
	names := slices.Sorted(maps.Keys(before.Environment))
	names = slices.AppendSeq(names, maps.Keys(now.Environment))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		add(name, before.Environment[name], now.Environment[name])
	}
	add("program", version(before), version(now))
	return out
}

// version says what program made a stretch.
func version(s results.Stretch) string {
	text := fmt.Sprintf("%.12s built by %s", s.Commit, s.Go)
	if s.Dirty {
		text = "changed from " + text
	}
	return text
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
