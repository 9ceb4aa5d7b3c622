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

// descendants are not to be found where processes without parents are adopted by the first of all.
func descendants(int, int) []int { return nil }
