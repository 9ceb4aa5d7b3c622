//go:build unix

package experiment

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

// Of a process that fell the error says why, and the log keeps the trace.
func TestTraceOfAFallenProcess(t *testing.T) {
	for _, first := range []string{"panic: index out of range [3]", "fatal error: out of memory", "SIGSEGV: segmentation violation"} {
		dir := t.TempDir()
		log := filepath.Join(dir, logName)
		if err := os.WriteFile(log, []byte("begun\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf("printf 'note: pure Go computes here\\n%s\\n\\ngoroutine 1 [running]:\\nmain.main()\\n\\tmain.go:10 +0x13\\n' >&2; exit 2", first)
		err := Processes(1, "/bin/sh", "-c", script)(t.Context(), dir, 0, io.Discard)
		if err == nil || !strings.HasSuffix(err.Error(), first+" (the trace is in "+log+")") {
			t.Errorf("the error is %v", err)
		}
		if text, err := os.ReadFile(log); err != nil || !strings.HasPrefix(string(text), "begun\n") || !strings.Contains(string(text), "main.go:10") {
			t.Errorf("the log is %q, %v", text, err)
		}
	}
}
