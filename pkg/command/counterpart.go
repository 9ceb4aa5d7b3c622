package command

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"palimpsest/kernelsetup"
	"palimpsest/pkg/counterpart"
)

func counterpartCommand() *cobra.Command {
	var python string
	var write bool
	c := &cobra.Command{
		Use: "counterpart", Short: "Hold exports, imports and event files against diffusers and TensorBoard themselves", Args: cobra.NoArgs,
		Long: "Counterpart has diffusers make random models of every form that `import` reads, and compares its predictions and DDIM's images\n" +
			"with ours, then the other way round with models that `export` writes; TensorBoard reads an event file of ours. They get an\n" +
			"environment of their own in the cache folder, made when first asked for: 5.7 GB, most of it PyTorch. The tests compare the\n" +
			"same with files that this command wrote once, and need no Python.",
		Example: "  go run . counterpart\n  go run . counterpart --python ~/venv/bin/python",
		RunE: func(cmd *cobra.Command, _ []string) error {
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
	c.Flags().StringVar(&python, "python", "", "a Python that has diffusers, torch and tensorboard, in place of an environment made for them")
	c.Flags().BoolVar(&write, "write", false, "write the files of the tests anew, in a checkout's main folder")
	return c
}
