package kernelsetup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"

	"github.com/gofrs/flock"
	"github.com/pkg/errors"
)

// tree is a folder that is finished as soon as others can see it.
type tree struct {
	dir   string // its path; the last element holds a hash of all it depends on
	title string // for messages
	// inPlace is set for content that contains its own path, so that the folder cannot be renamed.
	inPlace bool
	// fill makes the content in an empty folder.
	fill func(ctx context.Context, dir string) error
}

// finished says whether the tree is complete.
func (t tree) finished() bool {
	_, err := os.Stat(filepath.Join(t.dir, backend.StampName))
	return err == nil
}

// ensure fills the tree unless it is finished. If another process is filling it, ensure waits and
// uses the result.
func (t tree) ensure(ctx context.Context, p *progress) error {
	if t.finished() {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(t.dir), 0o755); err != nil {
		return errors.Wrapf(err, "%s needs a folder; make it writable or set %s", t.title, backend.CacheEnv)
	}
	lock := flock.New(t.dir + ".lock")
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errors.Wrapf(err, "cannot lock %s.lock", t.dir)
	}
	defer lock.Unlock()
	if t.finished() {
		return nil
	}
	return p.step(t.title, func() error { return t.make(ctx) })
}

// make fills the tree; the caller holds its lock.
func (t tree) make(ctx context.Context) error {
	// What an interrupted run left.
	left, err := atomicfile.Glob(filepath.Dir(t.dir), filepath.Base(t.dir)+".tmp-*")
	if err != nil {
		return errors.WithStack(err)
	}
	for _, dir := range append(left, t.dir) {
		if err := removeLeft(ctx, dir); err != nil {
			return err
		}
	}
	// A new name each time: a child of a killed run may still be writing to its folder.
	work := fmt.Sprintf("%s.tmp-%d", t.dir, os.Getpid())
	if t.inPlace {
		work = t.dir
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		return errors.WithStack(err)
	}
	if err := t.fill(ctx, work); err != nil {
		os.RemoveAll(work) // best effort: the next run removes it too
		return err
	}
	stamp := filepath.Join(work, backend.StampName)
	if err := os.WriteFile(stamp, []byte(filepath.Base(t.dir)+"\n"), 0o644); err != nil {
		return errors.WithStack(err)
	}
	if t.inPlace {
		return nil
	}
	return errors.WithStack(os.Rename(work, t.dir))
}

// removeLeft removes what an interrupted run left. Children of a run that was killed may write to it for some seconds more, so that
// removal is tried again, and the folder looked for once more after it is gone.
func removeLeft(ctx context.Context, dir string) error {
	for end := time.Now().Add(patience); ; {
		_, missing := os.Lstat(dir)
		if os.IsNotExist(missing) {
			return nil
		}
		if err := os.RemoveAll(dir); err != nil && time.Now().After(end) {
			return errors.Wrapf(err, "cannot remove the unfinished %s; see that no program writes there, then give the same command again", dir)
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// How long removeLeft tries, and how long it waits between.
const (
	patience = 15 * time.Second
	again    = 300 * time.Millisecond
)

// hashOf is a name, of eight hex digits, for content that depends on these texts.
func hashOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:4])
}
