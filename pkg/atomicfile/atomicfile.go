// Package atomicfile writes files whole or not at all, and reads nothing that is not a file.
package atomicfile

import (
	"io"
	"os"
	"path/filepath"

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
// file is removed and path is as it was.
func WriteFrom(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return errors.WithStack(err)
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	if err = write(f); err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return errors.Wrapf(err, "writing %s", path)
}
