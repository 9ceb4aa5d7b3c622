//go:build unix

package notebook

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/experiment"
)

// asCell names the environment variable by which this test binary is a cell's program: one that trains without end in the
// folder that it names.
const asCell = "PALIMPSEST_TEST_CELL"

func TestMain(m *testing.M) {
	if root := os.Getenv(asCell); root != "" {
		c := experiment.DefaultConfig()
		c.Benchmark.ClassOrder, c.Benchmark.Classes, c.Benchmark.ClassesPerTask = "given", []int{0, 1}, 1
		c.Network.Base, c.Network.Mults = 8, []int{1}
		c.Diffusion.T = 10
		c.Loop.StepsPerTask, c.Loop.FreshRows, c.Loop.ReplayRows = 1_000_000, 1, 0
		c.Strategy.Name = "finetune"
		c.CheckpointEvery = 0
		Get(Run(c, root))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A cell that trains and is asked to end, or whose kernel dies, saves a checkpoint, says how to go on and ends.
func TestTrainingEndsWithItsKernel(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		signal syscall.Signal // to the cell; 0: its parent is killed, and with it who reads what it writes
	}{{"interrupt", syscall.SIGINT}, {"terminate", syscall.SIGTERM}, {"hangup", syscall.SIGHUP}, {"kernel killed", 0}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			kernel := exec.Command("sh", "-c", `"$0" & echo $!; wait`, program)
			kernel.Env = append(os.Environ(), asCell+"="+root, "GOMLX_BACKEND=go")
			var said bytes.Buffer
			kernel.Stderr = &said
			kernel.WaitDelay = time.Second
			out, err := kernel.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := kernel.Start(); err != nil {
				t.Fatal(err)
			}
			var cell int
			if _, err := fmt.Fscan(out, &cell); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = syscall.Kill(cell, syscall.SIGKILL)
				_ = kernel.Process.Kill()
				_ = kernel.Wait()
			})
			log := func() string {
				files, _ := filepath.Glob(filepath.Join(root, "*", "log.txt"))
				if len(files) == 0 {
					return ""
				}
				text, _ := os.ReadFile(files[0])
				return string(text)
			}
			waitUntil(t, "it trains", func() bool { return strings.Contains(log(), "steps of 1+0 rows") })
			time.Sleep(500 * time.Millisecond)
			if tc.signal == 0 {
				out.Close()
				err = kernel.Process.Kill()
			} else {
				err = syscall.Kill(cell, tc.signal)
			}
			if err != nil {
				t.Fatal(err)
			}
			waitUntil(t, "its process has ended", func() bool { return syscall.Kill(cell, 0) != nil || zombie(cell) })
			if !strings.Contains(log(), "stopped after step") {
				t.Errorf("the log ends with %q", log())
			}
			if kept, _ := filepath.Glob(filepath.Join(root, "*", "checkpoints", "phase*", "state.json")); len(kept) == 0 {
				t.Error("no checkpoint is kept")
			}
			if tc.signal != 0 {
				_ = kernel.Wait()
				if !strings.Contains(said.String(), "run the cell again to go on") || strings.Count(said.String(), "\n") != 1 {
					t.Errorf("it says %q, want one line that says how to go on", said.String())
				}
			}
		})
	}
}

// zombie says whether a process has ended and nobody has waited for it: one that lost its parent, where the first process waits for none.
func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(text), ") Z ")
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for since := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(since) > 3*time.Minute {
			t.Fatalf("never so: %s", what)
		}
	}
}

// An error is one line, and names the place in the cell.
func TestTell(t *testing.T) {
	var stack [8]uintptr
	n := runtime.Callers(1, stack[:])
	_, file, _, _ := runtime.Caller(0)
	var said bytes.Buffer
	tell(&said, "no strategy \"foo\"", stack[:n], filepath.Dir(file))
	if got := said.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, file+":") || !strings.HasSuffix(got, ": no strategy \"foo\"\n") {
		t.Errorf("in a cell it says %q", got)
	}
	said.Reset()
	tell(&said, "no", stack[:n], "")
	if got := said.String(); got != "error: no\n" {
		t.Errorf("elsewhere it says %q", got)
	}
	said.Reset()
	tell(&said, "no", nil, "/tmp/gonb")
	if got := said.String(); got != "/tmp/gonb/main.go:0: no\n" {
		t.Errorf("without a line of the cell it says %q", got)
	}
	for want, stopped := range map[string]*Stopped{
		"stopped at step 3 of 9; run the cell again to go on":                                             {Step: 3, Steps: 9, From: 3, err: errors.New("x")},
		"stopped at step 3 of 9; run the cell again to go on from step 2, where the newest checkpoint is": {Step: 3, Steps: 9, From: 2},
		"stopped before the first step; run the cell again to start it":                                   {},
	} {
		if got := stopped.Error(); got != want {
			t.Errorf("stopped: %q; want %q", got, want)
		}
	}
	if got := namedSamples("runs/er/samples/after_task_0.png", 1); got != "after task 1" {
		t.Errorf("the first samples are named %q", got)
	}
	if got := namedSamples("runs/er/samples/after_task_0.png", 2); !strings.Contains(got, "black are classes still to come") {
		t.Errorf("the first samples of two tasks are named %q, which leaves black rows unexplained", got)
	}
}
