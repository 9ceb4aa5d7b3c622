//go:build unix

package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Nothing that is no regular file is replaced by one.
func TestWriteRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	made := func(name string, err error) string {
		if err != nil {
			t.Skipf("%s: %v", name, err)
		}
		return filepath.Join(dir, name)
	}
	paths := map[string]string{
		made("pipe", syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644)):    " is a pipe; ",
		made("folder", os.Mkdir(filepath.Join(dir, "folder"), 0o755)):      " is a folder; ",
		made("to-pipe", os.Symlink("pipe", filepath.Join(dir, "to-pipe"))): " leads to a pipe; ",
		made("to-dir", os.Symlink("folder", filepath.Join(dir, "to-dir"))): " leads to a folder; ",
		made("circle", os.Symlink("circle", filepath.Join(dir, "circle"))): " is a link that leads back to itself; ",
		filepath.Join(dir, "no", "folder"):                                 "there is no folder " + filepath.Join(dir, "no") + "; ",
	}
	if device := filepath.Join(dir, "device"); syscall.Mknod(device, syscall.S_IFCHR|0o644, 1<<8|7) == nil { // root alone may
		paths[device] = " is a device; "
	}
	for path, want := range paths {
		before, _ := os.Lstat(path)
		for _, err := range []error{Check(path), Write(path, []byte("new"))} {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s gives %v, want one line with it and %q", path, err, want)
			}
		}
		after, _ := os.Lstat(path)
		if before != nil && (after == nil || after.Mode() != before.Mode()) {
			t.Errorf("%s was %v and is %v", path, before.Mode(), after)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp")); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

// A link stays and what it points to is written, there before or not.
func TestWriteFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "real", "inside")
	if err := os.MkdirAll(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"near": "real/a", "far": filepath.Join(dir, "real", "b"), "twice": "near", "real/inside/up": "../c", "entry": "real/inside"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	for _, c := range []struct{ path, target string }{{"near", "real/a"}, {"far", "real/b"}, {"twice", "real/a"}, {"entry/up", "real/c"}} {
		for _, text := range []string{"first " + c.path, "second " + c.path} {
			path := filepath.Join(dir, c.path)
			if err := Write(path, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(filepath.Join(dir, c.target)); err != nil || string(data) != text {
				t.Errorf("%s holds %q (%v), want %q", c.target, data, err, text)
			}
			if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSymlink == 0 {
				t.Errorf("%s is no link any more", c.path)
			}
		}
	}
}

func TestWriteKeepsTheMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := Write(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o644, 0o600, 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		owner := -1
		if os.Geteuid() == 0 {
			owner = 1234
			if err := os.Chown(path, owner, owner); err != nil {
				t.Skip(err)
			}
		}
		if err := Write(path, []byte("newer")); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != mode {
			t.Errorf("mode %v is %v now (%v)", mode, info.Mode(), err)
		}
		if s := info.Sys().(*syscall.Stat_t); owner >= 0 && (int(s.Uid) != owner || int(s.Gid) != owner) {
			t.Errorf("owner %d is %d:%d now", owner, s.Uid, s.Gid)
		}
	}
}

// Another name of the same file keeps the old content.
func TestWriteLeavesHardLinks(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := Write(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, other); err != nil {
		t.Skip(err)
	}
	if err := Write(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{path: "new", other: "old"} {
		if data, err := os.ReadFile(name); err != nil || string(data) != want {
			t.Errorf("%s holds %q (%v), want %q", name, data, err, want)
		}
	}
}
