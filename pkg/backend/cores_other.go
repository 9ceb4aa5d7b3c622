//go:build !linux

package backend

import (
	"runtime"

	"github.com/pkg/errors"
)

// schedulable is how many cores this process may run on.
func schedulable() int { return runtime.NumCPU() }

// UseCores has this whole process run on n of the cores it may run on, or on all where there are fewer, until release. It
// returns their number. Here a process cannot be kept to some of them, so that it always runs on all.
func UseCores(n int) (used int, release func(), err error) {
	if n < 1 {
		return 0, nil, errors.Errorf("%d cores are wanted; need at least 1", n)
	}
	return schedulable(), func() {}, nil
}
