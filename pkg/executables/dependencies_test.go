//go:build cgo && linux && amd64

package executables

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Programs for the processor are known by the plugin's file, those of another device by what that is said to be, wherever its plugin lies.
func TestDependencies(t *testing.T) {
	plugin := filepath.Join(t.TempDir(), "plugin.so")
	if err := os.WriteFile(plugin, []byte("plugin"), 0o644); err != nil {
		t.Fatal(err)
	}
	of := func(path, device string) []byte {
		t.Helper()
		d, err := dependencies(path, []byte(device))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	host, card := of(plugin, ""), of(plugin, "a card")
	if !bytes.Equal(of(plugin, ""), host) || bytes.Equal(host, card) || bytes.Equal(of(plugin, "another card"), card) {
		t.Error("what programs depend on is not told apart")
	}
	if !bytes.Equal(of("/elsewhere/plugin.so", "a card"), card) {
		t.Error("programs of a card depend on where its plugin lies")
	}
	if err := os.WriteFile(plugin, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(of(plugin, ""), host) {
		t.Error("programs of another plugin for the processor are taken for this one's")
	}
	if _, err := dependencies("/elsewhere/plugin.so", nil); err == nil {
		t.Error("a plugin that is not there has programs")
	}
}
