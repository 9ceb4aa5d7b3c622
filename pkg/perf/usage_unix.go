//go:build unix

package perf

import "golang.org/x/sys/unix"

// processorTime is the seconds of processor that this process has used, in all its threads; 0 where that is not known.
func processorTime() float64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
