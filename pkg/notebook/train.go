package notebook

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/host"
	"palimpsest/pkg/results"
)

// Stopped is the error of a run whose cell was interrupted, or whose kernel has ended.
type Stopped struct {
	Step, Steps int // optimiser steps done, and in all; Steps is 0 while none is known
	From        int // the step that the run goes on from, that of its newest checkpoint
	err         error
}

// Error says how to go on.
func (s *Stopped) Error() string {
	if s.Steps == 0 {
		return "stopped before the first step; run the cell again to start it"
	}
	said := fmt.Sprintf("stopped at step %d of %d; run the cell again to go on", s.Step, s.Steps)
	if s.From < s.Step {
		said += fmt.Sprintf(" from step %d, where the newest checkpoint is", s.From)
	}
	return said
}

// Unwrap gives the context's error.
func (s *Stopped) Unwrap() error { return s.err }

// How long a run may take to save a checkpoint and return once it is to stop. Sampling and measuring begin with a checkpoint on disk,
// as most of what is compiled does: if they do not return in time the process ends and little is lost. A step of a large network, and
// its checkpoint, are waited for, but not what compiles before it, which may take minutes.
const (
	patience     = 1500 * time.Millisecond
	stepPatience = 8 * time.Second
)

// Run makes the run c describes from a cell, in a folder named after the run below root, and shows its progress. Interrupting
// the cell saves a checkpoint, and so does the end of the kernel; the cell then ends within two seconds, or once the training step at
// hand is done. Running the cell again goes on from it, and a cell whose run is finished only reads it.
func Run(c experiment.Config, root string) (*results.Run, error) {
	if root == "" { // a folder beside the notebooks, which are under version control
		return nil, experiment.Refusef("the runs have no folder; name one, such as ../runs/mine")
	}
	ctx, release := untilStopped()
	defer release()
	dir := filepath.Join(root, c.RunName())
	var mu sync.Mutex
	var last experiment.Progress
	shown := newLive(dir)
	where := func() experiment.Progress {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		limit := patience
		if stage := where().Stage; (stage == "train" || stage == "save") && !backend.IsBuilding() {
			limit = stepPatience
		}
		select {
		case <-done:
		case <-time.After(limit):
			p := where()
			shown.stop()
			s, _ := experiment.StandingOf(dir) // of a run without a configuration yet there is no checkpoint
			end(&Stopped{p.Step, p.Steps, s.Step, ctx.Err()}, 0)
		}
	}()
	r, err := experiment.Run(ctx, c, dir, experiment.Options{Command: "a cell of a notebook", Progress: func(p experiment.Progress) {
		mu.Lock()
		last = p
		mu.Unlock()
		if ctx.Err() == nil { // nobody may be there any more to show it
			shown.show(p)
		}
	}})
	if err != nil {
		shown.stop()
	} else if where().Stage == "" { // nothing was made
		shown.finished(c.RunName())
	}
	var stopped experiment.Stopped
	if errors.As(err, &stopped) {
		return nil, &Stopped{stopped.Step, stopped.Steps, stopped.Step, err}
	}
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil, &Stopped{err: err}
	}
	return r, err
}

// untilStopped returns a context that ends when the cell is interrupted, when its kernel ends or asks it to, and when nobody
// reads what it writes any more.
func untilStopped() (context.Context, func()) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE) // else a write to a closed pipe would end the process without a checkpoint
	ctx, release := host.WithParent(ctx, errors.New("the kernel has ended"))
	return ctx, func() {
		release()
		signal.Stop(pipes)
		stop()
	}
}
