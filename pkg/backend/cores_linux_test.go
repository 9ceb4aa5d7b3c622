package backend

import (
	"os"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// counts are how many cores each thread of this process may run on.
func counts(t *testing.T) map[int]int {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]int{}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			t.Fatal(err)
		}
		var set unix.CPUSet
		if unix.SchedGetaffinity(id, &set) == nil { // else it has ended
			out[set.Count()]++
		}
	}
	return out
}

// Every thread is kept to the cores asked for, whoever started it, and may roam again afterwards.
func TestUseCoresHoldsForTheWholeProcess(t *testing.T) {
	all := schedulable()
	if all < 2 {
		t.Skip("this process may use one core only")
	}
	used, release, err := UseCores(1)
	if err != nil || used != 1 {
		t.Fatal(used, err)
	}
	defer release()
	var wait sync.WaitGroup
	for range 8 { // more goroutines that block in the system than there are threads: new ones are started
		wait.Go(func() {
			r, w, err := os.Pipe()
			if err == nil {
				_, err = w.Write([]byte{1})
				_, _ = r.Read(make([]byte, 1))
				r.Close()
				w.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := counts(t); len(got) != 1 || got[1] == 0 {
		t.Errorf("threads by the number of cores they may use: %v; want 1 for all", got)
	}
	if Cores() > all || Cores() < 1 {
		t.Errorf("Cores() is %d of %d", Cores(), all)
	}
	release()
	if got := counts(t); len(got) != 1 || got[all] == 0 {
		t.Errorf("released, threads by the number of cores they may use: %v; want %d for all", got, all)
	}
	if used, _, err := UseCores(all + 1); used != all || err != nil {
		t.Errorf("of one core more than there are %d are used (%v), want %d", used, err, all)
	}
	if _, _, err := UseCores(0); err == nil {
		t.Error("no core passes")
	}
}
