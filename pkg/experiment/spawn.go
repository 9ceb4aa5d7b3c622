package experiment

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/host"
)

// fall begins the trace of a program that fell, in Go or in what it calls.
var fall = regexp.MustCompile(`(?m)^(panic|fatal error|SIG[A-Z]+): .*$`)

// keepTrace appends a trace to the log of the run in dir and returns the log's path.
func keepTrace(dir, trace string) (string, error) {
	path := filepath.Join(dir, logName)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return "", errors.WithStack(err)
	}
	if _, err := f.WriteString(trace + "\n"); err != nil {
		f.Close()
		return "", errors.WithStack(err)
	}
	return path, errors.WithStack(f.Close())
}

// Processes returns a Spawn that runs `program args… DIR` as a process of its own for each run and, on Linux, gives
// each worker an equal share of the processor's cores for itself: two processes of one thread each finish two small
// networks sooner than one process of two threads finishes them in turn. A program that ends with [ExitFailed] has said what
// is wrong and is not tried again, nor is one that ends with [ExitDiverged], of which the error says so ([Diverged]).
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
		if fell := fall.FindString(text); fell != "" {
			if log, err := keepTrace(dir, text); err == nil {
				fell += " (the trace is in " + log + ")"
			}
			text = fell
		} else if i := strings.LastIndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
		if text == "" {
			return errors.Wrap(err, "its process ended")
		}
		code := cmd.ProcessState.ExitCode()
		if said, found := strings.CutPrefix(text, "error: "); found && (code == ExitFailed || code == ExitUsage || code == ExitDiverged) {
			err = errors.New(said) // it ended in good order, and this is why
		} else {
			err = errors.Errorf("its process ended (%v): %s", err, text)
		}
		switch code {
		case ExitFailed:
			return permanent{err}
		case ExitUsage: // which is Go's own, too, where a program falls
			if strings.HasPrefix(text, "error: ") {
				return permanent{Refused{err}}
			}
		case ExitDiverged:
			return permanent{diffusion.Diverged{Err: err}}
		}
		return err // one that was killed, fell or lacked memory may do better the next time
	}
}

// permanent is the error of a run that would fail again.
type permanent struct{ err error }

func (p permanent) Error() string { return p.err.Error() }

// Unwrap gives the error itself.
func (p permanent) Unwrap() error { return p.err }

// isPermanent says whether trying again cannot help.
func isPermanent(err error) bool { return errors.As(err, new(permanent)) }

// AutoWorkers is how many processes make a study fastest on this machine: one a core where the processor does the
// work, within what memory holds at 1.5 GiB a run, and one on a GPU. Cores are those that this process may use, and the
// memory free to it: a container's limits count.
func AutoWorkers(gpu bool, runs int) int {
	if gpu {
		return 1
	}
	n := min(runtime.GOMAXPROCS(0), runs)
	if free := host.FreeMemory(); free > 0 {
		n = min(n, int(free/(3<<29)))
	}
	return max(1, n)
}
