package experiment

import (
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/pkg/errors"
)

// Processes returns a Spawn that runs `program args… DIR` as a process of its own for each run and, on Linux, gives
// each worker an equal share of the processor's cores for itself: two processes of one thread each finish two small
// networks sooner than one process of two threads finishes them in turn.
func Processes(workers int, program string, args ...string) func(ctx context.Context, dir string, w int, out io.Writer) error {
	return func(ctx context.Context, dir string, w int, out io.Writer) error {
		var stderr strings.Builder
		cmd := exec.CommandContext(ctx, program, append(append([]string{}, args...), dir)...)
		cmd.Stdout, cmd.Stderr = out, &stderr
		cmd.Env = os.Environ()
		// Interrupted, a run saves a checkpoint and stops; it is killed only if that takes too long.
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
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
		if i := strings.LastIndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
		if text == "" {
			return errors.Wrap(err, "its process ended")
		}
		return errors.Errorf("its process ended (%v): %s", err, text)
	}
}

// AutoWorkers is how many processes make a study fastest on this machine: one a core where the processor does the
// work, within what memory holds at 1.5 GiB a run, and one on a GPU.
func AutoWorkers(gpu bool, runs int) int {
	if gpu {
		return 1
	}
	n := min(runtime.NumCPU(), runs)
	if free := kilobytes("/proc/meminfo", "MemAvailable"); free > 0 {
		n = min(n, int(free/(3<<29)))
	}
	return max(1, n)
}
