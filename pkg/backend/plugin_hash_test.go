package backend

import (
	"os"
	"path/filepath"
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
