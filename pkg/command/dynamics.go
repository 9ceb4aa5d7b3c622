package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"palimpsest/pkg/experiment"
	"palimpsest/pkg/report"
)

func dynamicsCommand() *cobra.Command {
	bins, findings := 5, false
	c := &cobra.Command{
		Use: "dynamics DIR", Short: "Show which timesteps a study's strategies forget", Args: cobra.ExactArgs(1),
		Long: "Dynamics reads what the probe of runs measured along training (--set probe.every=50) and prints, by range of timesteps,\n" +
			"how much higher the loss of old tasks is at the end than just after each was learned, as a share of the latter.\n" +
			"With --findings it says in sentences what this and all else that the runs measured shows: autopsies, likelihoods.",
		Example: "  go run . bench --strategies finetune,er --sweep lambda=1 --set probe.every=50 --dir runs/dynamics\n  go run . dynamics runs/dynamics",
		RunE: func(cmd *cobra.Command, args []string) error {
			if bins < 1 {
				return experiment.Refusef("--bins is %d; need 1 or more", bins)
			}
			table, err := experiment.ForgettingByTimestep(args[0], bins)
			if err != nil {
				return namedFolder(experiment.SayUnfinished(err), args...)
			}
			var sentences []string
			if findings { // what cannot be said is no half of an answer
				if sentences, err = report.Findings(args[0]); err != nil {
					return err
				}
			}
			fmt.Fprint(cmd.OutOrStdout(), table.Markdown())
			for _, s := range sentences {
				fmt.Fprintln(cmd.OutOrStdout(), "- "+s)
			}
			return nil
		},
	}
	c.Flags().IntVar(&bins, "bins", bins, "ranges of timesteps")
	c.Flags().BoolVar(&findings, "findings", false, "say in sentences what the runs show")
	return c
}
