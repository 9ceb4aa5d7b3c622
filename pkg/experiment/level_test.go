//go:build cgo && linux && (amd64 || arm64)

package experiment

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/go-xla/pjrt"

	"palimpsest/pkg/cl"
)

// fullRun is a short run that opens all that a run can: a strategy's own graphs, the extractor, likelihoods, a probe and an
// autopsy.
func fullRun(t testing.TB) {
	c, all := briefConfig(1), smallConfig()
	c.Strategy = cl.Spec{Name: "mir+gr", Settings: map[string]any{"buffer": 12, "candidates": 4, "pool": 6, "sampler_steps": 1}}
	c.Probe, c.BPD, c.Autopsy = all.Probe, BPDConfig{Images: all.BPD.Images, Terms: all.BPD.Terms}, all.Autopsy
	dir := t.TempDir()
	r, err := Run(t.Context(), c, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Cost.ExtraEvaluations == 0 {
		t.Fatal("the strategy has evaluated nothing, so it has opened nothing")
	}
	log, err := os.ReadFile(filepath.Join(dir, "log.txt"))
	if err != nil || !strings.Contains(string(log), "warning: gr: sampler_steps is 1") || !strings.Contains(string(log), "gr replayed 6 generated images in task 2; of 6 looked at") {
		t.Errorf("the log lacks the warning of one step, or what was generated (%v):\n%s", err, log)
	}
	if g := r.Generated; len(g) != 1 || g[0].Method != "gr" || g[0].Task != 1 || g[0].Asked[7] != 3 || g[0].Asked[9] != 3 || len(g[0].Judged) != 10 {
		t.Errorf("the result says that %+v was generated; want three images of class 7 and three of 9", g)
	}
}

// TestRunClosesWhatItOpens: when a run ends no compiled graph is left, at once, and no buffer once Go has collected its own. What
// is not counted here shows in BenchmarkRuns.
func TestRunClosesWhatItOpens(t *testing.T) {
	resident() // collects what other tests have left
	graphs, buffers := pjrt.LoadedExecutablesAlive(), pjrt.BuffersAlive()
	fullRun(t)
	if n := pjrt.LoadedExecutablesAlive(); n > graphs {
		t.Errorf("the run leaves %d compiled graphs open", n-graphs)
	}
	resident()
	if n := pjrt.BuffersAlive(); n > buffers {
		t.Errorf("the run leaves %d buffers", n-buffers)
	}
}

// BenchmarkRuns makes runs one after another in this process, and reports the resident memory after the fifth and after the last:
//
//	go test ./pkg/experiment -run '^$' -bench Runs -benchtime 100x -timeout 2h
//
// The C library keeps the memory of each thread apart and gives little of it back, so the first few runs raise it.
func BenchmarkRuns(b *testing.B) {
	i := 0
	for b.Loop() {
		if _, err := Run(b.Context(), briefConfig(i), filepath.Join(b.TempDir(), strconv.Itoa(i)), Options{}); err != nil {
			b.Fatal(err)
		}
		if i++; i == 5 {
			b.ReportMetric(float64(resident())/(1<<20), "MiB-after-5")
		}
		if i%10 == 0 || i < 5 {
			b.Logf("%d MiB after %d runs", resident()>>20, i)
		}
	}
	b.ReportMetric(float64(resident())/(1<<20), "MiB-at-the-end")
}

// resident is the process's resident memory once Go has given back what it can; 0 where the system does not tell.
func resident() int64 {
	for range 3 { // finalizers, then what they let go
		runtime.GC()
	}
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
