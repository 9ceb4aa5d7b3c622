package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestWriteReplacesWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for _, text := range []string{"old and long", "new"} {
		if err := Write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != text {
			t.Errorf("the file holds %q (%v), want %q", data, err, text)
		}
	}
}

// An error names the file that was asked for and never the temporary one; what it is of stays known.
func TestErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.png")
	full := func(w io.Writer) error {
		return &os.PathError{Op: "write", Path: w.(*os.File).Name(), Err: syscall.ENOSPC}
	}
	err := WriteFrom(path, full)
	if err == nil || err.Error() != "writing "+path+": "+syscall.ENOSPC.Error() || !DiskFull(err) {
		t.Errorf("a full disk gives %v, and %t that it is full", err, DiskFull(err))
	}
	gone := func(io.Writer) error { return os.RemoveAll(dir) }
	if err := WriteFrom(path, gone); err == nil || strings.Contains(err.Error(), ".tmp") || DiskFull(err) {
		t.Errorf("a folder that is gone gives %v", err)
	}
	const unwritable = "/proc/s.png" // nobody makes files there
	if _, err := os.Stat("/proc/self"); err == nil {
		if err := Write(unwritable, nil); err == nil || !strings.HasPrefix(err.Error(), "writing "+unwritable+": ") || strings.Contains(err.Error(), ".tmp") {
			t.Errorf("%s gives %v", unwritable, err)
		}
	}
}

// What fails half-way, or at the last step, leaves the old file and nothing else.
func TestFailureLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := Write(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := WriteFrom(path, func(w io.Writer) error {
		if _, err := w.Write([]byte("half")); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the writer's own error", err)
	}
	folder := filepath.Join(dir, "folder", "inside")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Dir(folder), []byte("x")); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if data, _ := os.ReadFile(path); string(data) != "old" {
		t.Errorf("the file holds %q, want the old content", data)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("temporary files are left: %v", entries)
	}
}

// A folder is there whole or not at all, one that is removed leaves nothing, and a folder's own name is no pattern.
func TestFolders(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "a[b]*?")
	if err := os.Mkdir(parent, 0o755); err != nil {
		t.Skip(err) // a system that has no such names
	}
	final := filepath.Join(parent, "final")
	failed := errors.New("no")
	if err := WriteFolder(final, func(string) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("a failure gives %v", err)
	}
	left := filepath.Join(parent, Unfinished+"removed-final")
	if err := os.MkdirAll(filepath.Join(left, "sub"), 0o755); err != nil { // by a process that was killed
		t.Fatal(err)
	}
	if err := WriteFolder(final, func(temporary string) error { return Write(filepath.Join(temporary, "x.txt"), []byte("x")) }); err != nil {
		t.Fatal(err)
	}
	if found, err := Glob(parent, "final/*.txt"); err != nil || len(found) != 1 || found[0] != filepath.Join(final, "x.txt") {
		t.Errorf("found %q (%v)", found, err)
	}
	if err := RemoveFolder(final); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) > 0 {
		t.Errorf("%v (%v) are left", entries, err)
	}
}

// What a killed process left is removed by who next writes the same file or folder, what one is at is not, nor what is like it only.
func TestLeftIsRemoved(t *testing.T) {
	dir := t.TempDir()
	for _, left := range []string{".a.txt.12.tmp", Unfinished + "folder-34/half.bin"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, left)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, left), []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stay := []string{".b.a.txt.12.tmp", ".a.txt.x.tmp", ".a.txt..tmp", "a.txt.12.tmp", ".a.txt.12.tmp2"}
	for _, name := range stay {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if runtime.GOOS == "windows" {
		t.Skip("no locks tell what is left")
	}
	// One writes while another one does: both have their temporary files to the end.
	err := WriteFrom(filepath.Join(dir, "a.txt"), func(w io.Writer) error {
		if err := Write(filepath.Join(dir, "a.txt"), []byte("second")); err != nil {
			return err
		}
		_, err := io.WriteString(w, "first")
		return err
	})
	if text, readErr := os.ReadFile(filepath.Join(dir, "a.txt")); err != nil || readErr != nil || string(text) != "first" {
		t.Errorf("%q, %v, %v", text, err, readErr)
	}
	err = WriteFolder(filepath.Join(dir, "folder"), func(temporary string) error {
		_ = WriteFolder(filepath.Join(dir, "folder"), func(string) error { return errors.New("no") })
		return Write(filepath.Join(temporary, "x"), nil)
	})
	if err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := append(slices.Clone(stay), "a.txt", "folder")
	slices.Sort(want)
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("%q are there, %v; want %q", names, err, want)
	}
}

// A folder that is replaced is there at every moment, and only the new one at the end; one that was not there is made.
func TestReplaceFolder(t *testing.T) {
	dir := t.TempDir()
	final := filepath.Join(dir, "final")
	if err := RewriteFolder(final, func(temporary string) error { return Write(filepath.Join(temporary, "old"), nil) }); err != nil {
		t.Fatal(err)
	}
	probe := filepath.Join(dir, "probe")
	if err := os.Mkdir(probe, 0o755); err != nil {
		t.Fatal(err)
	}
	canExchange := exchange(probe, final) == nil
	if canExchange {
		if err := exchange(probe, final); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(probe); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan bool), make(chan int)
	go func() {
		gone := 0
		for {
			select {
			case <-stop:
				done <- gone
				return
			default:
				if _, err := os.Stat(final); err != nil {
					gone++
				}
			}
		}
	}()
	for i := range 50 {
		name := fmt.Sprint("new", i)
		if err := RewriteFolder(final, func(temporary string) error { return Write(filepath.Join(temporary, name), nil) }); err != nil {
			t.Fatal(err)
		}
		if entries, err := os.ReadDir(final); err != nil || len(entries) != 1 || entries[0].Name() != name {
			t.Fatalf("%v, %v; want %s alone", entries, err, name)
		}
	}
	close(stop)
	if gone := <-done; gone > 0 && canExchange {
		t.Errorf("the folder was not there %d times", gone)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v are left, %v", entries, err)
	}
}
