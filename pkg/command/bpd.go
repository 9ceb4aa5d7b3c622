package command

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/words"
)

func bpdCommand() *cobra.Command {
	o := experiment.BPDOptions{Batch: 256}
	c := &cobra.Command{
		Use: "bpd DIR", Short: "Measure the bits per dimension of every task's test images under a run's network", Args: cobra.ExactArgs(1),
		Long: "Bpd bounds the negative log-likelihood of test images, in bits per dimension, by the variational bound. By default it\n" +
			"estimates it from some timesteps of each image; --terms 0 computes the whole bound with its parts (prior, diffusion\n" +
			"terms, decoder) and stores all terms in DIR/likelihood. Lower is better, but it says little about samples: compare\n" +
			"it within one protocol only. A flow (diffusion.prediction=flow) has no such bound: --ode measures its likelihood.",
		Example: "  go run . bpd runs/bench/joint-seed0\n  go run . bpd runs/bench/finetune-seed0 --images 16 --terms 0\n  go run . bpd runs/bench/finetune-seed0 --images 8 --terms 0 --ode 4",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Validate(); err != nil {
				return experiment.Refused{Err: err}
			}
			trained, err := openTrained(cmd, args[0], func(_ experiment.Config, p *diffusion.Process) error {
				if !p.HasBound() && cmd.Flags().Changed("terms") {
					return experiment.Refusef("--terms is of the variational bound, which prediction %q has not; leave it out", p.Prediction)
				}
				return o.ValidateFor(p)
			}, experiment.OpenTrained)
			if err != nil {
				return err
			}
			defer trained.Close()
			if isTerminal(cmd.ErrOrStderr()) {
				bar := progressbar.NewOptions(len(trained.Benchmark.Tasks)*1000, progressbar.OptionSetWriter(cmd.ErrOrStderr()),
					progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish())
				o.Progress = func(task, done, total int) { _ = bar.Set(task*1000 + 1000*done/total) }
			}
			flow := !trained.Network.Process.HasBound()
			want := o.Images
			if flow {
				want = o.ODE
			}
			for k, t := range trained.Benchmark.Tasks {
				if t.Test.N < want {
					fmt.Fprintf(cmd.ErrOrStderr(), "note: %s has %d test images of the %d asked for; all are measured\n", words.Task(k), t.Test.N, want)
				}
			}
			tasks, err := trained.BPD(cmd.Context(), args[0], o)
			if err != nil {
				return err
			}
			for _, t := range tasks {
				if flow {
					fmt.Fprintf(cmd.OutOrStdout(), "%s  %s bits/dim by the ODE over %d test images  (%s)\n", words.Task(t.Task), words.PlusMinus(t.ODEBPD, t.ODESE, 3), t.ODEImages, t.Name)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s bits/dim over %d test images", words.Task(t.Task), words.PlusMinus(t.BPD, t.SE, 3), t.Images)
				if p := t.Parts; p != nil {
					fmt.Fprintf(cmd.OutOrStdout(), " = prior %.5f + diffusion %.3f + decoder %.3f", p.PriorBPD, p.DiffuseBPD, p.DecoderBPD)
				}
				if t.ODEImages > 0 {
					fmt.Fprintf(cmd.OutOrStdout(), "; by the ODE %s where the bound is %.3f, on %d images", words.PlusMinus(t.ODEBPD, t.ODESE, 3), t.SameBound, t.ODEImages)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "  (%s)\n", t.Name)
			}
			if flow {
				fmt.Fprintln(cmd.OutOrStdout(), "± is the standard error over images; tolerance of the ODE 1e-5")
			} else if o.Terms > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "estimated from %d of %d timesteps an image; ± is the standard error against all of them\n", o.Terms, trained.Network.Process.T)
			} else {
				fmt.Fprintf(cmd.OutOrStdout(), "± is the standard error over images; all terms are in %s\n", filepath.Join(args[0], "likelihood"))
			}
			return nil
		},
	}
	c.Flags().IntVar(&o.Images, "images", 32, "test images of each task")
	c.Flags().IntVar(&o.Terms, "terms", 81, "timesteps an image, odd; 0: all of them")
	c.Flags().IntVar(&o.ODE, "ode", 0, "with --terms 0, or of a flow: so many images of each task also by the probability-flow ODE (tolerance 1e-5), which takes minutes")
	c.Flags().Uint64Var(&o.Seed, "seed", 0, "seed of the noise")
	return c
}
