package host

import (
	"os"
	"path/filepath"
	"testing"
)

// What is free is what the machine has left, or less where a container's limit leaves less: files in memory give way.
func TestFreeMemory(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"nothing is known", nil, 0},
		{"no container", map[string]string{"meminfo": "MemTotal:  9 kB\nMemAvailable:     3 kB\n"}, 3072},
		{"a container without a limit", map[string]string{"meminfo": "MemAvailable: 3 kB\n", "memory.max": "max\n", "memory.current": "7\n"}, 3072},
		{"a container", map[string]string{"meminfo": "MemAvailable: 3 kB\n", "memory.max": "1000\n", "memory.current": "900\n",
			"memory.stat": "anon 5\ninactive_file 300\n"}, 400},
		{"a container that is full", map[string]string{"memory.max": "1000\n", "memory.current": "1000\n"}, 1},
	} {
		dir := t.TempDir()
		for name, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := freeMemory(filepath.Join(dir, "meminfo"), dir); got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
	}
}

// Only the checkout of this program says what it was built from.
func TestOwnSource(t *testing.T) {
	if !ownSource("../..") || ownSource(t.TempDir()) || ownSource(".") {
		t.Error("its own source is not known from other folders")
	}
}
