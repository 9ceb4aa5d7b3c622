//go:build unix

package atomicfile

import (
	"io/fs"
	"os"
	"syscall"

	"github.com/pkg/errors"
)

// hold marks a file or folder as one that a process is at, until release or the end of the process. It returns fs.ErrNotExist where
// the file has been removed meanwhile; where there are no locks it marks nothing.
func hold(path string) (release func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return func() {}, err
	}
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	release = func() { _ = f.Close() }
	if err != nil {
		return release, nil
	}
	is, err := f.Stat()
	if err == nil {
		now, err := os.Lstat(path)
		if err != nil || !os.SameFile(is, now) {
			release()
			return func() {}, fs.ErrNotExist
		}
	}
	return release, nil
}

// removeUnheld removes a file or folder that no process holds.
func removeUnheld(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		_ = os.RemoveAll(path)
	}
}
