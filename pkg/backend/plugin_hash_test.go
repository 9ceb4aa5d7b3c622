package backend

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPluginSHA256(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plugin.so")
	if err := os.WriteFile(path, []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	// FIPS 180-2, appendix B.1.
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	for config, want := range map[string]string{"xla:" + path: abc, "xla:" + path + ",option": abc, "xla:cpu": "", pureGo: "", "": ""} {
		if got, err := (Choice{Config: config}).PluginSHA256(); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", config, got, err, want)
		}
	}
	if _, err := (Choice{Config: "xla:" + path + ".gone"}).PluginSHA256(); err == nil {
		t.Error("a plugin that is not there has a hash")
	}
}

// A plugin of which one bit has changed is refused before it is loaded, in a line that names the command, and nothing takes
// its place; once it is sound again it passes.
func TestDamagedPlugin(t *testing.T) {
	t.Setenv(CacheEnv, t.TempDir())
	real := CPU
	t.Cleanup(func() { CPU = real })
	CPU = Plugin{Name: "xla-test", Title: "XLA CPU plugin, 3 B", File: "plugin.so", Setup: "go run . setup", System: system(),
		SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"} // of "abc"
	dir, err := CPU.Dir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(dir, CPU.File)
	for file, text := range map[string]string{library: "abb", filepath.Join(dir, StampName): ""} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []string{"", "xla", "xla:" + library} {
		p := probes{user: user, xla: true, cpu: CPU.Path, cuda: CUDAPluginPath, newBackend: newBackend}
		_, choice, err := p.open()
		if err == nil || !strings.Contains(err.Error(), "is damaged") || !strings.Contains(err.Error(), "run: go run . setup") || strings.Contains(err.Error(), "\n") {
			t.Errorf("GOMLX_BACKEND=%q opens %q, %v; want one line that names the command", user, choice.Config, err)
		}
	}
	if err := os.WriteFile(library, []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := CPU.Verify(library); err != nil {
		t.Error(err)
	}
}

// What is pinned is what setup installs.
func TestPinnedLibrary(t *testing.T) {
	path, err := CPU.Path()
	if err != nil {
		t.Skip(err)
	}
	if err := CPU.Verify(path); err != nil {
		t.Error(err)
	}
}
