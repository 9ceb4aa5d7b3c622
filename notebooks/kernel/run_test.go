package kernel_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"palimpsest/kernelsetup"
	"palimpsest/notebooks/kernel"

	"github.com/pkg/errors"
)

// start starts a fresh kernel in testdata.
func start(t *testing.T) *kernel.Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	installed, err := kernelsetup.EnsureKernel(ctx, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	o := installed.Options("testdata")
	o.Env = append(o.Env, "NOTEBOOK_TEST=from the test")
	process, err := kernel.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Close(); err != nil {
			t.Error(err)
		}
	})
	return process
}

func read(t *testing.T, path string) *kernel.Notebook {
	t.Helper()
	nb, err := kernel.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return nb
}

// text returns what a cell wrote to a stream.
func text(c *kernel.Cell, stream string) string {
	all := ""
	for _, out := range c.Outputs {
		if out.Stream == stream {
			all += out.Text
		}
	}
	return all
}

func TestRunGood(t *testing.T) {
	nb := read(t, "testdata/good.ipynb")
	lines := map[int]string{}
	done, err := nb.Run(t.Context(), start(t), kernel.RunOptions{CellTimeout: 2 * time.Minute, OnCell: func(n int, first string) { lines[n] = first }})
	if err != nil {
		t.Fatal(err)
	}
	for n, line := range lines {
		if line == "" || line == "%%" || strings.HasPrefix(line, "import") {
			t.Errorf("of cell %d it is told %q", n, line)
		}
	}
	cell := func(number int) *kernel.Cell { return done.Cells[number-1] }
	if got := text(cell(3), "stdout"); got != "42\n" {
		t.Errorf("a declaration of an earlier cell gives %q, want 42", got)
	}
	if got := text(cell(4), "stdout"); got != "11 <nil>\n" {
		t.Errorf("a package of this checkout, in the notebook's folder, gives %q, want 11 cells", got)
	}
	html := []string{}
	for _, out := range cell(5).Outputs {
		html = append(html, out.Data["text/html"].(string))
	}
	if got := strings.Join(html, "|"); got != "<b>step 3</b>|<i>done</i>" {
		t.Errorf("updated HTML is %q, want the last state and the end", got)
	}
	if len(cell(6).Outputs) != 1 || !strings.HasPrefix(cell(6).Outputs[0].Data["image/png"].(string), "iVBORw0KGgo") {
		t.Errorf("a displayed image gives %+v, want one PNG", cell(6).Outputs)
	}
	if got := text(cell(7), "stdout"); got != "progress 3/3\n" {
		t.Errorf("a progress bar settles to %q, want its last state", got)
	}
	if got := text(cell(11), "stderr"); got != "a harmless note from the test\n" {
		t.Errorf("standard error and environment give %q", got)
	}
	if cell(8).Count != 0 || cell(8).Outputs != nil || cell(9).Count != 7 {
		t.Errorf("cells 8 and 9 have counts %d and %d, want 0 for the skipped one and 7", cell(8).Count, cell(9).Count)
	}
	if got := strings.TrimSpace(text(cell(10), "stdout")); filepath.Base(got) != "testdata" {
		t.Errorf("a shell line runs in %s, want testdata", got)
	}
	language, _ := done.Metadata["language_info"].(map[string]any)
	if _, versioned := language["version"]; language["name"] != "go" || language["codemirror_mode"] == nil || versioned {
		t.Errorf("it notes of the kernel's language %v, want all that the kernel says but the version", language)
	}
	if lacking := kernel.Missing(done, done); len(lacking) != 0 {
		t.Errorf("a notebook lacks of itself: %q", lacking)
	}

	// What is stored and read is what was run, and storing it again gives the same bytes.
	first, second := filepath.Join(t.TempDir(), "1.ipynb"), filepath.Join(t.TempDir(), "2.ipynb")
	if err := done.Write(first); err != nil {
		t.Fatal(err)
	}
	again := read(t, first)
	if err := again.Write(second); err != nil {
		t.Fatal(err)
	}
	a, errA := os.ReadFile(first)
	b, errB := os.ReadFile(second)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("a notebook stored, read and stored again differs (%v, %v)", errA, errB)
	}
	if got := text(again.Cells[2], "stdout"); got != "42\n" {
		t.Errorf("the stored output is %q", got)
	}
	if !nb.Stale() || done.Stale() || again.Stale() {
		t.Errorf("outputs are called stale: %v of what was not run here, %v after the run, %v stored and read", nb.Stale(), done.Stale(), again.Stale())
	}
	again.Cells[2].Source += " "
	if !again.Stale() {
		t.Error("a cell is changed and its outputs are not called stale")
	}
	for i, c := range done.Cells { // an image that is gone must be noticed
		if i == 5 {
			c.Outputs = nil
		}
	}
	if lacking := kernel.Missing(again, done); len(lacking) != 1 || !strings.Contains(lacking[0], "cell 6") || !strings.Contains(lacking[0], "image/png") {
		t.Errorf("a missing image is reported as %q", lacking)
	}
}

func TestRunCatches(t *testing.T) {
	for name, want := range map[string]string{
		"compile": "declared and not used: unused",
		"panic":   "at the disco",
		"exit":    "exit status 3",
		"shell":   "exit status 1",
		"magic":   "unknown or not implemented",
		"import":  "example.com/no/such/module",
		"endless": "not done after 3s",
		"tagged":  "did not fail",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := 2 * time.Minute
			if name == "endless" {
				timeout = 3 * time.Second
			}
			done, err := read(t, "testdata/"+name+".ipynb").Run(t.Context(), start(t), kernel.RunOptions{CellTimeout: timeout})
			var failure *kernel.Failure
			if !errors.As(err, &failure) {
				t.Fatalf("the notebook gave %v, want a failure of a cell", err)
			}
			if failure.Cell != 2 || !strings.Contains(failure.Why, want) {
				t.Errorf("the failure is %v; want one of cell 2 that says %q", failure, want)
			}
			if name != "endless" && done.Cells[0].Count != 1 || done.Cells[2].Count != 0 {
				t.Errorf("counts %d and %d of the cells before and after; want 1 and 0", done.Cells[0].Count, done.Cells[2].Count)
			}
		})
	}
}

func TestRunCancelled(t *testing.T) {
	process := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := read(t, "testdata/endless.ipynb").Run(ctx, process, kernel.RunOptions{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a cancelled run gives %v, want the context's error", err)
	}
}

func TestStartFails(t *testing.T) {
	for name, argv := range map[string][]string{
		"no program": {"/no/such/kernel"},
		"dies":       {"sh", "-c", "echo cannot go on; exit 7"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := kernel.Start(ctx, kernel.Options{Command: func(string) []string { return argv }})
			if err == nil || ctx.Err() != nil {
				t.Fatalf("error %v, want one at once", err)
			}
			if name == "dies" && !strings.Contains(err.Error(), "cannot go on") {
				t.Errorf("error %v does not hold what the program wrote", err)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"not JSON":     {"<html>", "no notebook"},
		"other JSON":   {`{"cells": []}`, "no notebook, for it names no nbformat"},
		"old format":   {`{"nbformat": 3, "cells": []}`, "nbformat 3"},
		"strange cell": {`{"nbformat": 4, "cells": [{"cell_type": "heading"}]}`, "cell 1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.ipynb")
			if err := os.WriteFile(path, []byte(tc.text), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := kernel.Read(path); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}
