package command

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"palimpsest/pkg/experiment"
	"palimpsest/pkg/words"
)

// fewRuns is the number of runs up to which a study starts without timing steps first: its own first steps tell soon.
const fewRuns = 8

// printEstimate says how long a study will take before it starts.
func printEstimate(cmd *cobra.Command, s experiment.Study, workers int) error {
	if len(s.Runs) <= fewRuns {
		e, err := s.Estimate(cmd.Context(), workers, nil)
		if err == nil && e.Basis != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), describeEstimate(e))
		}
		return err
	}
	e, err := estimateStudy(cmd, s, workers)
	if err == nil {
		fmt.Fprintln(cmd.ErrOrStderr(), describeEstimate(e))
	}
	return err
}

// estimateStudy says how long a study takes, if need be by a process that times some steps.
func estimateStudy(cmd *cobra.Command, s experiment.Study, workers int) (*experiment.Estimate, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	workers = workersFor(s, workers)
	return s.Estimate(cmd.Context(), workers, func(ctx context.Context, c experiment.Config) (experiment.Rates, error) {
		if err := ensurePlugin(cmd); err != nil {
			return experiment.Rates{}, err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "timing some steps; most of it is compilation")
		defer everySoOften(15*time.Second, func(passed time.Duration) {
			fmt.Fprintf(cmd.ErrOrStderr(), "still compiling or timing: %s so far\n", passed.Round(time.Second))
		})()
		return experiment.CalibrateApart(ctx, c, processes(workers, self, "calibrate"))
	})
}

// everySoOften calls say with the time that has passed, again and again until stop is called.
func everySoOften(often time.Duration, say func(passed time.Duration)) (stop func()) {
	begin, ticker, done := time.Now(), time.NewTicker(often), make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				say(time.Since(begin))
			case <-done:
				return
			}
		}
	}()
	return func() { ticker.Stop(); close(done) }
}

// describeEstimate says how long a study takes, on what grounds, and what is not in it.
func describeEstimate(e *experiment.Estimate) string {
	text := e.String()
	if e.Basis != "" {
		text += "; from " + e.Basis
	}
	if len(e.Without) > 0 {
		text += ".\nWhat " + words.List(e.Without) + " may compute beside steps is not included: only a finished run tells"
	}
	return text + "."
}
