package backend

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"

	"github.com/pkg/errors"
	"golang.org/x/sys/unix"
)

// schedulable is how many cores this process may run on.
func schedulable() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil || set.Count() == 0 {
		return runtime.NumCPU()
	}
	return set.Count()
}

// UseCores has this whole process run on n of the cores it may run on, or on all where there are fewer, until release. It
// returns their number. It fails where the system refuses; then nothing has changed.
func UseCores(n int) (used int, release func(), err error) {
	if n < 1 {
		return 0, nil, errors.Errorf("%d cores are wanted; need at least 1", n)
	}
	var all, some unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return 0, nil, errors.Wrap(err, "asking which cores this process may use")
	}
	if n >= all.Count() {
		return all.Count(), func() {}, nil
	}
	var cores []int
	for core := range len(all) * 64 {
		if all.IsSet(core) {
			cores = append(cores, core)
		}
	}
	// Any ones: several processes that each want a core are then likely to get different ones.
	for _, i := range rand.Perm(len(cores))[:n] {
		some.Set(cores[i])
	}
	if err := pin(&some); err != nil {
		_ = pin(&all)
		return 0, nil, err
	}
	return n, func() { _ = pin(&all) }, nil
}

// pin has every thread of this process, and those that they start from now on, run on the cores of set.
func pin(set *unix.CPUSet) error {
	pinned := map[string]bool{}
	for {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return errors.WithStack(err)
		}
		news := false
		for _, t := range threads {
			if pinned[t.Name()] {
				continue
			}
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return errors.WithStack(err)
			}
			if err := unix.SchedSetaffinity(id, set); err != nil && err != unix.ESRCH { // ended meanwhile
				return errors.Wrap(err, "choosing cores")
			}
			pinned[t.Name()], news = true, true
		}
		if !news { // a thread started since then has its place from one that was pinned
			return nil
		}
	}
}
