// Package command holds the program's commands, a file each, and what they share: how they end when they are asked to, and
// how they write to outputs that may go away.
//
// # Conventions
//
// A command is asked to end by SIGINT, SIGTERM or SIGHUP, unless the process was started with that signal ignored, as
// nohup does; or because one of its outputs can no longer be written: the pipe's reader is gone, the disk is full, the
// terminal is closed. Either ends the command's context, and the context's cause says which it was; of a signal a line
// says at once that it has come. A run then saves a checkpoint. The exit code is 128 + the signal's number, as a shell has
// it of a program that died of the signal; a closed pipe counts as SIGPIPE. It is 1 if the command failed and 2 if the
// command line names none that could begin. `go run` itself exits with 1 whatever the program's code was.
package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/pkg/errors"
	"golang.org/x/term"
)

// Failure is the exit code of a command that failed.
const Failure = 1

// Stop is why a command was asked to end. It is the cause of the context of [Start].
type Stop struct {
	Reason string
	Code   int // to exit with
}

// Error implements error.
func (s *Stop) Error() string { return s.Reason }

// names are what the signals that end a command are called.
var names = map[os.Signal]string{syscall.SIGINT: "interrupt (SIGINT)", syscall.SIGTERM: "asked to end (SIGTERM)", syscall.SIGHUP: "hangup (SIGHUP)"}

// Start prepares a command of a process: a context that ends as the package says, and its two outputs. Call stop at
// the end.
func Start() (ctx context.Context, stdout, stderr *Output, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 8)
	for s := range names {
		if !signal.Ignored(s) { // to be notified would undo it
			signal.Notify(signals, s)
		}
	}
	// A write to a closed pipe fails with an error instead of ending the process on the spot, which it would do on
	// standard output and standard error.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	stdout, stderr = &Output{file: os.Stdout, name: "standard output", lost: cancel}, &Output{file: os.Stderr, name: "standard error", lost: cancel}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				first := ctx.Err() == nil
				cancel(&Stop{Reason: names[s], Code: 128 + int(s.(syscall.Signal))})
				if first { // what is at hand, such as a compilation, may take long
					fmt.Fprintf(stderr, "\nstopping: %s; ends once the step at hand is done\n", names[s])
				}
			case <-done:
				return
			}
		}
	}()
	return ctx, stdout, stderr, func() {
		signal.Reset()
		close(done)
		cancel(nil)
	}
}

// Output is standard output or standard error. The first write that fails ends the command's context; later ones do
// nothing. It may be written to from several goroutines.
type Output struct {
	file *os.File
	name string
	lost context.CancelCauseFunc

	mu      sync.Mutex
	stopped *Stop
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopped != nil {
		return 0, o.stopped
	}
	n, err := o.file.Write(p)
	if err == nil {
		return n, nil
	}
	o.stopped = &Stop{Reason: fmt.Sprintf("%s cannot be written to (%v)", o.name, reason(err)), Code: Failure}
	if errors.Is(err, syscall.EPIPE) {
		o.stopped = &Stop{Reason: "nobody reads " + o.name + " any more (broken pipe)", Code: 128 + int(syscall.SIGPIPE)}
	}
	o.lost(o.stopped)
	return n, o.stopped
}

// reason is an error without the name of the file, which says nothing of an output.
func reason(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Fd is the file's descriptor, for those who ask whether it is a terminal.
func (o *Output) Fd() uintptr { return o.file.Fd() }

// Lost says why the output could not be written; nil if all was.
func (o *Output) Lost() *Stop {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stopped
}

// IsTerminal says whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// End says on stderr how a command ended that returned err, and returns the exit code. goesOn says whether the same
// command goes on where this one stopped.
func End(ctx context.Context, err error, stdout, stderr *Output, goesOn bool) int {
	var stop *Stop
	if ctx.Err() != nil && err != nil && errors.As(context.Cause(ctx), &stop) {
		after := ""
		if goesOn {
			after = "; the same command goes on where this one stopped"
		}
		fmt.Fprintf(stderr, "\nstopped: %s%s\n", stop.Reason, after)
		return stop.Code
	}
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return Failure
	}
	for _, o := range []*Output{stdout, stderr} {
		if stop := o.Lost(); stop != nil {
			if stop.Code == Failure { // of a closed pipe, as after `| head`, nobody wants to hear
				fmt.Fprintln(stderr, "error:", stop.Reason)
			}
			return stop.Code
		}
	}
	return 0
}
