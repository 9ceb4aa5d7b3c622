// Package command holds the program's commands, a file each, and what they share: how they end when they are asked to, and
// how they write to outputs that may go away.
//
// # Conventions
//
// A command is asked to end by SIGINT, SIGTERM or SIGHUP, unless the process was started with that signal ignored, as
// nohup does; or because one of its outputs can no longer be written: the pipe's reader is gone, the disk is full, the
// terminal is closed; or because the `go run` that started it has ended. Each ends the command's context, and the context's
// cause says which it was; of a signal a line says at once that it has come. A run then saves a checkpoint. The exit code is 128 + the signal's number, as a shell has
// it of a program that died of the signal; a closed pipe counts as SIGPIPE. It is 1 if the command failed, 2 if the command
// line names none that could begin, or asks one for what cannot be, 3 if training or its samples left the finite numbers, and 4 if memory ran out
// ([experiment.ExitCode]). `go run` itself exits with 1 whatever the program's code was.
package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"sync"
	"syscall"

	"github.com/pkg/errors"
	"golang.org/x/term"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/host"
)

// stopReason is why a command was asked to end. It is the cause of the context of [start].
type stopReason struct {
	reason string
	code   int // to exit with
}

// Error implements error.
func (s *stopReason) Error() string { return s.reason }

// names are what the signals that end a command are called.
var names = map[os.Signal]string{syscall.SIGINT: "interrupt (SIGINT)", syscall.SIGTERM: "asked to end (SIGTERM)", syscall.SIGHUP: "hangup (SIGHUP)"}

// start prepares a command of a process: a context that ends as the package says, and its two outputs. Call stop at
// the end.
func start() (ctx context.Context, stdout, stderr *output, stop func()) {
	parent, forget := context.Background(), func() {}
	if host.UnderGoRun() { // it dies of signals that it does not pass on
		parent, forget = host.WithParent(parent, &stopReason{reason: "`go run` has ended", code: 128 + int(syscall.SIGTERM)})
	}
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 8)
	for s := range names {
		if !signal.Ignored(s) { // to be notified would undo it
			signal.Notify(signals, s)
		}
	}
	// A write to a closed pipe fails with an error instead of ending the process on the spot, which it would do on
	// standard output and standard error.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	stdout, stderr = &output{file: os.Stdout, name: "standard output", lost: cancel}, &output{file: os.Stderr, name: "standard error", lost: cancel}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				first := ctx.Err() == nil
				cancel(&stopReason{reason: names[s], code: 128 + int(s.(syscall.Signal))})
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
		forget()
		close(done)
		cancel(nil)
	}
}

// output is standard output or standard error. The first write that fails ends the command's context; later ones do
// nothing. It may be written to from several goroutines.
type output struct {
	file *os.File
	name string
	lost context.CancelCauseFunc

	mu      sync.Mutex
	stopped *stopReason
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopped != nil {
		return 0, o.stopped
	}
	n, err := o.file.Write(p)
	if err == nil {
		return n, nil
	}
	o.stopped = &stopReason{reason: fmt.Sprintf("%s cannot be written to (%v)", o.name, reason(err)), code: experiment.ExitFailed}
	if errors.Is(err, syscall.EPIPE) {
		o.stopped = &stopReason{reason: "nobody reads " + o.name + " any more (broken pipe)", code: 128 + int(syscall.SIGPIPE)}
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
func (o *output) Fd() uintptr { return o.file.Fd() }

// Lost says why the output could not be written; nil if all was.
func (o *output) Lost() *stopReason {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stopped
}

// isTerminal says whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// ofPackage are the names of packages that errors for programmers begin with; they tell who types commands nothing.
var ofPackage = regexp.MustCompile(`(^|: )(?:cards|cl|datasets|diffusers|diffusion|dynamics|figure|likelihood|memory|metrics|npz|report|results|safetensors|study|unet): `)

// end says on stderr how a command ended that returned err, and returns the exit code. goesOn says whether the same
// command goes on where this one stopped.
func end(ctx context.Context, err error, stdout, stderr *output, goesOn bool) int {
	var stop *stopReason
	if ctx.Err() != nil && err != nil && errors.As(context.Cause(ctx), &stop) {
		after := ""
		if goesOn {
			after = "; the same command goes on where this one stopped"
		}
		fmt.Fprintf(stderr, "\nstopped: %s%s\n", stop.reason, after)
		return stop.code
	}
	if err != nil {
		advice := ""
		if atomicfile.DiskFull(err) {
			advice = "; free some space, then give the same command again"
			if goesOn {
				advice = "; free some space: the same command goes on where this one stopped"
			}
		}
		fmt.Fprintf(stderr, "error: %s%s\n", ofPackage.ReplaceAllString(experiment.Told(err), "$1"), advice)
		return experiment.ExitCode(err)
	}
	for _, o := range []*output{stdout, stderr} {
		if stop := o.Lost(); stop != nil {
			if stop.code == experiment.ExitFailed { // of a closed pipe, as after `| head`, nobody wants to hear
				fmt.Fprintln(stderr, "error:", stop.reason)
			}
			return stop.code
		}
	}
	return 0
}
