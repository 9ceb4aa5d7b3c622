package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/experiment"
)

func sampleCommand() *cobra.Command {
	var (
		classes  []string
		count    int
		image    string
		archive  string
		folder   string
		features string
		guidance float64
		sampler  = diffusion.DefaultSampler()
	)
	c := &cobra.Command{
		Use: "sample DIR", Short: "Draw images from the network of a run", Args: cobra.ExactArgs(1),
		Long: "Sample draws images of the classes asked for. Where a run's network depends on the task at sampling (`strategies` says\n" +
			"of which), each class is drawn with the weights of its task; a class of several tasks can then not be named by itself.\n" +
			"A class that the run has not learned yet is drawn as well, and a line on standard error says so.\n" +
			"--npz and --folder write the images themselves, as other programs' metrics read them: an archive with arr_0, [N, H, W, 3] bytes,\n" +
			"and the labels arr_1, as ADM's evaluator has it; a new folder of PNGs, for torch-fidelity and clean-fid, with labels.csv.\n" +
			"--features writes what the run's own extractor sees in them and in the reference images of their classes: samples, reference,\n" +
			"[N, D] float32, and their labels.",
		Example: "  go run . sample runs/bench/joint-seed0\n  go run . sample runs/bench/joint-seed0 --classes sneaker,bag --count 16 --sampler ancestral --steps 1000 -o shoes.png\n" +
			"  go run . sample runs/bench/joint-seed0 --count 1000 --npz samples.npz --folder samples",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := sampler.Validate(); err != nil {
				return experiment.Refused{Err: err}
			}
			if count < 1 {
				return experiment.Refusef("--count is %d; need 1 or more", count)
			}
			if cmd.Flags().Changed("classes") && len(classes) == 0 {
				return experiment.Refusef("--classes names no class; name some, or leave it out for all")
			}
			if !cmd.Flags().Changed("output") && (archive != "" || folder != "" || features != "") {
				image = ""
			}
			for _, o := range []struct{ flag, file, ending string }{{"-o", image, ".png"}, {"--npz", archive, ".npz"}, {"--features", features, ".npz"}} {
				if err := checkOutputFile(o.flag, o.file, o.ending); err != nil {
					return err
				}
			}
			if err := checkApart(written{"-o", image}, written{"--npz", archive}, written{"--folder", folder}, written{"--features", features}); err != nil {
				return err
			}
			if err := experiment.CheckNewFolder(folder); err != nil {
				return err
			}
			open := experiment.OpenToDraw
			if features != "" { // the reference images are seen, too
				open = experiment.OpenTrained
			}
			trained, err := openTrained(cmd, args[0], func(c experiment.Config, p *diffusion.Process) error {
				if !cmd.Flags().Changed("sampler") {
					sampler.Name = p.EvenSampler()
				}
				if err := experiment.CheckDraw(c, p, count, sampler, guidance); err != nil {
					return err
				}
				return experiment.CheckClasses(c, args[0], classes)
			}, open)
			if err != nil {
				return err
			}
			defer trained.Close()
			chosen, err := trained.Classes(classes)
			if err != nil {
				return err
			}
			drawn, err := trained.Draw(cmd.Context(), chosen, count, sampler, guidance)
			if err != nil {
				return err
			}
			if drawn.Note != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), "note:", drawn.Note)
			}
			for _, w := range []struct {
				what, path string
				write      func(path string) error
			}{
				{"Images", image, func(path string) error { return trained.WriteSheet(path, drawn, count) }},
				{"Images", archive, func(path string) error { return trained.WriteNPZ(path, drawn) }},
				{"Images", folder, func(path string) error { return trained.WriteFolder(path, drawn) }},
				{"Features", features, func(path string) error { return trained.WriteFeatures(path, drawn) }},
			} {
				if w.path == "" {
					continue
				}
				if err := w.write(w.path); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", w.what, w.path)
			}
			return nil
		},
	}
	c.Flags().StringSliceVar(&classes, "classes", nil, "classes to draw, by name or number, a row each; a name with a comma stands in double quotes: --classes '\"a, b\",c'; default: all")
	c.Flags().IntVar(&count, "count", 10, "images of each class")
	c.Flags().StringVarP(&image, "output", "o", "samples.png", "PNG to write")
	c.Flags().StringVar(&archive, "npz", "", "write the images and their labels to this .npz, and no PNG unless -o names one")
	c.Flags().StringVar(&folder, "folder", "", "write a PNG an image, and labels.csv, to this new folder, and no sheet unless -o names one")
	c.Flags().StringVar(&features, "features", "", "write the features of the images and of the reference images of their classes to this .npz")
	c.Flags().Float64Var(&guidance, "guidance", 0, "scale of classifier-free guidance; needs a run with loop.label_dropout")
	c.Flags().StringVar(&sampler.Name, "sampler", sampler.Name, fmt.Sprintf("one of %q; default: euler for a flow, ddim for the rest", diffusion.Samplers()))
	c.Flags().IntVar(&sampler.Steps, "steps", sampler.Steps, "timesteps visited")
	c.Flags().Float64Var(&sampler.Eta, "eta", 0, "noise of ddim, 0 to 1")
	c.Flags().StringVar(&sampler.Spacing, "spacing", "", "timesteps that ddim and ancestral visit as diffusers has them: \"leading\" or \"trailing\"; default: even ones with both ends")
	c.Flags().Uint64Var(&sampler.Seed, "seed", 0, "seed of the noise")
	return c
}
