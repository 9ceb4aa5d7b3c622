package experiment

import (
	"context"
	"crypto/rand"
	"encoding/json"
	stderrors "errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/pkg/errors"

	"palimpsest/pkg/host"
)

// logName is the file in a run folder that says what happened, in lines.
const logName = "log.txt"

// lockFile is the file in a run folder by which its process keeps out others of its machine, and of others where the file
// system carries such locks (flock) to them.
const lockFile = ".lock"

// holderFile says who has the folder. Not every shared file system carries flock to other machines: some keep it to one, some
// have none. There this file keeps others out, for as long as its holder rewrites it.
const holderFile = ".holder"

// How often the holder of a folder gives a sign of life, and after how long without one another machine takes the folder over.
// The second is some times the first, and longer than the minute for which NFS may show a file as it was.
var (
	beatEvery  = 10 * time.Second
	staleAfter = 2 * time.Minute
)

// Holder is the process that has a run folder, as [holderFile] has it.
type Holder struct {
	ID      string    `json:"id"` // its own, random
	Host    string    `json:"host"`
	Boot    string    `json:"boot,omitempty"` // of the running system ([host.Boot])
	Process int       `json:"process"`
	Job     string    `json:"job,omitempty"` // of Slurm
	Since   time.Time `json:"since"`
	Beat    time.Time `json:"beat"` // by the holder's clock; that of the file server, the file's own time, decides

	Progress *Progress `json:"progress,omitempty"` // of its run, some seconds old
}

// String says who it is.
func (h Holder) String() string {
	if h.ID == "" {
		return "a process that has not said who it is"
	}
	text := fmt.Sprintf("process %d on %s", h.Process, h.Host)
	if h.Job != "" {
		text += ", job " + h.Job
	}
	return text
}

// here says whether the holder ran in this very system, where flock tells whether it still does.
func (h Holder) here() bool { return h.ID != "" && h.Host == host.Name() && h.Boot == host.Boot() }

// elsewhere says whether the holder ran in another system, of which flock may not tell.
func (h Holder) elsewhere() bool { return h.ID != "" && !h.here() }

// occupied is the error of a folder that another process has.
type occupied struct {
	dir    string
	holder Holder
	silent time.Duration // since its last sign of life; 0: it is known to live
}

// Error implements error.
func (o occupied) Error() string {
	who := ""
	if o.holder.ID != "" {
		who = " (" + o.holder.String() + ")"
	}
	if o.silent == 0 {
		return fmt.Sprintf("another process is at work in %s%s; wait for it, or name another folder", o.dir, who)
	}
	return fmt.Sprintf("another process is at work in %s%s, with its last sign of life %s ago; wait for it (after %s without one the same command takes the folder over), or name another folder",
		o.dir, who, o.silent.Round(time.Second), staleAfter)
}

// folderLock keeps other processes out of a run folder until it is unlocked.
type folderLock struct {
	dir      string
	flock    *flock.Flock // nil where the file system has none
	self     Holder
	over     string // what is to be said of a holder that was taken over; "" where there was none
	progress atomic.Pointer[Progress]
	stop     func()
	stopped  chan struct{}
}

// tryFlock and tryRFlock ask for a lock, alone or with others; tests put other file systems in their place.
var (
	tryFlock  = (*flock.Flock).TryLock
	tryRFlock = (*flock.Flock).TryRLock
)

// noFlock says whether an error is that of a file system without flock.
func noFlock(err error) bool {
	return stderrors.Is(err, stderrors.ErrUnsupported) || errors.Is(err, syscall.ENOLCK)
}

// lockFolder keeps other processes out of a run folder, or fails with [occupied].
func lockFolder(dir string) (*folderLock, error) {
	if dir == "" {
		return nil, errors.New("a folder without a name cannot be locked; name it (. is the folder at hand)")
	}
	l := &folderLock{dir: dir, flock: flock.New(filepath.Join(dir, lockFile)), self: Holder{ID: rand.Text(), Host: host.Name(), Boot: host.Boot(),
		Process: os.Getpid(), Job: jobOf(os.Getenv), Since: time.Now().UTC()}}
	ok, err := tryFlock(l.flock)
	switch {
	case err != nil && noFlock(err):
		// The lock's file stays: a run at work knows by it that its folder is still the same.
		l.flock = nil
	case err != nil:
		return nil, errors.Wrapf(err, "locking %s", dir)
	case !ok:
		// A machine that died may leave its locks with a file server (NFS 3), which then only its holder's silence tells.
		h, silent, err := readHolder(dir)
		if err != nil || !h.elsewhere() || silent < staleAfter {
			return nil, occupied{dir: dir, holder: h}
		}
		l.flock = nil
	}
	if err := l.hold(); err != nil {
		l.unflock()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop, l.stopped = stop, make(chan struct{})
	go l.beatUntil(ctx)
	return l, nil
}

// LockFolder keeps other commands out of a folder, as processes of runs are kept out of theirs, until it is unlocked.
func LockFolder(dir string) (unlock func(), err error) {
	l, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	return func() { _ = l.Unlock() }, nil
}

// waitFolder is [lockFolder], which waits for a process that is at work there or was, and says so once.
func waitFolder(ctx context.Context, dir string, say func(string)) (*folderLock, error) {
	for told := false; ; told = true {
		l, err := lockFolder(dir)
		var held occupied
		if !errors.As(err, &held) {
			return l, err
		}
		if !told {
			say("waiting: " + err.Error())
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(beatEvery / 2):
		}
	}
}

// jobOf names the job that a process belongs to by its environment; "" where it belongs to none.
func jobOf(getenv func(string) string) string {
	if id := getenv("SLURM_ARRAY_JOB_ID"); id != "" {
		return id + "_" + getenv("SLURM_ARRAY_TASK_ID")
	}
	return getenv("SLURM_JOB_ID")
}

// hold makes this process the folder's holder, in the place of one that is known to be dead.
func (l *folderLock) hold() error {
	path := filepath.Join(l.dir, holderFile)
	for {
		err := l.create(path)
		if !errors.Is(err, fs.ErrExist) {
			return errors.Wrapf(err, "locking %s", l.dir)
		}
		before, silent, err := readHolder(l.dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has just been given back
		}
		if err != nil {
			return errors.Wrapf(err, "locking %s", l.dir)
		}
		if !(before.here() && l.flock != nil) && silent < staleAfter {
			return occupied{l.dir, before, max(silent, time.Second)}
		}
		// Of several that have come so far one moves the file away; what it then finds to be another's it puts back.
		away := filepath.Join(l.dir, fmt.Sprintf(".%s.%d.tmp", holderFile, time.Now().UnixNano()))
		if err := os.Rename(path, away); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return errors.Wrapf(err, "locking %s", l.dir)
		}
		moved, _, err := decodeHolder(away)
		if err == nil && moved.ID != before.ID {
			_ = os.Link(away, path) // where that fails its holder writes nothing more
		}
		_ = os.Remove(away)
		if err == nil && moved.ID == before.ID {
			l.over = fmt.Sprintf("taking over %s from %s, which ended without giving it back; its last sign of life was %s ago", l.dir, before, max(0, silent).Round(time.Second))
		}
	}
}

// create writes the holder's file whole, unless there is one.
func (l *folderLock) create(path string) error {
	text, err := l.record()
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(l.dir, "."+holderFile+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(text)
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err = os.Link(temporary.Name(), path); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without hard links.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// record is the holder's file as it is to be now.
func (l *folderLock) record() ([]byte, error) {
	h := l.self
	h.Beat, h.Progress = time.Now().UTC(), l.progress.Load()
	text, err := json.Marshal(h)
	return append(text, '\n'), err
}

// beatUntil gives a sign of life from time to time.
func (l *folderLock) beatUntil(ctx context.Context) {
	defer close(l.stopped)
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = l.beat() // one that cannot be given now may be the next time
		}
	}
}

// beat writes the holder's file in place, and so never over that of a process that took the folder over: it has moved this one away.
func (l *folderLock) beat() error {
	f, err := os.OpenFile(filepath.Join(l.dir, holderFile), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var h Holder
	if err := json.NewDecoder(f).Decode(&h); err != nil || h.ID != l.self.ID {
		return errors.Errorf("%s of %s is not this process's (%v)", holderFile, l.dir, err)
	}
	text, err := l.record()
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(text, 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(text)))
}

// Unlock gives the folder back.
func (l *folderLock) Unlock() error {
	l.stop()
	<-l.stopped
	if h, _, err := decodeHolder(filepath.Join(l.dir, holderFile)); err == nil && h.ID == l.self.ID {
		_ = os.Remove(filepath.Join(l.dir, holderFile))
	}
	return l.unflock()
}

func (l *folderLock) unflock() error {
	if l.flock == nil {
		return nil
	}
	return l.flock.Unlock()
}

// decodeHolder reads a holder's file and when it was written by the clock of its file system. It may be read while it is written;
// one that is not whole gives a Holder without ID.
func decodeHolder(path string) (h Holder, written time.Time, err error) {
	f, err := os.Open(path) // which has NFS ask for the newest state
	if err != nil {
		return h, written, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return h, written, err
	}
	if json.NewDecoder(io.LimitReader(f, 1<<20)).Decode(&h) != nil {
		h = Holder{}
	}
	return h, info.ModTime(), nil
}

// readHolder reads who has a folder, and how long ago the last sign of life was by the clock of its file system: those of two
// machines may differ, so it makes a file there and compares the times.
func readHolder(dir string) (h Holder, silent time.Duration, err error) {
	h, written, err := decodeHolder(filepath.Join(dir, holderFile))
	if err != nil {
		return h, 0, err
	}
	probe, err := os.CreateTemp(dir, "."+holderFile+".*.tmp")
	if err != nil {
		return h, 0, err
	}
	defer os.Remove(probe.Name())
	defer probe.Close()
	now, err := probe.Stat()
	if err != nil {
		return h, 0, err
	}
	return h, now.ModTime().Sub(written), nil
}

// HolderOf says who has a run folder and is at work there, nil where nobody is, and who had it and ended without giving it back.
// It makes nothing there, and so goes by this machine's clock where the holder is on another.
func HolderOf(dir string) (atWork, dead *Holder) {
	file := filepath.Join(dir, lockFile)
	if _, err := os.Stat(file); err != nil {
		return nil, nil
	}
	lock := flock.New(file)
	free, err := tryRFlock(lock)
	if free {
		_ = lock.Unlock()
	}
	known := err == nil // else this file system has no such lock
	h, written, err := decodeHolder(filepath.Join(dir, holderFile))
	silent := time.Since(written) >= staleAfter
	switch {
	case err != nil && known && !free:
		return &Holder{}, nil // it is about to say who it is
	case err != nil:
		return nil, nil
	case known && !free && !(h.elsewhere() && silent), !(known && h.here()) && !silent:
		return &h, nil
	}
	return nil, &h
}

// AtWork says whether a process is at work in a run folder. It makes nothing there.
func AtWork(dir string) bool {
	h, _ := HolderOf(dir)
	return h != nil
}
