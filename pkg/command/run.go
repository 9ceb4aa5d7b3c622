package command

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"palimpsest/pkg/experiment"
	"palimpsest/pkg/words"
)

func runCommand() *cobra.Command {
	var dir string
	var set []string
	var defaults bool
	c := &cobra.Command{
		Use: "run CONFIG", Short: "Make the run a YAML file describes",
		Args: func(cmd *cobra.Command, args []string) error {
			if defaults {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		Example: "  go run . run --defaults > my.yaml\n  go run . run my.yaml\n  go run . run my.yaml --set seed=1 --set strategy.name=er --set strategy.lambda=0.3 --dir runs/second",
		RunE: func(cmd *cobra.Command, args []string) error {
			if defaults {
				for _, other := range []string{"dir", "set", "skip-broken"} {
					if cmd.Flags().Changed(other) {
						return experiment.Refusef("--defaults prints settings as they are, and there is --%s; leave one of them out", other)
					}
				}
				text, err := experiment.DefaultText()
				if err == nil {
					_, err = cmd.OutOrStdout().Write(text)
				}
				return err
			}
			if _, err := importInit(cmd, set, false); err != nil {
				return err
			}
			config, err := experiment.LoadConfigFlags(args[0], set...)
			if err != nil {
				return namedFile(err, args...)
			}
			if dir == "" {
				dir = filepath.Join("runs", config.RunName())
			}
			if err := experiment.CheckRun(config, dir); err != nil { // what needs no backend to be known
				if alone, broken := experiment.LoadConfig(args[0]); len(set) > 0 && broken == nil && experiment.CheckRun(alone, dir) == nil {
					return experiment.Refused{Err: err} // without what is set there is nothing wrong
				}
				return err
			}
			return makeRun(cmd, config, dir)
		},
	}
	c.Flags().BoolVar(&defaults, "defaults", false, "print the settings of the quick benchmark as YAML, to start a file from")
	c.Flags().StringVar(&dir, "dir", "", "run folder; default: runs/NAME")
	c.Flags().StringArrayVar(&set, "set", nil, "one setting, KEY=VALUE, over the file's; may be repeated")
	skipBrokenFlag(c)
	return c
}

// makeRun makes the run that a configuration describes in the folder dir, once [experiment.CheckRun] has passed it, and says where
// its result is.
func makeRun(cmd *cobra.Command, config experiment.Config, dir string) error {
	if err := ensurePlugin(cmd); err != nil {
		return err
	}
	if _, err := experiment.Run(cmd.Context(), config, dir, experiment.Options{Log: cmd.OutOrStdout(), Progress: runDisplay(cmd.ErrOrStderr()), Command: commandLine()}); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "\nResult: %s\nReport: `go run . report %s`\n", filepath.Join(dir, "result.json"), words.Shell(dir))
	return nil
}

// runDisplay shows the progress of one run: a line that is written over in a terminal, else one every 15 seconds, where it says
// something new.
func runDisplay(out io.Writer) func(experiment.Progress) {
	terminal := isTerminal(out)
	var last time.Time
	var said string
	return func(p experiment.Progress) {
		line := fmt.Sprintf("%3.0f%% %s", 100*p.Fraction, p)
		switch {
		case terminal:
			fmt.Fprintf(out, "\r\033[K%s", line)
		case line != said && time.Since(last) > 15*time.Second:
			last, said = time.Now(), line
			fmt.Fprintln(out, line)
		}
	}
}
