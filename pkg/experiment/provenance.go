package experiment

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/host"
	"palimpsest/pkg/results"
)

// machine describes this computer as a run of the given stretches used it.
func machine(stretches []results.Stretch) results.Machine {
	m := host.Machine()
	for i, s := range stretches {
		if i == 0 || s.Backend != stretches[i-1].Backend {
			m.Backend = strings.TrimPrefix(m.Backend+", then "+s.Backend, ", then ")
		}
		m.Cores = min(m.Cores, s.Cores)
	}
	return m
}

// thisStretch describes what this process does of a run from its first step on.
func thisStretch(choice backend.Choice, cores, devices int, environment map[string]string) (results.Stretch, error) {
	m := host.Machine()
	s := results.Stretch{Started: time.Now().UTC().Truncate(time.Second), Backend: choice.Portable(), Environment: environment,
		Cores: cores, Arch: runtime.GOARCH, CPU: m.CPU, GPU: m.GPU, Go: m.Go}
	s.Commit, s.Dirty = host.Commit()
	if strings.HasPrefix(choice.Convolutions, "fastconv") { // the same digits whatever vectors it uses
		s.Backend += " with fastconv"
	}
	if devices > 1 {
		s.Devices = devices
	}
	var err error
	s.PluginSHA256, err = choice.PluginSHA256()
	return s, err
}

// xlaEnvironment is what of the environment can change XLA's digits, by the variables' names. Its number of
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
			out = append(out, fmt.Sprintf("%s %s, before: %s", what, cmp.Or(now, "none"), cmp.Or(before, "none")))
		}
	}
	add("backend", before.Backend, now.Backend)
	if before.Backend == now.Backend {
		add("plugin", before.PluginSHA256, now.PluginSHA256)
	}
	add("cores", strconv.Itoa(before.Cores), strconv.Itoa(now.Cores))
	add("devices", strconv.Itoa(max(1, before.Devices)), strconv.Itoa(max(1, now.Devices)))
	add("architecture", before.Arch, now.Arch)
	add("processor", before.CPU, now.CPU)
	add("GPU", before.GPU, now.GPU)
	names := slices.Sorted(maps.Keys(before.Environment))
	names = slices.AppendSeq(names, maps.Keys(now.Environment))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		add(name, before.Environment[name], now.Environment[name])
	}
	if known(before.Commit) && known(now.Commit) {
		add("program", version(before), version(now))
	} else {
		add("program built by", before.Go, now.Go)
	}
	return out
}

// known says of a commit whether it is recorded: of what is not, no difference is claimed.
func known(commit string) bool { return commit != "" && commit != "unknown" }

// version says what program made a stretch.
func version(s results.Stretch) string {
	copied := ""
	if s.Dirty {
		copied = "a changed copy of "
	}
	return fmt.Sprintf("%s%.12s built by %s", copied, s.Commit, s.Go)
}
