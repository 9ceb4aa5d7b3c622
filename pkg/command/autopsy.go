package command

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"palimpsest/pkg/experiment"
	"palimpsest/pkg/results"
)

func autopsyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "autopsy RUN…", Short: "Make the autopsy of finished runs anew from the networks they kept after each task", Args: cobra.MinimumNArgs(1),
		Long: "A run with --set autopsy.images=32 keeps its network after each task and ends with an autopsy: which timesteps carry\n" +
			"the forgetting that samples show (old and final network stitched), how far representations drifted, how gradients of\n" +
			"old and new tasks agree. Autopsy makes it again, without training, and\n" +
			"makes that of a run which kept its networks by keep_networks=true; the figures are those of notebook 02.",
		Example: "  go run . autopsy runs/bench/finetune-seed0",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, dir := range args {
				if err := experiment.CheckAutopsy(dir); err != nil {
					return namedFolder(err, dir)
				}
			}
			back, err := openBackend(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			for _, dir := range args {
				o := experiment.Options{Log: cmd.OutOrStdout(), Progress: runDisplay(cmd.ErrOrStderr()), Command: commandLine(), Backend: back}
				if err := experiment.Autopsy(cmd.Context(), dir, o); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "\nAutopsy: %s\n", filepath.Join(dir, results.AutopsyFile))
			}
			return nil
		},
	}
}
