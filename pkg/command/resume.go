package command

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"palimpsest/pkg/experiment"
)

func resumeCommand() *cobra.Command {
	var progress, typed string
	var wait bool
	c := &cobra.Command{
		Use: "resume DIR", Short: "Go on with the run in a folder from its newest checkpoint", Args: cobra.ExactArgs(1),
		Example: "  go run . resume runs/er-lambda0.3-seed0",
		RunE: func(cmd *cobra.Command, args []string) error {
			if progress != "text" && progress != "json" {
				return experiment.Refusef("--progress is %q; need text or json", progress)
			}
			o := experiment.Options{Log: cmd.OutOrStdout(), Progress: runDisplay(cmd.ErrOrStderr()), Command: typed, Wait: wait}
			if typed == "" {
				o.Command = commandLine()
			}
			if progress == "json" {
				// The process that started this one reads JSON lines.
				lines := json.NewEncoder(cmd.OutOrStdout())
				o.Log, o.Progress = nil, func(p experiment.Progress) { _ = lines.Encode(p) }
			} else if err := ensurePlugin(cmd); err != nil {
				return err
			}
			_, err := experiment.Resume(cmd.Context(), args[0], o)
			return namedFolder(err, args...)
		},
	}
	c.Flags().StringVar(&progress, "progress", "text", "\"text\", or \"json\": a JSON line at a time on standard output")
	c.Flags().BoolVar(&wait, "wait", false, "wait while another process is at work in the folder, and take it over from one that died")
	c.Flags().StringVar(&typed, "command", "", "what to store as the command that makes the run again")
	return c
}
