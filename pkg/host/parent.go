package host

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// WithParent returns a context that ends, with cause, once the process that started this one has ended. Call stop at the end.
func WithParent(ctx context.Context, cause error) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	parent := os.Getppid()
	go func() {
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if os.Getppid() != parent {
					cancel(cause)
					return
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// UnderGoRun says whether `go run` started this process: it is then its parent, and does not pass on a signal that ends it.
func UnderGoRun() bool {
	program, err := os.Executable()
	if err != nil {
		return false
	}
	program = filepath.ToSlash(program)
	return strings.Contains(program, "/go-build") && filepath.Base(filepath.Dir(program)) == "exe"
}
