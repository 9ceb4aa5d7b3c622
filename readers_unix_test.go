//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"palimpsest/notebooks/kernel"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/likelihood"
	"palimpsest/pkg/results"
)

// A pipe that nobody writes to is refused by every reader of a file that a user may name, and not waited for.
func TestReadersTakeNoPipe(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "result.json")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Skip(err)
	}
	for name, read := range map[string]func() error{
		"results.Load":         func() error { _, err := results.Load(pipe); return err },
		"dynamics.LoadSeries":  func() error { _, err := dynamics.LoadSeries(pipe); return err },
		"dynamics.LoadAutopsy": func() error { _, err := dynamics.LoadAutopsy(pipe); return err },
		"likelihood.Load":      func() error { _, err := likelihood.Load(pipe); return err },
		"kernel.Read":          func() error { _, err := kernel.Read(pipe); return err },
	} {
		done := make(chan error, 1)
		go func() { done <- read() }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "is a pipe; need a file") {
				t.Errorf("%s gives %v", name, err)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("%s waits for a pipe", name)
		}
	}
}
