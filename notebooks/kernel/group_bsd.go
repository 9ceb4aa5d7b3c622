//go:build unix && !linux

package kernel

import "syscall"

// Group returns the attributes of a process with a group of its own, so that it can be ended
// with all its children by [EndGroup].
func Group() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
