package backendtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/backend"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
)

func TestOpenMultiplies(t *testing.T) {
	b := Open(t)
	square, err := graph.CallOnce(b, func(x *graph.Node) *graph.Node { return graph.Dot(x, x).Product() },
		[][]float32{{1, 2}, {3, 4}})
	if err != nil {
		t.Fatal(err)
	}
	got := square.Value().([][]float32)
	// By hand: [1 2; 3 4]² = [7 10; 15 22], exact in float32.
	for i, row := range [][]float32{{7, 10}, {15, 22}} {
		for j, want := range row {
			if got[i][j] != want {
				t.Errorf("element %d,%d is %g, want %g", i, j, got[i][j], want)
			}
		}
	}
	if Open(t) != b {
		t.Error("a second Open gave another backend")
	}
}

// TestOpenUsesThePlugin makes sure that tests do not fall to pure Go unnoticed.
func TestOpenUsesThePlugin(t *testing.T) {
	if !backend.XLABuilt || !backend.CPU.Supported() || os.Getenv(compute.ConfigEnvVar) != "" {
		t.Skip("no XLA plugin for this machine, or another backend asked for")
	}
	Open(t)
	if _, err := backend.CPUPluginPath(); err != nil {
		t.Error(err)
	}
}

// TestOpenInFolderNamedCUDA opens the plugin under a path that go-xla takes for CUDA's.
func TestOpenInFolderNamedCUDA(t *testing.T) {
	Open(t)
	library, err := backend.CPUPluginPath()
	if err != nil {
		t.Skip("no XLA plugin here")
	}
	dir := filepath.Join(t.TempDir(), "nvidia-cuda")
	if err := os.Symlink(filepath.Dir(library), dir); err != nil {
		t.Fatal(err)
	}
	t.Setenv(compute.ConfigEnvVar, "xla:"+filepath.Join(dir, filepath.Base(library)))
	b, choice, err := backend.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	if choice.Name != "user" || len(choice.Failed) > 0 {
		t.Errorf("opened %s after %q", choice.Name, choice.Failed)
	}
}

// threadsOf is where this test binary is to open XLA and print how many threads of each name it has.
const threadsOf = "PALIMPSEST_TEST_THREADS"

// XLA has as many threads as the environment variable says by which package backend passes on a quota of processors; of
// itself it counts the machine's. It never has fewer than four.
func TestXLAThreadsFollowTheQuota(t *testing.T) {
	if !backend.XLABuilt || !backend.CPU.Supported() || os.Getenv(compute.ConfigEnvVar) != "" {
		t.Skip("no XLA plugin for this machine, or another backend asked for")
	}
	Open(t)
	if os.Getenv(threadsOf) != "" {
		names, err := filepath.Glob("/proc/self/task/*/comm")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if text, err := os.ReadFile(name); err == nil { // else the thread has ended
				fmt.Print("thread ", string(text))
			}
		}
		return
	}
	for _, n := range []int{5, 9} {
		cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), threadsOf+"=1", fmt.Sprintf("PJRT_NPROC=%d", n))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got := strings.Count(string(out), "thread tf_XLAEigen"); got != n {
			t.Errorf("with a quota of %d, XLA has %d threads:\n%s", n, got, out)
		}
	}
}
