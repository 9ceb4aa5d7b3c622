//go:build cgo && linux && amd64

package executables

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/kept"
)

func newStore(t *testing.T, most int64) kept.Store {
	t.Helper()
	s, err := openStore(filepath.Join(t.TempDir(), "cache", "executables"), most)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A folder in which others could have put something is refused; one that cannot be written is only empty.
func TestStoreFolder(t *testing.T) {
	dir := t.TempDir()
	for _, mode := range []os.FileMode{0o775, 0o770, 0o707} {
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
	looked := filepath.Join(dir, "looked at")
	if err := os.Mkdir(looked, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(looked, Most); err != nil {
		t.Errorf("a folder that others may only look at: %v", err)
	}
	if info, err := os.Stat(looked); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("it is %v now (%v); want it closed to others", info.Mode(), err)
	}
	s := newStore(t, Most)
	link, above, file, dead, open := filepath.Join(dir, "link"), filepath.Join(dir, "above"), filepath.Join(dir, "file"), filepath.Join(dir, "dead"), filepath.Join(dir, "open")
	for at, to := range map[string]string{link: s.Dir, above: filepath.Dir(s.Dir), dead: filepath.Join(dir, "nothing"), open: filepath.Join(dir, os.FileMode(0o775).String())} {
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
	}
	s.Put(kept.Digest(), []byte("code"))
	for _, path := range []string{link, filepath.Join(above, "executables")} {
		if linked, err := openStore(path, Most); err != nil || string(linked.Get(kept.Digest())) != "code" {
			t.Errorf("%s, a way by a link: %v", path, err)
		}
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dead, open, file, filepath.Join(file, "below")} {
		if _, err := openStore(path, Most); err == nil {
			t.Errorf("%s was taken for a folder", path)
		}
	}
	if err := os.RemoveAll(s.Dir); err != nil {
		t.Fatal(err)
	}
	s.Put(kept.Digest(), []byte("code"))
	if files, _, err := s.Held(); err != nil || files != 0 || s.Get(kept.Digest()) != nil {
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
		if _, err := Load("", t.TempDir(), "", nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s set: %v", name, err)
		}
		t.Setenv(name, "")
	}
}
