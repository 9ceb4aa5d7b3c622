//go:build !linux

package browser

import "syscall"

// endsWithTest does nothing here: no other system ends a process with its parent.
func endsWithTest() *syscall.SysProcAttr { return nil }
