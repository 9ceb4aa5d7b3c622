package datasets

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// newBar starts a progress bar of total bytes on out; total -1 if unknown.
func newBar(out io.Writer, total int64, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(200*time.Millisecond),
		progressbar.OptionSetWidth(24),
		// A spinner that turns by itself would write to out from its own goroutine.
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionOnCompletion(func() { fmt.Fprintln(out) }),
	)
}

// finish completes the bar. A bar is an ornament: that it cannot be drawn is no reason to
// give up, so its error is not passed on.
func finish(bar *progressbar.ProgressBar) { _ = bar.Finish() }
