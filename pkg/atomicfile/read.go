package atomicfile

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"

	"github.com/pkg/errors"
)

// Open opens the file at path for reading. It refuses what is no regular file, before opening it: a pipe would make the
// program wait for ever, and a device may never end.
func Open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.Errorf("%s is %s; need a file", path, kind(info.Mode()))
	}
	return os.Open(path)
}

// Large is a limit for [Read] of results, pictures and notebooks, of which the largest have some megabytes.
const Large = 1 << 30

// Read reads the regular file at path, which may have at most limit bytes.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, errors.Wrapf(err, "reading %s", path)
	}
	if int64(len(data)) > limit {
		return nil, errors.Errorf("%s has more than %d bytes; need at most that, so is it the right file?", path, limit)
	}
	return data, nil
}

// SHA256 is the SHA-256 of the regular file at path in hexadecimal digits.
func SHA256(path string) (string, error) {
	f, err := Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", errors.Wrap(err, path)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// kind says what there is instead of a file.
func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "no regular file"
}
