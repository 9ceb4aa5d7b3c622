package datasets

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/pkg/errors"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"
)

// Progress is where bars of work on images are drawn, once it takes more than a second; nil for silence.
var Progress io.Writer = os.Stderr

// ordered calls work for every picture of a reader, on all processors at once, and then take with each result, in the reader's order.
// Only a few pictures for each processor are in memory at a time. newWorker is called once for each goroutine. ordered stops at the
// first error, and when the user interrupts the program.
func ordered[R any](r reader, what string, newWorker func() func(picture) R, take func(picture, R) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	type job struct {
		picture picture
		result  chan R
	}
	workers := runtime.GOMAXPROCS(0)
	group, ctx := errgroup.WithContext(ctx)
	todo, inOrder := make(chan job, 2*workers), make(chan job, 2*workers)
	group.Go(func() error {
		defer close(todo)
		defer close(inOrder)
		return r.each(func(p picture) error {
			j := job{p, make(chan R, 1)}
			for _, to := range []chan job{inOrder, todo} {
				select {
				case to <- j:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for range workers {
		group.Go(func() error {
			work := newWorker()
			for j := range todo {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				j.result <- work(j.picture)
			}
			return nil
		})
	}
	group.Go(func() error {
		bar := newLateBar(r.total(), what)
		defer bar.end()
		for j := range inOrder {
			select {
			case result := <-j.result:
				if err := take(j.picture, result); err != nil {
					return err
				}
				bar.add()
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return errors.Errorf("%s: interrupted; the same command begins it again", what)
	}
	return err
}

// lateBar is a progress bar, with the time that is left, that shows itself after a second.
type lateBar struct {
	bar *progressbar.ProgressBar
	to  *lateWriter
}

// lateWriter passes on what is written to it from a moment on.
type lateWriter struct {
	to    io.Writer
	from  time.Time
	wrote bool
}

func (w *lateWriter) Write(b []byte) (int, error) {
	if time.Now().Before(w.from) {
		return len(b), nil
	}
	w.wrote = true
	return w.to.Write(b)
}

func newLateBar(total int, what string) *lateBar {
	if Progress == nil {
		return &lateBar{}
	}
	if total == 0 {
		total = -1
	}
	to := &lateWriter{to: Progress, from: time.Now().Add(time.Second)}
	return &lateBar{to: to, bar: progressbar.NewOptions(total,
		progressbar.OptionSetWriter(to),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("images"),
		progressbar.OptionThrottle(200*time.Millisecond),
		progressbar.OptionSetWidth(24),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetSpinnerChangeInterval(0), // see newBar
	)}
}

func (b *lateBar) add() {
	if b.bar != nil {
		_ = b.bar.Add(1) // an ornament, see finish
	}
}

// end leaves the bar's line.
func (b *lateBar) end() {
	if b.bar != nil && b.to.wrote {
		fmt.Fprintln(Progress)
	}
}
