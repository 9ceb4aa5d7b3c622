package kernelsetup

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"palimpsest/pkg/backend"

	"github.com/gofrs/flock"
	"github.com/pkg/errors"
)

// counted returns a tree whose fill writes a file and counts its calls.
func counted(t *testing.T, inPlace bool) (tree, *atomic.Int32) {
	calls := &atomic.Int32{}
	return tree{dir: filepath.Join(t.TempDir(), "cache [1]", "thing-1"), title: "thing", inPlace: inPlace,
		fill: func(_ context.Context, dir string) error {
			calls.Add(1)
			return os.WriteFile(filepath.Join(dir, "content"), nil, 0o644)
		}}, calls
}

// names returns what a folder holds.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestTreeFillsOnce(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		tr, calls := counted(t, inPlace)
		var out bytes.Buffer
		for range 3 {
			if err := tr.ensure(t.Context(), newProgress(&out)); err != nil {
				t.Fatal(err)
			}
		}
		if calls.Load() != 1 || strings.Count(out.String(), "installing thing") != 1 {
			t.Errorf("in place %v: filled %d times, said %q; want once and nothing after", inPlace, calls.Load(), out.String())
		}
		if got := names(t, tr.dir); got != backend.StampName+" content" {
			t.Errorf("in place %v: the folder holds %q", inPlace, got)
		}
	}
}

// TestTreeHeals starts from each state an interruption can leave.
func TestTreeHeals(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		for name, leave := range map[string]string{
			"temporary folder": ".tmp-1/half", "unstamped folder": "/half", "empty folder": "/",
		} {
			tr, calls := counted(t, inPlace)
			path := tr.dir + leave
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if filepath.Base(path) == "half" {
				if err := os.WriteFile(path, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := tr.ensure(t.Context(), newProgress(&bytes.Buffer{})); err != nil {
				t.Fatal(err)
			}
			if got := names(t, tr.dir); got != backend.StampName+" content" || calls.Load() != 1 {
				t.Errorf("%s, in place %v: the folder holds %q after %d fills", name, inPlace, got, calls.Load())
			}
			if got := names(t, filepath.Dir(tr.dir)); inPlace == false && strings.Contains(got, ".tmp") {
				t.Errorf("%s: beside it lies %q", name, got)
			}
		}
	}
}

func TestTreeFailureLeavesNothing(t *testing.T) {
	tr, _ := counted(t, false)
	good := tr.fill
	tr.fill = func(ctx context.Context, dir string) error {
		if err := good(ctx, dir); err != nil {
			return err
		}
		return errors.New("no network")
	}
	var out bytes.Buffer
	if err := tr.ensure(t.Context(), newProgress(&out)); err == nil || !strings.Contains(err.Error(), "no network") {
		t.Fatalf("error %v, want the fill's", err)
	}
	if tr.finished() || !strings.Contains(out.String(), "thing: failed after") {
		t.Errorf("finished %v, said %q; want unfinished and the failure", tr.finished(), out.String())
	}
	tr.fill = good
	if err := tr.ensure(t.Context(), newProgress(&out)); err != nil || !tr.finished() {
		t.Errorf("the next run gives %v, finished %v", err, tr.finished())
	}
}

func TestTreeFillsOnceAtATime(t *testing.T) {
	tr, calls := counted(t, false)
	good := tr.fill
	tr.fill = func(ctx context.Context, dir string) error {
		time.Sleep(300 * time.Millisecond)
		return good(ctx, dir)
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if err := tr.ensure(t.Context(), newProgress(&bytes.Buffer{})); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if calls.Load() != 1 {
		t.Errorf("four at once filled %d times, want 1", calls.Load())
	}
}

func TestTreeStopsWaiting(t *testing.T) {
	tr, calls := counted(t, false)
	if err := os.MkdirAll(filepath.Dir(tr.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	other := flock.New(tr.dir + ".lock")
	if err := other.Lock(); err != nil {
		t.Fatal(err)
	}
	defer other.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := tr.ensure(ctx, newProgress(&bytes.Buffer{})); !errors.Is(err, context.DeadlineExceeded) || calls.Load() != 0 {
		t.Errorf("waiting for another's lock gave %v and %d fills, want the context's error", err, calls.Load())
	}
}

func TestCommand(t *testing.T) {
	out, err := command(t.Context(), t.TempDir(), []string{"WORD=hello"}, "sh", "-c", "echo $WORD; echo noise >&2")
	if err != nil || out != "hello\n" {
		t.Errorf("output %q, error %v", out, err)
	}
	_, err = command(t.Context(), "", nil, "sh", "-c", "echo the reason >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "the reason") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v does not hold the reason and the status", err)
	}
	// The child of the child holds the pipe: only killing the whole group ends it at once.
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = command(ctx, "", nil, "sh", "-c", "sleep 30 & wait")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 20*time.Second {
		t.Errorf("a stopped command gave %v after %s", err, time.Since(start))
	}
}
