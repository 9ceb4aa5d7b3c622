package experiment

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/pkg/errors"

	"palimpsest/pkg/host"
)

// leaveHolder writes the file of a holder into dir, last written some time ago.
func leaveHolder(t *testing.T, dir string, h Holder, ago time.Duration) {
	t.Helper()
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, holderFile)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, lockFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if when := time.Now().Add(-ago); os.Chtimes(path, when, when) != nil {
		t.Fatal("no times")
	}
}

// withoutFlock has the file system know no flock until the test ends.
func withoutFlock(t *testing.T) {
	no := func(l *flock.Flock) (bool, error) {
		if f, err := os.OpenFile(l.Path(), os.O_CREATE|os.O_RDONLY, 0o644); err == nil { // as is done before it is found out
			_ = f.Close()
		}
		return false, errors.Wrap(syscall.EOPNOTSUPP, "flock")
	}
	alone, shared := tryFlock, tryRFlock
	tryFlock, tryRFlock = no, no
	t.Cleanup(func() { tryFlock, tryRFlock = alone, shared })
}

// A folder that another machine has is left to it as long as there are signs of life, and no longer. On the holder's own
// machine flock tells at once whether it lives.
func TestFoldersOfOtherMachines(t *testing.T) {
	far := Holder{ID: "far", Host: "node3", Boot: "1", Process: 12, Job: "17_2"}
	here := Holder{ID: "near", Host: host.Name(), Boot: host.Boot(), Process: 12}
	rebooted := here
	rebooted.Boot += "before"
	for name, tc := range map[string]struct {
		holder Holder
		ago    time.Duration
		flock  bool
		held   string // what the refusal says; "" where the folder may be had
	}{
		"fresh":                   {far, 5 * time.Second, true, "process 12 on node3, job 17_2), with its last sign of life 5s ago"},
		"fresh, no flock":         {far, 5 * time.Second, false, "process 12 on node3"},
		"stale":                   {far, staleAfter + time.Second, true, ""},
		"stale, no flock":         {far, staleAfter + time.Second, false, ""},
		"killed here":             {here, time.Second, true, ""},
		"killed here, no flock":   {here, 5 * time.Second, false, "another process is at work"},
		"before a restart":        {rebooted, 5 * time.Second, true, "another process is at work"},
		"an unreadable file":      {Holder{}, 5 * time.Second, true, "another process is at work"},
		"an old, unreadable file": {Holder{}, staleAfter + time.Second, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			leaveHolder(t, dir, tc.holder, tc.ago)
			if !tc.flock {
				withoutFlock(t)
			}
			if AtWork(dir) != (tc.held != "") {
				t.Errorf("at work: %v", AtWork(dir))
			}
			lock, err := lockFolder(dir)
			if tc.held != "" {
				if err == nil || !strings.Contains(err.Error(), tc.held) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("got %v, want an error that says %q", err, tc.held)
				}
				if kept, _, err := decodeHolder(filepath.Join(dir, holderFile)); err != nil || kept.ID != tc.holder.ID {
					t.Errorf("the holder is %v (%v)", kept, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(lock.over, "taking over "+dir+" from ") {
				t.Errorf("said %q", lock.over)
			}
			if h, dead := HolderOf(dir); h == nil || h.ID != lock.self.ID || dead != nil {
				t.Errorf("the holder is %v, a dead one %v; want this process", h, dead)
			}
			if err := lock.Unlock(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(dir, holderFile)); !os.IsNotExist(err) || AtWork(dir) {
				t.Errorf("given back, the folder is held (%v)", err)
			}
		})
	}
}

// A machine that died may leave its lock with the file server: its silence tells, where it is not this machine.
func TestLocksOfDeadMachines(t *testing.T) {
	for name, tc := range map[string]struct {
		host string
		ago  time.Duration
		held bool
	}{
		"alive": {"node3", time.Second, true},
		"dead":  {"node3", staleAfter + time.Second, false},
		"here":  {host.Name(), staleAfter + time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			leaveHolder(t, dir, Holder{ID: "other", Host: tc.host, Boot: host.Boot()}, tc.ago)
			other := flock.New(filepath.Join(dir, lockFile))
			if ok, err := other.TryLock(); !ok || err != nil {
				t.Fatal(ok, err)
			}
			defer other.Unlock()
			if AtWork(dir) != tc.held {
				t.Errorf("at work: %v", AtWork(dir))
			}
			lock, err := lockFolder(dir)
			if tc.held != errors.As(err, new(occupied)) || !tc.held && err != nil {
				t.Fatalf("got %v; held: %v", err, tc.held)
			}
			if err == nil {
				if !strings.Contains(lock.over, "taking over") {
					t.Errorf("said %q", lock.over)
				}
				if err := lock.Unlock(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A process keeps others out by its signs of life alone, and one that waits has the folder once they end.
func TestSignsOfLife(t *testing.T) {
	withoutFlock(t)
	every, after := beatEvery, staleAfter
	beatEvery, staleAfter = 10*time.Millisecond, time.Minute // long enough for a busy machine
	t.Cleanup(func() { beatEvery, staleAfter = every, after })
	dir := t.TempDir()
	lock, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	lock.progress.Store(&Progress{Step: 7})
	for {
		if h, _ := HolderOf(dir); h == nil {
			t.Fatal("nobody is at work")
		} else if h.Progress != nil && h.Progress.Step == 7 {
			break
		}
		time.Sleep(beatEvery)
	}
	if _, err := lockFolder(dir); !errors.As(err, new(occupied)) {
		t.Errorf("got %v, want that the folder is occupied", err)
	}
	soon, cancel := context.WithTimeout(t.Context(), beatEvery)
	defer cancel()
	said := ""
	if _, err := waitFolder(soon, dir, func(line string) { said += line }); !errors.Is(err, context.DeadlineExceeded) || strings.Count(said, "waiting") != 1 {
		t.Errorf("waiting ends with %v, and says %q", err, said)
	}
	lock.stop() // as if it were killed
	<-lock.stopped
	staleAfter = 100 * time.Millisecond
	next, err := waitFolder(t.Context(), dir, func(string) {})
	if err != nil || !strings.Contains(next.over, "taking over") {
		t.Fatalf("waited for the folder: %v", err)
	}
	staleAfter = time.Minute
	// The one before was not dead after all: it writes no more, and does not give back what is not its own.
	if err := lock.beat(); err == nil {
		t.Error("a process that lost its folder gives signs of life")
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if h, _ := HolderOf(dir); h == nil || h.ID != next.self.ID {
		t.Errorf("the holder is %v, want the one who took over", h)
	}
	if err := next.Unlock(); err != nil {
		t.Fatal(err)
	}
}

// Of many that come for a dead process's folder at once, where there is no flock, one has it.
func TestOneOfManyTakesOver(t *testing.T) {
	withoutFlock(t)
	dir := t.TempDir()
	leaveHolder(t, dir, Holder{ID: "far", Host: "node3"}, staleAfter+time.Second)
	var wait sync.WaitGroup
	var mu sync.Mutex
	var got []*folderLock
	for range 16 {
		wait.Go(func() {
			lock, err := lockFolder(dir)
			if err != nil {
				if !errors.As(err, new(occupied)) {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, lock)
		})
	}
	wait.Wait()
	holding := 0
	for _, lock := range got {
		if lock.beat() == nil { // who believes to have it and does not is stopped before it writes
			holding++
		}
	}
	if holding != 1 {
		t.Errorf("%d of %d have the folder, want one", holding, len(got))
	}
	for _, lock := range got {
		if err := lock.Unlock(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
