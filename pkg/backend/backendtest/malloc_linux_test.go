package backendtest

import (
	"os"
	"testing"

	"palimpsest/pkg/backend"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"golang.org/x/sys/unix"
)

// TestPagesAreKept makes sure that memory XLA has used once is not given back to the kernel and faulted in again at every
// call. A call here takes and frees eight blocks of 16 MiB, 32,768 pages of 4 KiB.
func TestPagesAreKept(t *testing.T) {
	if !backend.XLABuilt || !backend.CPU.Supported() || os.Getenv(compute.ConfigEnvVar) != "" || os.Getenv("GLIBC_TUNABLES") != "" {
		t.Skip("no XLA plugin for this machine, or another backend or allocator asked for")
	}
	exec, err := graph.NewExec(Open(t), func(x *graph.Node) []*graph.Node {
		var out []*graph.Node
		for i := range 8 {
			out = append(out, graph.BroadcastToDims(graph.AddScalar(x, float64(i)), 1<<22))
		}
		return out
	})
	if err != nil {
		t.Fatal(err)
	}
	faults := func(calls int) int64 {
		var before, after unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &before); err != nil {
			t.Fatal(err)
		}
		for range calls {
			out, err := exec.Call(float32(1))
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range out {
				o.FinalizeAll()
			}
		}
		if err := unix.Getrusage(unix.RUSAGE_SELF, &after); err != nil {
			t.Fatal(err)
		}
		return after.Minflt - before.Minflt
	}
	faults(4) // takes the memory
	const calls = 8
	if n := faults(calls); n > calls*32768/4 {
		t.Errorf("%d calls faulted on %d pages; the allocator gave their memory back", calls, n)
	}
}
