package command

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"palimpsest/pkg/experiment"
)

func exportCommand() *cobra.Command {
	o := experiment.ExportOptions{Flags: true}
	c := &cobra.Command{
		Use: "export RUN DIR", Short: "Write a run's network as diffusers loads it, or as plain weights", Args: cobra.ExactArgs(2),
		Long: "Export writes the network of the run in the folder RUN to the new folder DIR: a UNet2DModel and a scheduler that diffusers\n" +
			"loads in Python, with the averaged weights, and a model card, README.md, that says what they were trained on and how, what\n" +
			"was measured, and how to sample in ten lines of Python. To a name that ends in .safetensors it writes a single file of plain\n" +
			"named weights.\n" +
			"--task N takes the network after task N, here counted from 0 as the run's files are, where the run kept it (--set keep_networks=true); of a strategy whose\n" +
			"network depends on the task it takes the one that generates task N. A run at work may be exported.",
		Example: "  go run . export runs/bench/joint-seed0 models/fashion\n  go run . export runs/bench/er-lambda1-seed0 after2 --task 2 --raw\n" +
			"  go run . export runs/bench/joint-seed0 fashion.safetensors",
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Command = commandLine(); o.Format == "" {
				o.Format = experiment.FormatDiffusers
				if strings.EqualFold(filepath.Ext(args[1]), ".safetensors") {
					o.Format = experiment.FormatSafetensors
				}
			}
			o.Backend = func() (compute.Backend, error) { return openBackend(cmd.Context(), cmd.OutOrStdout()) }
			o.Warn = func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) }
			if err := experiment.Export(args[0], args[1], o); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Model: %s\n", args[1])
			return nil
		},
	}
	c.Flags().StringVar(&o.Format, "format", "", fmt.Sprintf("%q: a folder that diffusers loads; %q: a file; default: the latter for a name that ends in .safetensors, else the former", experiment.FormatDiffusers, experiment.FormatSafetensors))
	c.Flags().BoolVar(&o.Raw, "raw", false, "the trained weights, not their average")
	c.Flags().IntVar(&o.Task, "task", -1, "the network after this task, counted from 0 as in the names of files, so 0 is what words call task 1; default: the newest")
	c.Flags().BoolVar(&o.Overwrite, "overwrite", false, "replace an export that is there")
	return c
}
