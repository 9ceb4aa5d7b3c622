//go:build unix

package host

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// PeakMemory is the most resident memory this process has held so far, or one that it started and that has ended if that
// held more, in bytes; 0 where it is not known. Linux's own maximum of a process begins with what it was forked from, so that
// this process's is read elsewhere there.
func PeakMemory() int64 {
	own := usedAtMost(unix.RUSAGE_SELF)
	if runtime.GOOS == "linux" {
		own = kilobytes("/proc/self/status", "VmHWM")
	}
	return max(own, usedAtMost(unix.RUSAGE_CHILDREN))
}

func usedAtMost(who int) int64 {
	var u unix.Rusage
	if unix.Getrusage(who, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(u.Maxrss)
	}
	return int64(u.Maxrss) * 1024
}
