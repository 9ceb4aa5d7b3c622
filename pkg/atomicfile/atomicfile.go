// Package atomicfile writes files whole or not at all, and reads nothing that is not a file.
package atomicfile

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/pkg/errors"
)

// Write writes data to path as [WriteFrom] does.
func Write(path string, data []byte) error {
	return WriteFrom(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteFrom writes what write produces to path: under a temporary name in the same folder, which must exist, synced to
// the disk, then renamed. Whenever the process ends, path holds the old content or the new. On an error the temporary
// file is removed and path is as it was; that of a killed process is removed by who next writes to path. Where path is a symbolic link, what it points to is written and the link stays.
// Of several hard links to one file path alone has the new content: the others keep the old, as they would of any file that
// is replaced.
// A file that is there keeps its mode and, where the system lets it, its owner; what [Check] refuses stays as it is.
func WriteFrom(path string, write func(io.Writer) error) error {
	target, old, err := resolve(path)
	if err != nil {
		return err
	}
	dir, name := filepath.Split(target)
	dir = filepath.Clean(dir)
	var f *os.File
	_, release, err := begin(dir, "."+name+".", ".tmp", func() (string, error) {
		var err error
		if f, err = os.CreateTemp(dir, "."+name+".*.tmp"); err != nil {
			return "", err
		}
		return f.Name(), nil
	})
	if err != nil {
		return errors.Wrapf(reason(err, ""), "writing %s", path)
	}
	defer release()
	defer os.Remove(f.Name()) // fails after the rename, as it should
	mode := fs.FileMode(0o644)
	if old != nil {
		keepOwner(f, old)
		mode = old.Mode().Perm()
	}
	if err = write(f); err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), target)
	}
	return errors.Wrapf(reason(err, f.Name()), "writing %s", path)
}

// reason is an error of the temporary file without its name, which nobody has asked for; "" stands for any file. Other
// errors stay as they are.
func reason(err error, temporary string) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p) && (temporary == "" || p.Path == temporary):
		return p.Err
	case errors.As(err, &l) && l.Old == temporary:
		return l.Err
	}
	return err
}

// DiskFull says whether an error is that of a full disk, or of one that this user may have no more of.
func DiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Check says whether [WriteFrom] could write to path, for those who want to know before they work for long: the folder
// must be there and take files, and at path, links followed, a regular file or nothing. A folder, a pipe or a device is refused,
// because a file would take its place.
func Check(path string) error {
	target, _, err := resolve(path)
	if err != nil {
		return err
	}
	dir, name := filepath.Split(target)
	dir = filepath.Clean(dir)
	return errors.Wrapf(try(dir, name), "writing %s: the folder %s takes no file", path, dir)
}

// CheckFolder is [Check] of a folder that is to take files, which need not be there yet: so many of those that it is in must be
// folders as there are, and the last of them must take files.
func CheckFolder(dir string) error {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch _, link := os.Lstat(at); {
		case err == nil && !info.IsDir():
			return errors.Errorf("%s is no folder; name another", at)
		case err == nil:
			return errors.Wrapf(try(at, "check"), "writing to %s, which takes no file", at)
		case link == nil || at == filepath.Dir(at): // a link to nothing, or one that nobody may follow
			return errors.WithStack(err)
		}
	}
}

// try makes a temporary file, as for one of that name, and removes it.
func try(dir, name string) error {
	f, err := os.CreateTemp(dir, "."+name+".*.tmp")
	if err != nil {
		return reason(err, "")
	}
	defer os.Remove(f.Name())
	return f.Close()
}

// Dangling says of a path that is a link to nothing where it leads and what to do; of any other it returns nil.
func Dangling(path string) error {
	target, notLink := os.Readlink(path)
	if _, err := os.Stat(path); notLink == nil && errors.Is(err, fs.ErrNotExist) {
		return errors.Errorf("%s is a link to %s, where nothing is; bring that back, or remove the link", path, target)
	}
	return nil
}

// mostLinks is the number of links that lead to a file; with more they lead in a circle.
const mostLinks = 40

// resolve follows symbolic links to what is to be written, which need not be there yet; old is the file that is, or nil.
func resolve(path string) (target string, old fs.FileInfo, err error) {
	target = path
	for range mostLinks {
		info, err := os.Lstat(target)
		dir := filepath.Dir(target)
		switch folder, missing := os.Stat(dir); {
		case os.IsNotExist(missing):
			return "", nil, errors.Errorf("writing %s: there is no folder %s; make it or name another", path, dir)
		case missing == nil && !folder.IsDir():
			return "", nil, errors.Errorf("writing %s: %s is no folder; name another", path, dir)
		case os.IsNotExist(err):
			return target, nil, errors.Wrapf(missing, "writing %s", path)
		case err != nil:
			return "", nil, errors.Wrapf(err, "writing %s", path)
		case info.Mode().IsRegular():
			return target, info, nil
		case info.Mode()&fs.ModeSymlink == 0:
			return "", nil, errors.Errorf("%s is %s; name a file to write, new or to be replaced", path, kind(info.Mode()))
		}
		to, err := os.Readlink(target)
		if err != nil {
			return "", nil, errors.Wrapf(err, "writing %s", path)
		}
		if !filepath.IsAbs(to) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(target)) // a link's ".." starts where the link really is
			if err != nil {
				return "", nil, errors.Wrapf(err, "writing %s", path)
			}
			to = filepath.Join(dir, to)
		}
		// What has no name of its own, as an open pipe under /proc, is known by what it is.
		if info, err := os.Stat(target); err == nil && !info.Mode().IsRegular() {
			return "", nil, errors.Errorf("%s leads to %s; name a file to write, new or to be replaced", path, kind(info.Mode()))
		}
		target = to
	}
	return "", nil, errors.Errorf("%s is a link that leads back to itself; name a file to write", path)
}
