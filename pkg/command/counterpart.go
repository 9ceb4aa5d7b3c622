package command

import (
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/pkg/errors"
	"github.com/spf13/cobra"

	"palimpsest/kernelsetup"
	"palimpsest/pkg/counterpart"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/sheet"
)

func counterpartCommand() *cobra.Command {
	var python string
	var write bool
	c := &cobra.Command{
		Use: "counterpart", Short: "Hold exports, imports, event files and measures against the programs that they are made for", Args: cobra.NoArgs,
		Long: "Counterpart has diffusers make random models of every form that `import` reads, and compares its predictions and DDIM's images\n" +
			"with ours, then the other way round with models that `export` writes, a flow among them; TensorBoard reads an event file of\n" +
			"ours; torch-fidelity computes FID, and prdc precision, recall, density and coverage, of features as `sample --features` writes\n" +
			"them. They get an environment of their own in the cache folder, made when first asked for: 6.0 GB, most of it PyTorch. The\n" +
			"tests compare the same with files that this command wrote once, and need no Python.",
		Example: "  go run . counterpart\n  go run . counterpart --python ~/venv/bin/python",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkPython(python); err != nil {
				return err
			}
			var err error
			if python == "" {
				if python, err = kernelsetup.PeerPython(cmd.Context(), "diffusers", cmd.ErrOrStderr()); err != nil {
					return err
				}
			}
			back, err := openBackend(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			o := counterpart.Options{Python: python, Backend: back, Out: cmd.OutOrStdout()}
			if write {
				o.Write = filepath.Join("pkg", "counterpart", "testdata")
			}
			return counterpart.Check(cmd.Context(), o)
		},
	}
	c.PersistentFlags().StringVar(&python, "python", "", "a Python that has diffusers, torch, tensorboard, torch-fidelity and prdc, in place of an environment made for them")
	c.Flags().BoolVar(&write, "write", false, "write the files of the tests anew, in a checkout's main folder")
	c.AddCommand(counterpartDrawCommand(&python))
	return c
}

// checkPython refuses a program that is not there; "" passes.
func checkPython(python string) error {
	if python == "" {
		return nil
	}
	if _, err := exec.LookPath(python); err != nil {
		return experiment.Refusef("--python is %s, and there is no such program; name a Python, or leave it out to have one made", python)
	}
	return nil
}

// counterpartDrawCommand has both programs draw with one model.
func counterpartDrawCommand(python *string) *cobra.Command {
	var each, steps int
	var seed uint64
	var to string
	c := &cobra.Command{
		Use: "draw DIR", Short: "Have diffusers and this program draw images with one model, from the same noise", Args: cobra.ExactArgs(1),
		Long: "Draw has diffusers draw images of every label with the model in the folder DIR, one that it or `export` wrote, by DDIM, and\n" +
			"keeps them and their noise in drawn.safetensors there. This program draws from the same noise, and both are compared. The number\n" +
			"of steps is to divide that of the model's timesteps: with others diffusers' DDIM steps to timesteps that it does not visit.",
		Example: "  go run . counterpart draw notebooks/from_diffusers/model --sheet both.png",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkPython(*python); err != nil {
				return err
			}
			if err := checkOutputFile("--sheet", to, ".png"); err != nil {
				return err
			}
			redraw, err := counterpart.PrepareRedraw(args[0], each, steps)
			switch {
			case errors.As(err, new(counterpart.BadNumber)):
				return experiment.Refused{Err: err}
			case err != nil:
				return namedFolder(err, args[0])
			}
			interpreter := *python
			if interpreter == "" {
				if interpreter, err = kernelsetup.PeerPython(cmd.Context(), "diffusers", cmd.ErrOrStderr()); err != nil {
					return err
				}
			}
			if err := redraw(cmd.Context(), interpreter, seed); err != nil {
				return err
			}
			back, err := openBackend(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			drawn, err := counterpart.Draw(back, args[0])
			if err != nil {
				return err
			}
			if to != "" {
				picture, err := drawn.Sheet(4)
				if err != nil {
					return err
				}
				if err := sheet.Write(to, picture); err != nil {
					return err
				}
			}
			furthest, err := drawn.Furthest()
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d images, no pixel further apart than %.1e of a range of 2\n", len(drawn.Labels), furthest)
			if !(furthest <= counterpart.ImageTolerance) {
				return errors.Errorf("the two programs' images are further apart than %.0e, which roundings alone do not explain; see `go run . counterpart`", counterpart.ImageTolerance)
			}
			return nil
		},
	}
	c.Flags().IntVar(&each, "each", 4, "images of each label")
	c.Flags().IntVar(&steps, "steps", 20, "timesteps visited by DDIM")
	c.Flags().Uint64Var(&seed, "seed", 0, "seed of the noise")
	c.Flags().StringVar(&to, "sheet", "", "also write a PNG: a label a row, ours at the left, diffusers' at the right")
	return c
}
