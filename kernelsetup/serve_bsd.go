//go:build unix && !linux

package kernelsetup

import (
	"syscall"

	"palimpsest/notebooks/kernel"
)

// adopt does nothing where a process cannot adopt the children of its own.
func adopt() {}

// serverGroup gives the server a process group of its own.
func serverGroup() *syscall.SysProcAttr { return kernel.Group() }

// descendants finds none: here the first process of the system adopts those that lost their parents.
func descendants(int, int) []int { return nil }
