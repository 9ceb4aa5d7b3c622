//go:build cgo && linux && amd64

package executables

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newStore(t *testing.T, most int64) store {
	t.Helper()
	s, err := openStore(filepath.Join(t.TempDir(), "cache", "executables"), most)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is not what was written, or was written under another key, is nothing, and can be written anew.
func TestStoreTakesNothingDamaged(t *testing.T) {
	s := newStore(t, Most)
	key, other, data := digest([]byte("a")), digest([]byte("b")), bytes.Repeat([]byte("code"), 1000)
	if s.get(key) != nil {
		t.Error("an empty store has something")
	}
	s.put(key, data)
	whole, err := os.ReadFile(s.path(key))
	if err != nil || !bytes.Equal(s.get(key), data) {
		t.Fatalf("what was put is not there: %v", err)
	}
	for name, file := range map[string][]byte{
		"empty": {}, "a sum": whole[:32], "cut": whole[:len(whole)-1], "longer": append(bytes.Clone(whole), 0), "no sum": data,
		"first bit": append([]byte{whole[0] ^ 1}, whole[1:]...), "last bit": append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1),
		"zeros": make([]byte, len(whole)),
	} {
		if err := os.WriteFile(s.path(key), file, 0o600); err != nil {
			t.Fatal(err)
		}
		if s.get(key) != nil {
			t.Errorf("%s: it was taken", name)
		}
		s.put(key, data)
		if !bytes.Equal(s.get(key), data) {
			t.Errorf("%s: it was not replaced", name)
		}
	}
	if err := os.Rename(s.path(key), s.path(other)); err != nil {
		t.Fatal(err)
	}
	if s.get(other) != nil {
		t.Error("another key's file was taken")
	}
	if err := os.Mkdir(s.path(key), 0o700); err != nil {
		t.Fatal(err)
	}
	s.put(key, data) // cannot
	if s.get(key) != nil {
		t.Error("a folder was taken for a file")
	}
	if files, size, err := Held(s.dir); err != nil || files != 2 || size < int64(len(whole)) {
		t.Errorf("%d files of %d bytes (%v); want the other key's and the folder", files, size, err)
	}
}

// The store keeps below its bound what was used last, and forgets the half-written file of a process that was killed.
func TestStoreForgetsTheOldest(t *testing.T) {
	s := newStore(t, 1000)
	keys := [][]byte{digest([]byte("0")), digest([]byte("1")), digest([]byte("2")), digest([]byte("3"))}
	half := filepath.Join(s.dir, ".half.1.tmp")
	if err := os.WriteFile(half, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(half, past, past); err != nil {
		t.Fatal(err)
	}
	for i, key := range keys[:3] {
		s.put(key, make([]byte, 300-32)) // with the sum 300 bytes
		past = past.Add(time.Minute)
		if err := os.Chtimes(s.path(key), past, past); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	s.get(keys[0]) // so that the second was not used for longest
	s.put(keys[3], make([]byte, 300-32))
	for i, want := range []bool{true, false, true, true} {
		if got := s.get(keys[i]) != nil; got != want {
			t.Errorf("executable %d is there: %v, want %v", i, got, want)
		}
	}
	if _, err := os.Stat(half); err == nil {
		t.Error("the half-written file is there")
	}
	s.put(keys[1], make([]byte, 1000)) // more than all
	if s.get(keys[1]) != nil || s.get(keys[3]) == nil {
		t.Error("what is larger than the bound was kept, or took the place of others")
	}
}

// A folder in which others could have put something is refused; one that cannot be written is only empty.
func TestStoreFolder(t *testing.T) {
	dir := t.TempDir()
	for _, mode := range []os.FileMode{0o755, 0o770, 0o707} {
		open := filepath.Join(dir, mode.String())
		if err := os.Mkdir(open, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(open, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := openStore(open, Most); err == nil || !strings.Contains(err.Error(), open) || strings.Contains(err.Error(), "\n") {
			t.Errorf("mode %v: %v; want a line that names the folder", mode, err)
		}
	}
	s := newStore(t, Most)
	link, file := filepath.Join(dir, "link"), filepath.Join(dir, "file")
	if err := os.Symlink(s.dir, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, file, filepath.Join(file, "below")} {
		if _, err := openStore(path, Most); err == nil {
			t.Errorf("%s was taken for a folder", path)
		}
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	s.put(digest(), []byte("code"))
	if files, _, err := Held(s.dir); err != nil || files != 0 || s.get(digest()) != nil {
		t.Errorf("a folder that is gone holds %d files, %v", files, err)
	}
}

func TestDir(t *testing.T) {
	for value, want := range map[string]string{"": "/cache/executables", "/other/folder": "/other/folder", "off": ""} {
		t.Setenv(Env, value)
		if got, err := Dir("/cache"); got != want || (err == nil) != (want != "") {
			t.Errorf("%s=%s: %q, %v; want %q", Env, value, got, err, want)
		}
	}
}

// Flags may ask XLA for files that only compilation writes.
func TestFlagsSwitchItOff(t *testing.T) {
	for _, name := range []string{"XLA_FLAGS", "XLA_DEBUG_OPTIONS"} {
		t.Setenv(name, "--xla_dump_to=/tmp")
		if _, err := Load("", t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s set: %v", name, err)
		}
		t.Setenv(name, "")
	}
}
