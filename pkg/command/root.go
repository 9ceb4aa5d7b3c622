package command

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"github.com/spf13/cobra"

	"palimpsest/pkg/experiment"
	"palimpsest/pkg/host"
	"palimpsest/pkg/words"
)

// Main runs the command that the command line names and returns the code to exit with.
func Main() int {
	ctx, stdout, stderr, stop := start()
	defer stop()
	usage := true // until a command's own work begins, an error is one of usage
	root := newRoot(func() { usage = false })
	checkTopics(root)
	root.SetOut(stdout)
	root.SetErr(stderr)
	called, err := root.ExecuteContextC(ctx)
	code := end(ctx, err, stdout, stderr, goesOn(called))
	if code == experiment.ExitFailed && usage {
		fmt.Fprintln(stderr, "`go run . --help` lists the commands, `go run . COMMAND --help` explains one")
		code = experiment.ExitUsage
	}
	return code
}

// goOn are the commands that, stopped and given again, go on where they stopped.
var goOn = []string{"bench", "search", "run", "resume", "extend", "setup", "lab", "notebook", "perf"}

// goesOn says whether the command as it was given goes on where it was stopped: what only looks has nothing to go on with.
func goesOn(c *cobra.Command) bool {
	for _, looks := range []string{"dry-run", "status", "defaults"} {
		if f := c.Flags().Lookup(looks); f != nil && f.Changed && f.Value.String() == "true" {
			return false
		}
	}
	return slices.Contains(goOn, c.Name())
}

// newRoot is the tree of all commands; begins is called when the work of one begins.
func newRoot(begins func()) *cobra.Command {
	root := &cobra.Command{
		Use:   "palimpsest",
		Short: "Continual learning of diffusion models: train one task after another, see what is forgotten",
		Long: "Palimpsest trains denoising diffusion models on a sequence of tasks under continual-learning strategies and\n" +
			"measures what each forgets and what remembering costs. Start with `go run . bench`, then `go run . lab`.",
		Version: "commit", SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			begins()
			return checkEmpty(cmd, args)
		},
	}
	root.SetFlagErrorFunc(flagError)
	cobra.AddTemplateFunc("commit", version) // asked of git, so not before it is wanted
	root.SetVersionTemplate("palimpsest {{commit}}\n")
	root.AddCommand(setupCommand(), labCommand(), notebookCommand(), benchCommand(), searchCommand(), runCommand(), resumeCommand(), extendCommand(), sampleCommand(),
		exportCommand(), importCommand(), counterpartCommand(),
		bpdCommand(), calibrateCommand(), dynamicsCommand(), autopsyCommand(), reportCommand(), dataCommand(), strategiesCommand(), doctorCommand(),
		perfCommand())
	nameArgs(root)
	decimalFlags(root)
	return root
}

// checkTopics has cobra's own two commands, which show a page of help whatever they are asked for, refuse what there is not.
func checkTopics(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil { // what cannot run is never asked about its arguments
		completion.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = func(_ *cobra.Command, topic []string) error {
			at, rest, err := root.Find(topic)
			if err == nil && len(rest) > 0 {
				err = errors.Errorf("unknown command %q for %q", rest[0], at.CommandPath())
			}
			return err
		}
	}
}

// version is the commit that the program comes from, with "+" where files of it were changed since.
func version() string {
	commit, dirty := host.Commit()
	if dirty {
		commit += "+"
	}
	return commit
}

// commandLine is how the user called this program.
func commandLine() string {
	typed := []string{"go run ."}
	for _, a := range os.Args[1:] {
		typed = append(typed, words.Shell(a))
	}
	return strings.Join(typed, " ")
}
