package command

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pkg/errors"

	"palimpsest/pkg/experiment"
)

// How a command ends that failed: the exit code tells whose fault it was, and a full disk is told with what to do.
func TestEnd(t *testing.T) {
	full := errors.Wrap(&os.PathError{Op: "write", Path: "runs/a/log.txt", Err: syscall.ENOSPC}, "run a")
	quota := errors.Wrap(syscall.EDQUOT, "writing runs/a")
	for _, tc := range []struct {
		err    error
		goesOn bool
		code   int
		want   string
	}{
		{full, true, 1, "; free some space: the same command goes on where this one stopped\n"},
		{quota, true, 1, "; free some space: the same command goes on where this one stopped\n"},
		{full, false, 1, "; free some space, then give the same command again\n"},
		{errors.New("no such file"), true, 1, "error: no such file\n"},
		{errors.New("run er: cl: er has no rows: /data/cl: empty"), true, 1, "error: run er: er has no rows: /data/cl: empty\n"},
		{errors.WithMessage(experiment.Refusef("--seeds is 0"), "bench"), true, 2, "error: bench: --seeds is 0\n"},
	} {
		file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		lost := func(err error) { t.Error(err) }
		stdout, stderr := &output{file: os.Stdout, lost: lost}, &output{file: file, lost: lost}
		code := end(t.Context(), tc.err, stdout, stderr, tc.goesOn)
		said, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		if code != tc.code || !strings.HasSuffix(string(said), tc.want) {
			t.Errorf("%v ends with %d and %q; want %d and %q", tc.err, code, said, tc.code, tc.want)
		}
	}
}

// A command that only looks, and what is done at once, has nothing to go on with.
func TestGoesOn(t *testing.T) {
	for line, want := range map[string]bool{"bench": true, "bench --dry-run": false, "bench --dry-run=false": true, "search --dry-run": false, "bench --status": false,
		"run --defaults": false, "report runs": false} {
		called, args, err := newRoot(func() {}).Find(strings.Fields(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := called.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		if goesOn(called) != want {
			t.Errorf("%s goes on: %v, want %v", line, !want, want)
		}
	}
}
