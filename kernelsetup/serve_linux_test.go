package kernelsetup

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A server's kernels have sessions of their own, and their children may ignore what asks them to end. None is left when the
// server was asked to end, ended by itself, or does not end.
func TestServeLeavesNothing(t *testing.T) {
	// The server ends or is asked to once both are at work: one that is still in its group ends with that.
	const children = `setsid sh -c 'touch "$1.a"; exec sleep 1000' sh "$1" & setsid sh -c 'trap "" TERM; touch "$1.b"; sleep 1000; sleep 1000' sh "$1" & ` +
		`until [ -e "$1.a" ] && [ -e "$1.b" ]; do sleep 0.05; done; touch "$1"; `
	grace := orphanGrace
	orphanGrace = 200 * time.Millisecond
	t.Cleanup(func() { orphanGrace = grace })
	for name, tc := range map[string]struct {
		server string
		end    bool // it is asked to
		want   string
	}{
		"asked":     {"exec sleep 1000", true, "nothing of it is left"},
		"by itself": {"exit 0", false, "more processes that it left"},
		"falls":     {"exit 3", false, "more processes that it left"},
	} {
		t.Run(name, func(t *testing.T) {
			began := filepath.Join(t.TempDir(), "began")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tc.end {
				go func() {
					for _, err := os.Stat(began); err != nil; _, err = os.Stat(began) {
						time.Sleep(10 * time.Millisecond)
					}
					cancel()
				}()
			}
			var said bytes.Buffer
			err := serve(ctx, newProgress(&said), []string{"/bin/sh", "-c", children + tc.server, "sh", began}, os.Environ(), t.TempDir())
			if (err != nil) != (name != "by itself") {
				t.Errorf("the error is %v", err)
			}
			if !strings.Contains(said.String(), tc.want) {
				t.Errorf("it says %q, want %q", said.String(), tc.want)
			}
			if left := descendants(os.Getpid(), 0); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

// Who asks for a port that is taken is told who has it.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	err = freePort(t.Context(), port)
	if want := fmt.Sprintf("process %d (", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprint("--port ", port)) {
		t.Errorf("the error is %v, want one that names the port and %q", err, want)
	}
	l.Close()
	if err := freePort(t.Context(), port); err != nil {
		t.Errorf("the port is free again, yet: %v", err)
	}
}
