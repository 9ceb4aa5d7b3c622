package command

import (
	"fmt"

	"github.com/pkg/errors"
	"github.com/spf13/cobra"

	"palimpsest/pkg/experiment"
	"palimpsest/pkg/words"
)

func extendCommand() *cobra.Command {
	x := experiment.Extension{Flags: true}
	var dir string
	c := &cobra.Command{
		Use: "extend RUN", Short: "Go on with a finished run on classes or sets that arrived later", Args: cobra.ExactArgs(1),
		Long: "Extend makes a new run that begins where the finished one in the folder RUN ended, with all that its strategy keeps, and learns\n" +
			"further tasks: classes of its set that it has not learned (--tasks), or other sets, each as a task (--dataset). Old tasks\n" +
			"are measured again with the new ones. RUN stays as it is, and is needed until the first checkpoint; the same command, also once\n" +
			"RUN is gone, or `resume` goes on with a new run that was stopped. It equals one run of all tasks, bit for bit, where the strategy allows it:\n" +
			"pkg/command/README.md.",
		Example: "  go run . extend runs/er-lambda1-seed0 --tasks '[[8, 9]]'\n  go run . extend runs/er-lambda1-seed0 --tasks '[[Bag], [Shirt, Coat]]' --dir runs/later\n" +
			"  go run . extend runs/er-lambda1-seed0 --dataset mnist-10k",
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := x.Of(args[0])
			if err != nil {
				begun, began, same := x.Begun(args[0], dir)
				switch {
				case same: // it needs RUN no more
					fmt.Fprintf(cmd.ErrOrStderr(), "note: %v; the run in %s, which extends it, needs it no more and goes on\n", err, begun)
					config, dir = began, begun
				case begun != "":
					return namedFolder(errors.Errorf("%v; the run in %s, which extends it by other tasks or settings, needs it no more and goes on by `go run . resume %s`", err, begun, words.Shell(begun)), args...)
				default:
					return namedFolder(err, args...)
				}
			}
			if dir == "" {
				dir = config.Folder(args[0])
			}
			if err := experiment.CheckRun(config, dir); err != nil { // what needs no backend to be known
				return err
			}
			return makeRun(cmd, config, dir)
		},
	}
	c.Flags().StringVar(&x.Tasks, "tasks", "", "the classes of each task to come, by name or number: '[[8, 9]]'")
	c.Flags().StringArrayVar(&x.Datasets, "dataset", nil, "a set to come, as one task; may be repeated")
	c.Flags().StringVar(&dir, "dir", "", "folder of the new run; default: beside RUN, by its name and the number of tasks")
	c.Flags().StringArrayVar(&x.Set, "set", nil, "one setting, KEY=VALUE, of probe, autopsy, bpd, cores, checkpoint_every or keep_networks; all others are those of RUN; may be repeated")
	return c
}
