package command

import (
	"context"

	"github.com/spf13/cobra"

	"palimpsest/datasets"
	"palimpsest/kernelsetup"
)

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Say what is installed, which backend runs, what is missing and what repairs it", Args: cobra.NoArgs,
		Example: "  go run . doctor",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return kernelsetup.Doctor(cmd.Context(), cmd.OutOrStdout(), datasetChecks)
		},
	}
}

// datasetChecks says which image sets are here.
func datasetChecks(context.Context) []kernelsetup.Check {
	sets, err := datasets.List()
	if err != nil {
		return []kernelsetup.Check{{Name: "image sets", Found: err.Error(), Missing: true}}
	}
	var checks []kernelsetup.Check
	for _, s := range sets {
		c := kernelsetup.Check{Name: "images " + s.Name, Found: s.Where}
		switch {
		case s.Err != nil:
			c.Found, c.Missing, c.Optional, c.Fix = s.Err.Error(), true, true, "go run . data remove "+s.Name
		case !s.OnDisk():
			c.Found, c.Missing, c.Optional, c.Fix = "not here", true, true, "go run . data get "+s.Name
		}
		checks = append(checks, c)
	}
	return checks
}
