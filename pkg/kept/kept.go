// Package kept keeps in a folder what took long to compute, so that the next process finds it there.
//
// One file a result, named by its key, which must tell apart all that the result depends on: see [Digest]. A file that is
// damaged, cut short or another's is as good as none. Whatever fails, a full disk or a folder that cannot be written, only
// means that there is nothing to find. Any number of processes may use a folder at once; each file is written under another
// name, then renamed. It may be removed at any time.
package kept

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"palimpsest/pkg/atomicfile"

	"github.com/pkg/errors"
)

// Store is a folder of results.
type Store struct {
	Dir  string // must be there for anything to be kept
	Most int64  // bytes that it holds; what was not used for longest goes first
}

// Digest is the SHA-256 of parts, each preceded by its length: a key, made of all that a result depends on.
func Digest(parts ...[]byte) []byte {
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return h.Sum(nil)
}

// Path is the file of what is kept under a key.
func (s Store) Path(key []byte) string { return filepath.Join(s.Dir, hex.EncodeToString(key)) }

// Get returns what was kept under a key, nil where that is nothing or not what was written.
func (s Store) Get(key []byte) []byte {
	file, err := atomicfile.Read(s.Path(key), s.Most)
	if err != nil || len(file) <= sha256.Size {
		return nil
	}
	sum, data := file[:sha256.Size], file[sha256.Size:]
	if !bytes.Equal(sum, Digest(key, data)) {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(s.Path(key), now, now) // that it was used; what cannot be said is not known
	return data
}

// Put keeps data under a key, and removes what was not used for longest where the folder would hold too much. Nothing
// says whether it could: then there is nothing to get.
func (s Store) Put(key, data []byte) {
	if int64(len(data))+sha256.Size > s.Most {
		return
	}
	if err := atomicfile.Write(s.Path(key), slices.Concat(Digest(key, data), data)); err == nil {
		s.prune()
	}
}

func (s Store) prune() {
	files, err := s.files()
	if err != nil {
		return
	}
	held := bytesOf(files)
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if held <= s.Most {
			return
		}
		_ = os.Remove(filepath.Join(s.Dir, f.Name()))
		held -= f.Size()
	}
}

// Held counts the files in the folder and their bytes; a folder that is not there has none.
func (s Store) Held() (files int, bytes int64, err error) {
	all, err := s.files()
	return len(all), bytesOf(all), err
}

// files lists what is in the folder; nothing where it is not there.
func (s Store) files() ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.WithStack(err)
	}
	var files []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else another process has removed it
			files = append(files, info)
		}
	}
	return files, nil
}

func bytesOf(files []fs.FileInfo) (bytes int64) {
	for _, f := range files {
		bytes += f.Size()
	}
	return bytes
}
