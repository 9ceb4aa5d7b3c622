package kernelsetup

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"palimpsest/notebooks/kernel"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"

	"github.com/pkg/errors"
)

// command runs a program to its end and returns its standard output. env is added to the
// program's environment. When ctx ends, the program and its children are killed. The
// error holds the last lines the program wrote.
func command(ctx context.Context, dir string, env []string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = kernel.Group() // the compilers and linkers below it die with it
	cmd.Cancel = func() error { return kernel.EndGroup(cmd.Process) }
	cmd.WaitDelay = 5 * time.Second
	var stdout bytes.Buffer
	var all oneline.Tail // the two streams are copied by a goroutine each
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, &all), &all
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		if fullDisk.MatchString(all.String()) {
			return "", errors.WithMessagef(syscall.ENOSPC, "%s: %v\n%s", strings.Join(argv, " "), err, lastLines(all.String(), 12))
		}
		return "", errors.Errorf("%s: %v\n%s", strings.Join(argv, " "), err, lastLines(all.String(), 12))
	}
	return stdout.String(), nil
}

// fullDisk is how programs say that a disk is full, or that this user may have no more of it.
var fullDisk = regexp.MustCompile(`(?i)no space left on device|not enough space on the disk|disk quota exceeded|ENOSPC`)

// advised is the error of what could not be done, with advice, which is left out where a full disk is the reason: then the program
// says to free some.
func advised(err error, advice, format string, args ...any) error {
	err = errors.WithMessagef(err, format, args...)
	if atomicfile.DiskFull(err) {
		return err
	}
	return errors.Errorf("%v\n%s", err, advice)
}

// lastLines returns the last n non-empty lines of text, indented.
func lastLines(text string, n int) string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimRight(line, " \r\t"); line != "" {
			lines = append(lines, "    "+line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
