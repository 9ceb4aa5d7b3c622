package command

import (
	"github.com/spf13/cobra"

	"palimpsest/kernelsetup"
	"palimpsest/pkg/experiment"
)

func labCommand() *cobra.Command {
	var o kernelsetup.LabOptions
	c := &cobra.Command{
		Use: "lab", Short: "Open JupyterLab on the notebooks, the Go kernel ready", Args: cobra.NoArgs,
		Example: "  go run . lab\n  go run . lab --no-browser --port 8899",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Port < 0 || o.Port > 65535 {
				return experiment.Refusef("--port is %d; need 0 (JupyterLab's own choice) to 65535", o.Port)
			}
			if _, err := kernelsetup.FindNotebook(o.Notebook); err != nil {
				return experiment.Refused{Err: err}
			}
			o.Out = cmd.OutOrStdout()
			return kernelsetup.Lab(cmd.Context(), o)
		},
	}
	c.Flags().BoolVar(&o.NoBrowser, "no-browser", false, "print the address instead of opening a browser")
	c.Flags().BoolVar(&o.NoCompletion, "no-completion", false, "do without gopls, which completes names in cells and takes longest to build")
	c.Flags().IntVar(&o.Port, "port", 0, "port of the server; 0: JupyterLab's own choice")
	c.Flags().StringVar(&o.Notebook, "notebook", "00_tour.ipynb", "notebook to open")
	return c
}
