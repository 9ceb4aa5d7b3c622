//go:build unix

package perf

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// processorTime is the seconds of processor that this process has used, in all its threads; 0 where it is not told.
func processorTime() float64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// peakMemory is the most resident memory this process has held, in bytes; 0 where it is not told. Linux's own maximum of
// a process begins with what it was forked from, so that it is read elsewhere there.
func peakMemory() int64 {
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

// kilobytes is the number in the line "name:  1234 kB" of a file, in bytes; 0 where there is none.
func kilobytes(path, name string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), name+":"); found {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return n * 1024
		}
	}
	return 0
}

// freeMemory is what new processes may take, in bytes; 0 where it is not told.
func freeMemory() int64 { return kilobytes("/proc/meminfo", "MemAvailable") }

// load is how many processes ran or wanted to over the last minute; -1 where it is not told.
func load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	first, _, _ := strings.Cut(string(text), " ")
	v, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return -1
	}
	return v
}
