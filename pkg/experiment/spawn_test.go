package experiment

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The memory free to new runs is the machine's, or what a container's limit leaves where that is less.
func TestFreeMemoryCountsTheContainersLimit(t *testing.T) {
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	meminfo := write("meminfo", "MemTotal: 900000 kB\nMemAvailable:  1024 kB\n")
	for _, tc := range []struct {
		limit, used, stat string
		want              int64
	}{
		{"max", "700", "", 1 << 20},
		{"1000", "400", "", 600},
		{"1000", "900", "anon 100\ninactive_file 300\n", 400}, // files that only lie in memory give way
		{"1000", "1000", "", 1},                               // nothing is left: not 0, which says that nobody knows
		{"9000000000", "1000000", "", 1 << 20},                // the machine has less
	} {
		group := filepath.Dir(write("memory.max", tc.limit+"\n"))
		for name, text := range map[string]string{"memory.current": tc.used + "\n", "memory.stat": tc.stat} {
			if err := os.WriteFile(filepath.Join(group, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := freeMemory(meminfo, group); got != tc.want {
			t.Errorf("limit %s, used %s: %d bytes free, want %d", tc.limit, tc.used, got, tc.want)
		}
	}
	if got := freeMemory(meminfo, t.TempDir()); got != 1<<20 {
		t.Errorf("without a control group %d bytes are free, want %d", got, 1<<20)
	}
}

// Where a quota allows fewer cores than the machine has, workers share the quota: as many as it has at most, and each
// is told its part.
func TestWorkersShareTheQuota(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if n := AutoWorkers(false, 8); n != 1 {
		t.Errorf("%d workers under a quota of one core, want 1", n)
	}
	if runtime.GOOS != "linux" || runtime.NumCPU() < 2 {
		t.Skip("cores are shared out on Linux, and this machine needs two")
	}
	program := filepath.Join(t.TempDir(), "worker")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$GOMAXPROCS\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := Processes(2, program)(t.Context(), "", 1, io.Writer(&out)); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out.String()); got != fmt.Sprint(1) {
		t.Errorf("a worker under a quota of one core has GOMAXPROCS=%q, want 1", got)
	}
}
