package command

import (
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"palimpsest/kernelsetup"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/experiment"
)

func setupCommand() *cobra.Command {
	var o kernelsetup.SetupOptions
	var noLab, noCompletion bool
	c := &cobra.Command{
		Use: "setup", Short: "Install what is missing: XLA plugin, Go kernel, JupyterLab (pinned, private)", Args: cobra.NoArgs,
		Example: "  go run . setup                  # everything the notebooks need\n  go run . setup --cuda           # and the plugin for an NVIDIA GPU\n  go run . setup --no-lab         # the XLA plugin and the kernel only",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, known := backend.GPUPlugins[o.GPU]; o.GPU != "" && !known {
				_, err := backend.GPUPlugin(o.GPU)
				return experiment.Refused{Err: err}
			}
			if o.Plugin != "" && o.Plugin != kernelsetup.DownloadPlugin {
				if info, err := os.Stat(o.Plugin); err != nil || !info.Mode().IsRegular() {
					return experiment.Refusef("--plugin is %s, which is no file; name that of an XLA plugin for the processor, or say download", o.Plugin)
				}
			}
			o.Lab, o.Completion, o.Out = !noLab, !noCompletion, cmd.OutOrStdout()
			return kernelsetup.Setup(cmd.Context(), o)
		},
	}
	c.Flags().BoolVar(&o.CUDA, "cuda", false, "install the XLA plugin for NVIDIA GPUs too (large)")
	c.Flags().StringVar(&o.GPU, "gpu", "", "install the plugin for another GPU: "+strings.Join(slices.Sorted(maps.Keys(backend.GPUPlugins)), ", ")+" ("+backend.NotTried+")")
	c.Flags().StringVar(&o.Plugin, "plugin", "", "file of an XLA CPU plugin, for a system that none is pinned for, or the word download: go-xla's own ("+backend.NotTried+")")
	c.Flags().BoolVar(&noLab, "no-lab", false, "leave out JupyterLab")
	c.Flags().BoolVar(&noCompletion, "no-completion", false, "leave out gopls, which completes names in cells")
	return c
}
