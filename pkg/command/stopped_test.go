//go:build unix

package command

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endless is a configuration of the smallest network that trains until it is stopped, and keeps no checkpoint of itself.
const endless = `
benchmark: {class_order: given, classes: [0, 1], classes_per_task: 1}
network: {base: 8, mults: [1]}
diffusion: {timesteps: 10}
loop: {steps_per_task: 1000000, fresh_rows: 1, replay_rows: 0}
strategy: {name: finetune}
evaluate: {samples_per_task: 64, batch: 64, sampler: {steps: 1}}
checkpoint_every: 0
`

// patience is how long a process may take to begin or to end on a busy machine before a test gives it up.
const patience = 5 * time.Minute

// shell is a shell's command line in which "$1", "$2", … are args, and palimpsest is this program.
func shell(t *testing.T, line string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", line, "sh"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal
	t.Cleanup(func() {
		if cmd.Process != nil && cmd.ProcessState == nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			_ = cmd.Wait()
		}
	})
	return cmd
}

// code is the exit code of a process that must end within patience.
func code(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	timer := time.AfterFunc(patience, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		if _, ended := err.(*exec.ExitError); !ended {
			t.Fatal(err)
		}
	}
	return cmd.ProcessState.ExitCode()
}

// waitFor waits until a run's log holds text.
func waitFor(t *testing.T, dir, text string) {
	t.Helper()
	for range int(patience / (100 * time.Millisecond)) {
		if log, err := os.ReadFile(filepath.Join(dir, "log.txt")); err == nil && strings.Contains(string(log), text) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the log in %s never says %q", dir, text)
}

// checkStopped wants a checkpoint in a run's folder and why it stopped as its log's last line.
func checkStopped(t *testing.T, dir, why string) {
	t.Helper()
	if kept, err := filepath.Glob(filepath.Join(dir, "checkpoints", "phase*", "state.json")); err != nil || len(kept) == 0 {
		t.Errorf("no checkpoint is kept (%v)", err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "log.txt"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "stopped after step") || !strings.Contains(last, why) {
		t.Errorf("the log ends with %q; want it to say %q", last, why)
	}
}

// A run that is asked to end, or that nobody listens to any more, keeps a checkpoint, says why in its log and exits with
// the code of the signal.
func TestStoppedRunKeepsACheckpoint(t *testing.T) {
	config := filepath.Join(t.TempDir(), "endless.yaml")
	if err := os.WriteFile(config, []byte(endless), 0o644); err != nil {
		t.Fatal(err)
	}
	// Processes inherit which signals are ignored, as the hangup is where the tests run under nohup; those that are
	// handled here begin with them as usual.
	handled := make(chan os.Signal, 1)
	signal.Notify(handled, syscall.SIGHUP)
	defer signal.Stop(handled)
	const begun = "steps of 1+0 rows"
	t.Run("hangup", func(t *testing.T) {
		dir := t.TempDir()
		cmd := shell(t, `exec palimpsest run "$1" --dir "$2"`, config, dir)
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, dir, begun)
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if c := code(t, cmd); c != 129 || !strings.Contains(said.String(), "the same command goes on") {
			t.Errorf("exit code %d, want 129; it says %q", c, said.String())
		}
		checkStopped(t, dir, "SIGHUP")
	})
	t.Run("nohup and all streams closed", func(t *testing.T) {
		dir := t.TempDir()
		cmd := shell(t, `trap "" HUP; exec palimpsest run "$1" --dir "$2" <&- >&- 2>&-`, config, dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, dir, begun)
		for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM} {
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		if c := code(t, cmd); c != 143 {
			t.Errorf("exit code %d, want 143: a hangup is ignored under nohup", c)
		}
		checkStopped(t, dir, "SIGTERM")
	})
	t.Run("a pipe nobody reads", func(t *testing.T) {
		dir := t.TempDir()
		cmd := shell(t, `exec palimpsest run "$1" --dir "$2"`, config, dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // as `head -1` does
			t.Fatal(err)
		}
		out.Close()
		if c := code(t, cmd); c != 141 {
			t.Errorf("exit code %d, want 141", c)
		}
		checkStopped(t, dir, "broken pipe")
	})
	t.Run("a full disk behind the output", func(t *testing.T) {
		if _, err := os.Stat("/dev/full"); err != nil {
			t.Skip(err)
		}
		dir := t.TempDir()
		cmd := shell(t, `exec palimpsest run "$1" --dir "$2" >/dev/full`, config, dir)
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if c := code(t, cmd); c != 1 || !strings.Contains(said.String(), "standard output cannot be written to (no space left on device)") {
			t.Errorf("exit code %d, want 1; it says %q", c, said.String())
		}
		checkStopped(t, dir, "no space left")
	})
	t.Run("a study", func(t *testing.T) {
		dir := t.TempDir()
		cmd := shell(t, `exec palimpsest bench --config "$1" --dir "$2" --strategies finetune --sweep loop.fresh_rows=1 --workers 1`, config, dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var run string
		for since := time.Now(); run == ""; {
			if time.Since(since) > patience {
				t.Fatal("no run of the study begins")
			}
			time.Sleep(100 * time.Millisecond)
			if logs, _ := filepath.Glob(filepath.Join(dir, "*", "log.txt")); len(logs) > 0 {
				run = filepath.Dir(logs[0])
			}
		}
		waitFor(t, run, begun)
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if c := code(t, cmd); c != 129 {
			t.Errorf("exit code %d, want 129", c)
		}
		checkStopped(t, run, "SIGTERM")
	})
}

// A short command whose reader has left ends silently, as others do in a pipe; one whose output is lost says so.
func TestLostOutputIsAnError(t *testing.T) {
	for _, tc := range []struct {
		line  string
		code  int
		error string
	}{
		{`(sleep 1; palimpsest strategies; echo $? >&2) | true`, 141, ""},
		{`palimpsest strategies >/dev/full; echo $? >&2`, 1, "error: standard output cannot be written to (no space left on device)\n"},
		{`palimpsest strategies >/dev/null; echo $? >&2`, 0, ""},
	} {
		if _, err := os.Stat("/dev/full"); err != nil && strings.Contains(tc.line, "/dev/full") {
			continue // this system has no such thing
		}
		cmd := shell(t, tc.line)
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		code(t, cmd)
		if want := fmt.Sprintf("%s%d\n", tc.error, tc.code); said.String() != want {
			t.Errorf("%s: it says %q, want %q", tc.line, said.String(), want)
		}
	}
}

// A notebook that is asked to end stores what its cells showed until then, and what is told of a cell says what it does.
func TestEndedNotebookIsStored(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.ipynb"), filepath.Join(dir, "out.ipynb")
	text := `{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
{"cell_type": "code", "id": "a", "execution_count": null, "outputs": [], "metadata": {}, "source": "import \"fmt\"\n\n%%\nfmt.Println(6 * 7)"},
{"cell_type": "code", "id": "b", "execution_count": null, "outputs": [], "metadata": {}, "source": "import \"time\"\n\n%%\ntime.Sleep(time.Hour)"}]}`
	if err := os.WriteFile(in, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := shell(t, `exec palimpsest notebook "$1" -o "$2"`, in, out)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	all := ""
	for lines := bufio.NewScanner(said); lines.Scan(); {
		all += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "cell 2: time.Sleep(time.Hour)") {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	if c := code(t, cmd); c != 143 || !strings.Contains(all, "cell 1: fmt.Println(6 * 7)") {
		t.Errorf("exit code %d, want 143; it says %s", c, all)
	}
	stored, err := os.ReadFile(filepath.Join(dir, "out.failed.ipynb"))
	if err != nil || !strings.Contains(string(stored), `"42\n"`) {
		t.Errorf("it stores %s, %v; it says %s", stored, err, all)
	}
}
