package browser

import "syscall"

// endsWithTest has the system ask a process to end when the test is killed or runs out of time, which ends it without its clean-up.
func endsWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
