package experiment

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pkg/errors"
)

// Processes returns a Spawn that runs `program args… DIR` as a process of its own for each run and, on Linux, gives
// each worker an equal share of the processor's cores for itself: two processes of one thread each finish two small
// networks sooner than one process of two threads finishes them in turn. A program that ends with exit code 1 has said what
// is wrong and is not tried again, unless it is for want of memory.
func Processes(workers int, program string, args ...string) func(ctx context.Context, dir string, w int, out io.Writer) error {
	return func(ctx context.Context, dir string, w int, out io.Writer) error {
		var stderr strings.Builder
		cmd := exec.CommandContext(ctx, program, append(append([]string{}, args...), dir)...)
		cmd.Stdout, cmd.Stderr = out, &stderr
		cmd.Env = os.Environ()
		// Interrupted, a run saves a checkpoint and stops; it is killed only if that takes too long.
		// A process in the background of a script ignores os.Interrupt, and so would its children.
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 30 * time.Second
		dieWithParent(cmd)
		if err := startOnCores(cmd, w, workers); err != nil {
			return err
		}
		err := cmd.Wait()
		if err == nil {
			return nil
		}
		text := strings.TrimSpace(stderr.String())
		transient := cmd.ProcessState.ExitCode() != refusedCode || outOfMemory(text)
		if i := strings.LastIndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
		if text == "" {
			return errors.Wrap(err, "its process ended")
		}
		err = errors.Errorf("its process ended (%v): %s", err, text)
		if !transient {
			return permanent{err: err}
		}
		return err
	}
}

// refusedCode is how a process ends that can say why it gave up: by an error of its own, which is the same at every try.
// One that was killed, or fell, ends otherwise.
const refusedCode = 1

// permanent is the error of a run that would fail again.
type permanent struct{ err error }

func (p permanent) Error() string { return p.err.Error() }

// Unwrap gives the error itself.
func (p permanent) Unwrap() error { return p.err }

// isPermanent says whether trying again cannot help.
func isPermanent(err error) bool { return errors.As(err, new(permanent)) }

// outOfMemory says whether the last words of a process tell that memory ran out, which passes when others end.
func outOfMemory(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc([]string{"out of memory", "resource_exhausted", "cannot allocate memory"}, func(sign string) bool {
		return strings.Contains(text, sign)
	})
}

// AutoWorkers is how many processes make a study fastest on this machine: one a core where the processor does the
// work, within what memory holds at 1.5 GiB a run, and one on a GPU. Cores are those that this process may use, and the
// memory free to it: a container's limits count.
func AutoWorkers(gpu bool, runs int) int {
	if gpu {
		return 1
	}
	n := min(runtime.GOMAXPROCS(0), runs)
	if free := freeMemory("/proc/meminfo", "/sys/fs/cgroup"); free > 0 {
		n = min(n, int(free/(3<<29)))
	}
	return max(1, n)
}

// freeMemory is the memory that new processes may take, in bytes: what the machine has left, or what is left of the
// limit of the container, whose control group is that of the folder; 0 if neither is known.
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
