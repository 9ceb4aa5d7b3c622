package command

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"palimpsest/pkg/experiment"
)

// calibrateCommand times the run in a folder for the process that started this one.
func calibrateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "calibrate DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := experiment.StoredConfig(args[0])
			if err != nil {
				return namedFolder(err, args...)
			}
			rates, err := experiment.Calibrate(cmd.Context(), config, experiment.Options{})
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(rates)
		},
	}
}
