package experiment

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent has the kernel kill the process when this one is killed, so that no run goes on unseen. Started from a
// thread that lives as long as the process does, which startOnCores sees to.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// startOnCores starts cmd with worker w's share of the cores this process may use. The share is inherited from the
// thread that starts the process, which is therefore held during the run: it must outlive the child for Pdeathsig.
// Where a quota (or GOMAXPROCS) allows fewer cores than there are, the share is of the quota and not of certain cores.
func startOnCores(cmd *exec.Cmd, w, workers int) error {
	runtime.LockOSThread()
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil || workers < 2 {
		return cmd.Start()
	}
	if allowed := runtime.GOMAXPROCS(0); allowed < all.Count() {
		cmd.Env = append(cmd.Environ(), fmt.Sprintf("GOMAXPROCS=%d", max(1, allowed/workers)))
		return cmd.Start()
	}
	if all.Count() < workers {
		return cmd.Start()
	}
	var share unix.CPUSet
	i := 0
	for cpu := range 1024 {
		if all.IsSet(cpu) {
			if i%workers == w {
				share.Set(cpu)
			}
			i++
		}
	}
	if err := unix.SchedSetaffinity(0, &share); err != nil {
		return cmd.Start()
	}
	defer unix.SchedSetaffinity(0, &all)
	return cmd.Start()
}
