package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pkg/errors"
)

// Unfinished begins the names of folders that are being written or removed.
const Unfinished = ".writing-"

// WriteFolder makes the folder final, whose parent must exist, by write, which gets a temporary one next to it. A process
// killed at any moment leaves all of it or nothing under that name; its temporary folder is removed by who next writes final.
func WriteFolder(final string, write func(temporary string) error) error {
	return writeFolder(final, write, os.Rename)
}

// RewriteFolder is [WriteFolder] for a folder that may be there: the new one takes its place as in [ReplaceFolder].
func RewriteFolder(final string, write func(temporary string) error) error {
	return writeFolder(final, write, ReplaceFolder)
}

func writeFolder(final string, write func(temporary string) error, put func(temporary, final string) error) error {
	parent := filepath.Dir(final)
	temporary, remove, err := Temporary(parent, filepath.Base(final))
	if err != nil {
		return errors.Wrapf(reason(err, ""), "writing %s", final)
	}
	defer remove()
	if err := write(temporary); err != nil {
		var number syscall.Errno
		if DiskFull(err) && errors.As(err, &number) { // in whichever file of a folder whose name nobody knows
			err = errors.Wrapf(number, "writing %s", final)
		}
		return err
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return errors.WithStack(err)
	}
	syncFolder(temporary)
	if err := put(temporary, final); err != nil {
		return errors.Wrapf(reason(err, temporary), "writing %s", final)
	}
	syncFolder(parent)
	return nil
}

// Temporary makes a folder in parent until remove is called. That of a killed process is removed by who next makes one of this name.
func Temporary(parent, name string) (folder string, remove func(), err error) {
	before := Unfinished + strings.ReplaceAll(name, "*", "_") + "-"
	if len(before) > 200 { // names of 255 bytes are the longest, and digits follow
		before = before[:200]
	}
	folder, release, err := begin(parent, before, "", func() (string, error) { return os.MkdirTemp(parent, before) })
	if err != nil {
		return "", func() {}, err
	}
	return folder, func() {
		_ = os.RemoveAll(folder)
		release()
	}, nil
}

// ReplaceFolder puts a folder in the place of another in the same parent, which need not be there, and removes that one. Where the system
// can exchange two folders, as Linux on most file systems, a process killed at any moment leaves the old one or the new under the name;
// elsewhere there is a moment between two renames in which there is neither, and the old one's name begins with [Unfinished].
func ReplaceFolder(fresh, final string) error {
	if exchange(fresh, final) == nil {
		return RemoveFolder(fresh)
	}
	going, err := moveAside(final)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, final); err != nil {
		_ = os.Rename(going, final)
		return err
	}
	return errors.WithStack(os.RemoveAll(going))
}

// RemoveFolder removes a folder in one step as others see it: it has gone before the first of its files goes.
func RemoveFolder(folder string) error {
	going, err := moveAside(folder)
	if err != nil {
		return err
	}
	return errors.WithStack(os.RemoveAll(going))
}

// moveAside gives a folder that is to be removed the name that it goes by until then.
func moveAside(folder string) (going string, err error) {
	going = filepath.Join(filepath.Dir(folder), Unfinished+"removed-"+filepath.Base(folder))
	if err := os.RemoveAll(going); err != nil { // what a killed process left
		return going, errors.WithStack(err)
	}
	return going, errors.WithStack(os.Rename(folder, going))
}

// syncFolder makes a rename in folder durable where the system supports it.
func syncFolder(folder string) {
	if f, err := os.Open(folder); err == nil {
		_ = f.Sync()
		_ = f.Close()
	}
}

// Glob lists the files in dir that match a pattern with slashes, as [filepath.Glob] does; what dir is called is no part of the pattern.
func Glob(dir, pattern string) ([]string, error) {
	literal := strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(dir)
	return filepath.Glob(filepath.Join(literal, filepath.FromSlash(pattern)))
}
