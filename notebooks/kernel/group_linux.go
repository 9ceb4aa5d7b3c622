package kernel

import "syscall"

// Group returns the attributes of a process with a group of its own, so that it can be ended
// with all its children by [EndGroup], which also ends when the program that started it is killed.
func Group() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
