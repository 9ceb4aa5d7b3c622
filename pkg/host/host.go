// Package host says what a program runs on and what it was built from, as far as the system says.
package host

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"palimpsest/pkg/results"
)

// Machine describes this computer; what ran on it is for the caller to add.
func Machine() results.Machine {
	m := results.Machine{OS: runtime.GOOS + "/" + runtime.GOARCH, CPU: field("/proc/cpuinfo", "model name"),
		Cores: runtime.GOMAXPROCS(0), Go: runtime.Version()}
	m.Memory = kilobytes("/proc/meminfo", "MemTotal")
	if files, _ := filepath.Glob("/proc/driver/nvidia/gpus/*/information"); len(files) > 0 {
		m.GPU = field(files[0], "Model")
	}
	return m
}

// Line describes this computer in one line.
func Line() string {
	m := Machine()
	return fmt.Sprintf("%s, %s, %d cores, %s", m.OS, cmp.Or(m.CPU, "unknown processor"), m.Cores, m.Go)
}

// Name is what this computer is called on its network; "" where it does not say.
func Name() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// Boot identifies the system that runs since the computer was started, the same in all its containers; "" where it does not say (Linux does).
func Boot() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// CommitEnv names the environment variable that tells a program which does not know it what it was built from; "+" behind the
// commit means changes.
const CommitEnv = "PALIMPSEST_COMMIT"

// Commit returns the commit that the program was built from and whether there were uncommitted changes, where the build says so
// or [CommitEnv]; else, as under `go run`, those of the checkout of this program that it runs in, "unknown" outside one. There only
// changes of what it is built from count: a notebook that was opened, a picture or a stored result makes it no other program.
func Commit() (hash string, dirty bool) {
	if hash, dirty = builtFrom(); hash != "unknown" {
		return hash, dirty
	}
	if told := os.Getenv(CommitEnv); told != "" {
		return strings.CutSuffix(told, "+")
	}
	top, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil || !ownSource(strings.TrimSpace(string(top))) {
		return hash, false
	}
	out, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		return hash, false
	}
	changes, err := exec.Command("git", "status", "--porcelain", "-z", "--untracked-files=all").Output()
	return strings.TrimSpace(string(out)), err != nil || changed(string(changes))
}

// changed says whether the output of `git status --porcelain -z` names a file that the program is built from.
func changed(status string) bool {
	renamed := false
	for entry := range strings.SplitSeq(status, "\x00") {
		file := entry // "XY path"; behind one that was renamed stands the path that it had, alone
		if !renamed {
			file = entry[min(3, len(entry)):]
		}
		if ofProgram(file) {
			return true
		}
		renamed = !renamed && strings.ContainsAny(entry[:min(2, len(entry))], "RC")
	}
	return false
}

// embedded are the files and folders that the program holds a copy of, all but what is for readers; the packages' go:embed name them.
var embedded = []string{"datasets/embedded/", "kernelsetup/jupyter/", "kernelsetup/peers/", "kernelsetup/tools/", "pkg/backend/requirements/",
	"pkg/cards/tuned/", "pkg/cards/written/", "pkg/counterpart/counterpart.py", "pkg/figure/controls.js", "pkg/metrics/weights/",
	"pkg/perf/peers/", "pkg/report/page."}

// ofProgram says whether the program, or a test of it, is built from the file of that path in its repository, with slashes.
func ofProgram(file string) bool {
	switch ext := path.Ext(file); {
	case file == "go.mod" || file == "go.sum" || file == "go.work" || file == "go.work.sum":
		return true
	case ext == ".md" || strings.Contains(file, "/testdata/") || strings.HasPrefix(file, "notebooks/browser/"): // the latter is another module
		return false
	case slices.Contains([]string{".go", ".c", ".h", ".s", ".S"}, ext):
		return true
	}
	return slices.ContainsFunc(embedded, func(start string) bool { return strings.HasPrefix(file, start) })
}

// ownSource says whether a folder holds the source of this program: the checkout of something else tells nothing of it.
func ownSource(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	first, _, _ := strings.Cut(string(text), "\n")
	return err == nil && strings.TrimSpace(first) == "module palimpsest"
}

// commit is what docker/gpu-session.sh has the linker put here, for Go notes none of a checkout that is a worktree; "+" behind
// it means changes.
var commit string

func builtFrom() (hash string, dirty bool) {
	if commit != "" {
		return strings.CutSuffix(commit, "+")
	}
	hash = "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return hash, false
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			hash = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	return hash, dirty
}

// FreeMemory is the memory that new processes may take, in bytes: what the machine has left, or what is left of the limit of
// the container; 0 if neither is known.
func FreeMemory() int64 { return freeMemory("/proc/meminfo", "/sys/fs/cgroup") }

// freeMemory is FreeMemory by the file that has the machine's, and the folder of the container's control group.
func freeMemory(meminfo, group string) int64 {
	free := kilobytes(meminfo, "MemAvailable")
	limit, used := bytesIn(filepath.Join(group, "memory.max")), bytesIn(filepath.Join(group, "memory.current"))
	if limit > 0 && used > 0 {
		used -= statistic(filepath.Join(group, "memory.stat"), "inactive_file") // files in memory that give way
		if left := max(1, limit-used); free == 0 || left < free {
			return left
		}
	}
	return free
}

// statistic is the number of the line "name number" of a file, 0 if there is none.
func statistic(path, name string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == name {
			n, err := strconv.ParseInt(words[1], 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// bytesIn is the number that a file holds; 0 where it holds none, such as "max".
func bytesIn(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

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
