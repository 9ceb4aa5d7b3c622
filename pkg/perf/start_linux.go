package perf

import (
	"os/exec"
	"runtime"
	"syscall"

	"github.com/pkg/errors"
	"golang.org/x/sys/unix"
)

// canPin says whether a process can be kept to one core.
const canPin = true

// start starts cmd on one core, or on all. It is on the core before it runs at all, so that whatever it loads counts one
// core. The thread that starts it is held, since the kernel kills the child when that thread ends.
func start(cmd *exec.Cmd, oneCore bool) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread()
	if !oneCore {
		return cmd.Start()
	}
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return errors.Wrap(err, "asking which cores this process may use")
	}
	for core := range len(all) * 64 {
		if all.IsSet(core) { // the last: the first ones serve most interrupts
			one.Zero()
			one.Set(core)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return errors.Wrap(err, "choosing a core")
	}
	err := cmd.Start()
	if back := unix.SchedSetaffinity(0, &all); err == nil && back != nil {
		err = errors.Wrap(back, "returning to all cores")
	}
	return err
}
