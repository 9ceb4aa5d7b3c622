package command

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"palimpsest/kernelsetup"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/experiment"
)

// ensurePlugin installs the plugin unless it is there, refuses a backend that is not, and says so where pure Go will compute.
func ensurePlugin(cmd *cobra.Command) error {
	if err := kernelsetup.EnsurePlugin(cmd.Context(), cmd.OutOrStdout()); err != nil {
		return err
	}
	if err := backend.CheckAsked(); err != nil {
		return err
	}
	sayPureGo.Do(func() {
		if note := backend.PureGoNote(); note != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), note)
		}
	})
	return nil
}

// sayPureGo has the note once, though a command estimates and then computes.
var sayPureGo sync.Once

// openBackend installs the plugin unless it is there, opens a backend and says which.
func openBackend(ctx context.Context, out io.Writer) (compute.Backend, error) {
	if err := kernelsetup.EnsurePlugin(ctx, out); err != nil {
		return nil, err
	}
	back, choice, err := backend.Open()
	if err == nil {
		fmt.Fprintln(out, choice)
		if note := choice.Note(); note != "" {
			fmt.Fprintln(out, "note: "+note)
		}
	}
	return back, err
}

// openTrained opens the network of the run in the folder dir, by [experiment.OpenTrained] or [experiment.OpenToDraw].
func openTrained(cmd *cobra.Command, dir string, check func(experiment.Config, *diffusion.Process) error, open func(compute.Backend, string) (*experiment.Trained, error)) (*experiment.Trained, error) {
	if err := experiment.CheckTrained(dir, check); err != nil {
		return nil, namedFolder(err, dir)
	}
	back, err := openBackend(cmd.Context(), cmd.OutOrStdout())
	if err != nil {
		return nil, err
	}
	trained, err := open(back, dir)
	if err != nil {
		return nil, err
	}
	for _, w := range trained.Warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), w)
	}
	return trained, nil
}
