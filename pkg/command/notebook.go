package command

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/pkg/errors"
	"github.com/spf13/cobra"

	"palimpsest/kernelsetup"
	"palimpsest/notebooks/kernel"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/words"
)

func notebookCommand() *cobra.Command {
	var set []string
	var out, page, pdf string
	var timeout time.Duration
	c := &cobra.Command{
		Use: "notebook NAME", Short: "Run a notebook without a browser, with other parameters if asked for", Args: cobra.ExactArgs(1),
		Long: "Runs the cells of a notebook, one of the folder notebooks by its name or any by its path, in a kernel of its own, in the\n" +
			"notebook's folder, and stores it with what its cells show. A cell that fails ends it, with the cell's error; what there is\n" +
			"up to there, or to an interrupt, is stored under the output's name with .failed before .ipynb. Interrupted, runs keep a\n" +
			"checkpoint, and the same command goes on. Parameters are the constants of the cell tagged `parameters`, as papermill has them.",
		Example: "  go run . notebook 01_benchmark --set seed=3 --html out.html --pdf out.pdf\n" +
			"  go run . notebook notebooks/00_tour.ipynb -o notebooks/00_tour.ipynb",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, o := range []struct{ flag, file, end string }{{"--out", out, ".ipynb"}, {"--html", page, ".html"}, {"--pdf", pdf, ".pdf"}} {
				if err := checkOutputFile(o.flag, o.file, o.end); err != nil {
					return err
				}
			}
			in, err := kernelsetup.FindNotebook(args[0])
			if err != nil {
				return experiment.Refused{Err: err}
			}
			nb, err := kernel.Read(in)
			if err != nil {
				return err
			}
			if nb, err = nb.SetParameters(set); err != nil {
				return experiment.Refused{Err: err}
			}
			convert, err := kernelsetup.NewConverter(cmd.Context(), page, pdf, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			installed, err := kernelsetup.EnsureKernel(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			process, err := kernel.Start(cmd.Context(), installed.Options(filepath.Dir(in)))
			if err != nil {
				return err
			}
			defer process.Close()
			start := time.Now()
			done, err := nb.Run(cmd.Context(), process, kernel.RunOptions{CellTimeout: timeout, OnCell: func(number int, first string) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%6.1f s  cell %d: %s\n", time.Since(start).Seconds(), number, first)
			}})
			if err != nil && out != "" {
				failed := strings.TrimSuffix(out, ".ipynb") + ".failed.ipynb"
				if err := done.Write(failed); err != nil {
					return err
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "%s holds what there is up to here\n", words.Shell(failed))
			}
			if err != nil {
				return errors.WithMessage(err, in)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%6.1f s  done\n", time.Since(start).Seconds())
			if out != "" {
				if err := done.Write(out); err != nil {
					return err
				}
			}
			return convert.Convert(cmd.Context(), done)
		},
	}
	c.Flags().StringArrayVar(&set, "set", nil, "one parameter, NAME=VALUE, over the notebook's; may be repeated")
	c.Flags().StringVarP(&out, "out", "o", "", "store the notebook with its outputs in this file, .ipynb")
	c.Flags().StringVar(&page, "html", "", "write it as a page, .html, by nbconvert")
	c.Flags().StringVar(&pdf, "pdf", "", "write it as a document, .pdf, printed by Chromium")
	c.Flags().DurationVar(&timeout, "timeout", time.Hour, "limit for each cell; 0: none")
	return c
}
