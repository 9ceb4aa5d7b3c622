package command

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"palimpsest/pkg/experiment"
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
		return experiment.CalibrateApart(ctx, c, processes(workers, self, "calibrate"))
	})
}

// describeEstimate says how long a study takes, on what grounds, and what is not in it.
func describeEstimate(e *experiment.Estimate) string {
	text := e.String()
	if e.Basis != "" {
		text += "; from " + e.Basis
	}
	if len(e.Without) > 0 {
		text += ".\nNot included is what " + strings.Join(e.Without, ", ") + " may evaluate beside the steps: no finished run tells"
	}
	return text + "."
}
