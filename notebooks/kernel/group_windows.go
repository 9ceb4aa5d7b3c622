package kernel

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// Group returns the attributes of a process with a group of its own, so that Ctrl-C does not reach it.
func Group() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// EndGroup kills a process and all its children.
func EndGroup(leader *os.Process) error {
	return exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(leader.Pid)).Run()
}
