//go:build unix

package kernel

import (
	"os"
	"syscall"
)

// EndGroup kills a process that was started with the attributes of [Group], and all its children, which may outlive it.
func EndGroup(leader *os.Process) error { return syscall.Kill(-leader.Pid, syscall.SIGKILL) }
