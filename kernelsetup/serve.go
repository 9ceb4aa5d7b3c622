package kernelsetup

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"palimpsest/notebooks/kernel"

	"github.com/pkg/errors"
)

// labGrace is how long JupyterLab may take to shut down its kernels, which may save checkpoints.
const labGrace = 15 * time.Second

// serve runs JupyterLab until it ends by itself or ctx ends. Then it ends all processes that JupyterLab left: kernels, the programs
// of their cells, and language servers. On Linux it finds all of them, so none is left when serve returns. On other systems each of
// them ends by itself when it notices that its parent is gone.
func serve(ctx context.Context, p *progress, argv, env []string, dir string) error {
	adopt()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, env
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.SysProcAttr = serverGroup() // Ctrl-C comes to this process, which ends the server
	cmd.WaitDelay = time.Second
	ended := make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the server gets a signal when this thread ends
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		close(started)
		ended <- cmd.Wait()
	}()
	if err := <-started; err != nil {
		return errors.Wrapf(err, "could not start %s; remove its folder and run: go run . setup", argv[0])
	}
	reap := time.NewTicker(10 * time.Second)
	defer reap.Stop()
	var err error
	running := true
	for running && ctx.Err() == nil {
		select {
		case <-reap.C:
			descendants(os.Getpid(), cmd.Process.Pid)
		case err = <-ended:
			running = false
		case <-ctx.Done():
		}
	}
	if running {
		p.line("ending JupyterLab, its kernels and language servers ...")
		_ = cmd.Process.Signal(syscall.SIGTERM) // fails if it has just ended
		select {
		case <-ended:
		case <-time.After(labGrace):
			p.line("JupyterLab does not end by itself; it is killed")
			_ = kernel.EndGroup(cmd.Process)
			<-ended
		}
	}
	_ = kernel.EndGroup(cmd.Process) // what it left in its group
	if left := endOrphans(); left > 0 {
		p.line("ended %d more processes that it left", left)
	}
	if ctx.Err() != nil {
		p.line("ended; nothing of it is left running")
		return ctx.Err()
	}
	if _, died := err.(*exec.ExitError); died {
		return errors.Errorf("JupyterLab ended (%v); its last lines are above", err)
	}
	if errors.Is(err, exec.ErrWaitDelay) { // a kernel held its output, which is ended by now
		return nil
	}
	return errors.WithStack(err)
}

// orphanGrace is how long a process that lost its parents may take to end when asked to, and killGrace how long the system may take
// to end one that is killed.
var orphanGrace, killGrace = 2 * time.Second, 30 * time.Second

// endOrphans ends the children of this process that are left, and theirs, and returns how many there were.
func endOrphans() int {
	first := descendants(os.Getpid(), 0)
	for _, pid := range first {
		_ = signalTo(pid, syscall.SIGTERM)
	}
	if !awaitNone(orphanGrace, syscall.Signal(0)) {
		awaitNone(killGrace, syscall.SIGKILL)
	}
	return len(first)
}

// awaitNone waits until this process has no descendants, sending those that it sees a signal (0 is none), and says whether that came
// about in time. A look may miss one that starts while its parent ends: only two looks in a row that find nothing count.
func awaitNone(grace time.Duration, s syscall.Signal) bool {
	for until, none := time.Now().Add(grace), 0; time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		left := descendants(os.Getpid(), 0)
		for _, pid := range left {
			_ = signalTo(pid, s)
		}
		if none++; len(left) > 0 {
			none = 0
		} else if none == 2 {
			return true
		}
	}
	return false
}

// signalTo sends a signal to a process.
func signalTo(pid int, s syscall.Signal) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return process.Signal(s)
}
