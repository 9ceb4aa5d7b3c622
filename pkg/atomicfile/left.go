package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
)

// A process that is killed leaves the temporary file or folder that it was at. Who next writes to the same name removes it, and can
// tell it from one that another process is at: that one holds it, which the system undoes when a process dies.

// begin makes a temporary file or folder by create, holds it, and removes those that killed processes left: entries in the folder dir
// that begin with before and end with after, with digits in between. release ends the hold, once the temporary name is gone.
func begin(dir, before, after string, create func() (string, error)) (path string, release func(), err error) {
	removeLeft(dir, before, after)
	for {
		if path, err = create(); err != nil {
			return "", nil, err
		}
		release, err = hold(path)
		if !errors.Is(err, fs.ErrNotExist) { // else one that begins now has taken it for left
			return path, release, nil
		}
	}
}

// removeLeft removes what killed processes left. What cannot be removed, or told from what a process is at, stays.
func removeLeft(dir, before, after string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // which writing there will say
	}
	for _, e := range entries {
		rest, begins := strings.CutPrefix(e.Name(), before)
		number, ends := strings.CutSuffix(rest, after)
		if !begins || !ends || number == "" || strings.Trim(number, "0123456789") != "" {
			continue
		}
		if e.IsDir() || e.Type().IsRegular() {
			removeUnheld(filepath.Join(dir, e.Name()))
		}
	}
}
