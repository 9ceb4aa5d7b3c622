package backend

import (
	"os"
	"path/filepath"
	"time"

	"palimpsest/pkg/executables"

	"github.com/pkg/errors"
)

// CacheEnv is the environment variable that moves the cache folder.
const CacheEnv = "PALIMPSEST_CACHE"

// CacheDir returns the absolute path of the folder for large pinned files: plugins, tools,
// data sets. It is $PALIMPSEST_CACHE if that is set, else "palimpsest" in the user's cache
// folder. The folder need not exist yet. It fails if neither is known, and if the former is
// relative: it would name another folder in every working folder, a notebook's for one.
func CacheDir() (string, error) {
	if dir := os.Getenv(CacheEnv); dir != "" {
		if !filepath.IsAbs(dir) {
			return "", errors.Errorf("%s is %q; need an absolute path", CacheEnv, dir)
		}
		return filepath.Clean(dir), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", errors.Wrapf(err, "no folder for cached files; set %s to one", CacheEnv)
	}
	return filepath.Join(dir, "palimpsest"), nil
}

// ExecutablesDir returns the folder that package executables keeps compiled programs in. It fails where it is to keep none.
func ExecutablesDir() (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	return executables.Dir(cache)
}

// Building is how long this process has built XLA's programs so far, or waited for them ([executables.Spent]).
func Building() time.Duration { return executables.Spent() }

// IsBuilding says whether this process builds a program of XLA's now, or waits for one ([executables.AtWork]).
func IsBuilding() bool { return executables.AtWork() }
