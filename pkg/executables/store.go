//go:build cgo && linux && amd64

package executables

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"palimpsest/pkg/atomicfile"

	"github.com/pkg/errors"
)

// store is a folder of executables.
type store struct {
	dir  string
	most int64 // bytes
}

// openStore returns the store in dir, which it makes where it can. It fails where others than this user could have put
// something there.
func openStore(dir string, most int64) (store, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return store{}, errors.WithStack(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return store{}, errors.WithStack(err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return store{}, errors.WithStack(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return store{}, errors.Errorf("%s is %s; need a folder of this user's own without rights for others, or none: remove it", dir, info.Mode())
	}
	return store{dir, most}, nil
}

// digest is the SHA-256 of parts, told apart by their lengths.
func digest(parts ...[]byte) []byte {
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return h.Sum(nil)
}

func (s store) path(key []byte) string { return filepath.Join(s.dir, hex.EncodeToString(key)) }

// get returns what was kept under a key, nil where that is nothing or not what was written.
func (s store) get(key []byte) []byte {
	file, err := atomicfile.Read(s.path(key), s.most)
	if err != nil || len(file) <= sha256.Size {
		return nil
	}
	sum, data := file[:sha256.Size], file[sha256.Size:]
	if !bytes.Equal(sum, digest(key, data)) {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(s.path(key), now, now) // that it was used; what cannot be said is not known
	return data
}

// put keeps data under a key, and removes what was not used for longest where the folder would hold too much. Nothing
// tells whether it could: then there is nothing to get.
func (s store) put(key, data []byte) {
	if int64(len(data))+sha256.Size > s.most {
		return
	}
	if err := atomicfile.Write(s.path(key), slices.Concat(digest(key, data), data)); err == nil {
		s.prune()
	}
}

func (s store) prune() {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	var held int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else another process has removed it
			files, held = append(files, info), held+info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if held <= s.most {
			return
		}
		_ = os.Remove(filepath.Join(s.dir, f.Name()))
		held -= f.Size()
	}
}
