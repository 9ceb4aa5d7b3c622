//go:build unix

package experiment

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
)

// A process that says what is wrong is not asked again; one that was killed, fell, or had no memory is, once.
func TestOnlyWhatMayPassIsTriedAgain(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		tries        int
	}{
		{"a refusal", "echo 'error: loop.fresh_rows is 0' >&2; exit 1", 1},
		{"a refused command line", fmt.Sprintf("echo 'error: --seeds is 0' >&2; exit %d", ExitUsage), 1},
		{"killed", "echo working >&2; kill -9 $$", 2},
		{"killed without a word", "kill -9 $$", 2},
		{"fallen", "echo 'panic: index out of range' >&2; exit 2", 2},
		{"no memory", fmt.Sprintf("echo 'error: RESOURCE_EXHAUSTED: Out of memory allocating' >&2; exit %d", ExitMemory), 2},
		{"diverged", fmt.Sprintf("echo 'error: diffusion: the loss is NaN' >&2; exit %d", ExitDiverged), 1},
	} {
		s := smallStudy(t.TempDir())
		s.Runs = s.Runs[:1]
		tries, process := 0, Processes(1, "/bin/sh", "-c", tc.script)
		_, err := s.Do(t.Context(), StudyOptions{Spawn: func(ctx context.Context, dir string, w int, out io.Writer) error {
			tries++
			return process(ctx, dir, w, out)
		}})
		if err == nil || !strings.Contains(err.Error(), s.Runs[0].RunName()) {
			t.Errorf("%s: got %v; want an error that names the run", tc.name, err)
		}
		if tries != tc.tries {
			t.Errorf("%s: %d tries, want %d (%v)", tc.name, tries, tc.tries, err)
		}
		if Diverged(err) != (tc.name == "diverged") {
			t.Errorf("%s: Diverged says %v of %v", tc.name, Diverged(err), err)
		}
	}
}
