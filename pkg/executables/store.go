//go:build cgo && linux && amd64

package executables

import (
	"os"
	"path/filepath"
	"syscall"

	"palimpsest/pkg/kept"

	"github.com/pkg/errors"
)

// openStore returns the store in dir, which it makes where it can; dir may be a link to a folder. It fails where others than this user could have put
// something there; where they could only have looked, the folder is closed to them.
func openStore(dir string, most int64) (kept.Store, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return kept.Store{}, errors.WithStack(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return kept.Store{}, errors.WithStack(err)
	}
	real, err := filepath.EvalSymlinks(dir) // a link of another user's leads to nothing that others can write in either
	if err != nil {
		return kept.Store{}, errors.WithStack(err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return kept.Store{}, errors.WithStack(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return kept.Store{}, errors.Errorf("%s is %s; need a folder of this user's own in which others cannot write, or none: remove it", dir, info.Mode())
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(real, 0o700); err != nil {
			return kept.Store{}, errors.WithStack(err)
		}
	}
	return kept.Store{Dir: real, Most: most}, nil
}
