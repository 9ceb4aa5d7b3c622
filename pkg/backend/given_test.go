package backend

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// elfLibrary writes the header of a shared library for a machine (ELF-64, little-endian, nothing in it).
func elfLibrary(t *testing.T, kind, machine uint16) string {
	t.Helper()
	h := make([]byte, 64)
	copy(h, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(h[16:], kind)
	binary.LittleEndian.PutUint16(h[18:], machine)
	binary.LittleEndian.PutUint32(h[20:], 1)
	binary.LittleEndian.PutUint16(h[52:], 64)
	file := filepath.Join(t.TempDir(), "plugin.so")
	if err := os.WriteFile(file, h, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// On a system without a pinned plugin the file a user gives is taken where it is a library for the system, and found again.
func TestGivePlugin(t *testing.T) {
	t.Setenv(CacheEnv, t.TempDir())
	const dynamic, executable, amd64, arm64 = 3, 2, 62, 183 // of the ELF specification
	good := elfLibrary(t, dynamic, arm64)
	if _, err := givenPath("linux/arm64"); err == nil || !strings.Contains(err.Error(), "setup --plugin FILE") || !strings.Contains(err.Error(), NotTried) {
		t.Errorf("without a plugin: %v; want the command, and that it is not tried", err)
	}
	for file, want := range map[string]string{
		elfLibrary(t, dynamic, amd64):        "EM_X86_64",
		elfLibrary(t, executable, arm64):     "ET_EXEC",
		filepath.Join(t.TempDir(), "nosuch"): "no such file",
	} {
		if _, err := givePlugin(file, "linux/arm64"); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s gives %v; want one line with %s", file, err, want)
		}
	}
	if _, err := givePlugin(good, "darwin/arm64"); err == nil {
		t.Error("a library for Linux is taken on darwin")
	}
	if _, err := givePlugin(good, "windows/amd64"); err == nil {
		t.Error("a plugin is taken on Windows")
	}
	path, err := givePlugin(good, "linux/arm64")
	if err != nil {
		t.Fatal(err)
	}
	if found, err := givenPath("linux/arm64"); err != nil || found != path {
		t.Errorf("the plugin at %s is found at %q (%v)", path, found, err)
	}
	// What was taken is what is opened, or nothing.
	real := system
	t.Cleanup(func() { system = real })
	system = func() string { return "linux/arm64" }
	if err := verify(path); err != nil {
		t.Error(err)
	}
	for want, damage := range map[string]func() error{
		"is damaged":                           func() error { pluginHashes.Delete(path); return os.WriteFile(path, []byte("another"), 0o644) },
		"nothing says what the XLA CPU plugin": func() error { return os.Remove(path + sumEnding) },
	} {
		if _, err := givePlugin(good, "linux/arm64"); err != nil {
			t.Fatal(err)
		}
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if err := verify(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "setup --plugin") {
			t.Errorf("%v; want %q and how to mend it", err, want)
		}
	}
}

// The plugins for other GPUs are found where they are installed, on the systems that they are built for and on no other, and
// opened where GOMLX_BACKEND asks for them.
func TestGPUPlugins(t *testing.T) {
	t.Setenv(CacheEnv, t.TempDir())
	real := system
	t.Cleanup(func() { system = real })
	for name, on := range map[string]string{"rocm": "linux/amd64", "oneapi": "linux/amd64", "metal": "darwin/arm64"} {
		for _, other := range []string{"linux/arm64", "windows/amd64", "darwin/amd64"} {
			system = func() string { return other }
			if _, err := GPUPlugin(name); err == nil || !strings.Contains(err.Error(), on) || !strings.Contains(err.Error(), other) {
				t.Errorf("%s on %s: %v; want a refusal that names both systems", name, other, err)
			}
		}
		system = func() string { return on }
		plugin, err := GPUPlugin(name)
		if err != nil {
			t.Fatal(err)
		}
		p, opened := fake("xla:"+name, 0, true, false, "")
		if _, _, err := p.open(); err == nil || !strings.Contains(err.Error(), plugin.Setup) {
			t.Errorf("%s, not installed: %v; want the command that installs it", name, err)
		}
		dir, err := plugin.Dir()
		if err != nil {
			t.Fatal(err)
		}
		library := filepath.Join(dir, plugin.File)
		if err := os.MkdirAll(filepath.Dir(library), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{library, filepath.Join(dir, StampName)} {
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		*opened = nil
		if _, c, err := p.open(); err != nil || c.Config != "xla:"+library || len(*opened) != 1 {
			t.Errorf("%s, installed: %+v, %v, tried %v; want %s", name, c, err, *opened, library)
		}
	}
	if _, err := GPUPlugin("nosuch"); err == nil || !strings.Contains(err.Error(), "metal, oneapi, rocm") {
		t.Errorf("an unknown name: %v; want those there are", err)
	}
}

// Commands say before they compute that pure Go will do it, and nothing where XLA will.
func TestPureGoNote(t *testing.T) {
	for _, tc := range []struct {
		name, user string
		devices    int
		cpu, cuda  bool
		built      bool
		want       string
	}{
		{"XLA", "", 0, true, false, true, ""},
		{"GPU", "", 1, false, true, true, ""},
		{"asked for", "go", 0, true, false, true, "GOMLX_BACKEND=go"},
		{"another", "xla:/mine.so", 0, false, false, true, ""},
		{"no plugin", "", 0, false, false, true, "not installed"},
		{"not built", "", 0, true, false, false, "no XLA"},
	} {
		p, _ := fake(tc.user, tc.devices, tc.cpu, tc.cuda)
		p.xla = tc.built
		note := p.pureGoNote()
		if (note == "") != (tc.want == "") || !strings.Contains(note, tc.want) || strings.Contains(note, "\n") {
			t.Errorf("%s: the note is %q; want %q in it", tc.name, note, tc.want)
		}
	}
}
