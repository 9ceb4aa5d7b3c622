package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/experiment"
)

func sampleCommand() *cobra.Command {
	var (
		classes  []int
		count    int
		output   string
		guidance float64
		sampler  = diffusion.DefaultSampler()
	)
	c := &cobra.Command{
		Use: "sample DIR", Short: "Draw images from the network of a run", Args: cobra.ExactArgs(1),
		Long: "Sample draws images of the classes asked for. Where a run's network depends on the task at sampling (`strategies` says\n" +
			"of which), each class is drawn with the weights of its task; a class of several tasks can then not be named by itself.\n" +
			"A class that the run has not learned yet is drawn as well, and a line on standard error says so.",
		Example: "  go run . sample runs/bench/joint-seed0\n  go run . sample runs/bench/joint-seed0 --classes 7,9 --count 16 --sampler ancestral --steps 1000 -o shoes.png",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkEnding("-o", output, ".png"); err != nil {
				return err
			}
			if err := sampler.Validate(); err != nil {
				return experiment.Refused{Err: err}
			}
			if count < 1 {
				return experiment.Refusef("--count is %d; need 1 or more", count)
			}
			if err := atomicfile.Check(output); err != nil {
				return err
			}
			trained, err := openTrained(cmd, args[0])
			if err != nil {
				return err
			}
			defer trained.Close()
			note, err := trained.DrawSheet(cmd.Context(), output, classes, count, sampler, guidance)
			if note != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), "note:", note)
			}
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "Images: %s\n", output)
			}
			return err
		},
	}
	c.Flags().IntSliceVar(&classes, "classes", nil, "classes to draw, a row each; default: all")
	c.Flags().IntVar(&count, "count", 10, "images of each class")
	c.Flags().StringVarP(&output, "output", "o", "samples.png", "PNG to write")
	c.Flags().Float64Var(&guidance, "guidance", 0, "scale of classifier-free guidance; needs a run with loop.label_dropout")
	c.Flags().StringVar(&sampler.Name, "sampler", sampler.Name, fmt.Sprintf("one of %q", diffusion.Samplers()))
	c.Flags().IntVar(&sampler.Steps, "steps", sampler.Steps, "timesteps visited")
	c.Flags().Float64Var(&sampler.Eta, "eta", 0, "noise of ddim, 0 to 1")
	c.Flags().Uint64Var(&sampler.Seed, "seed", 0, "seed of the noise")
	return c
}
