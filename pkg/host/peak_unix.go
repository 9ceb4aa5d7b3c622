//go:build unix

package host

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// PeakMemory is the most resident memory this process has held so far, in bytes; 0 where that is not known. Linux's own maximum
// of a process begins with what it was forked from, so that it is read elsewhere there.
func PeakMemory() int64 {
	if runtime.GOOS == "linux" {
		return kilobytes("/proc/self/status", "VmHWM")
	}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(u.Maxrss)
	}
	return int64(u.Maxrss) * 1024
}
