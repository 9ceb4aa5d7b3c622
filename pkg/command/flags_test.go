package command

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The help of a flag has no words in backquotes, which would be taken for the name of its value.
func TestHelpOfFlagsHasNoBackquotes(t *testing.T) {
	seen := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			seen++
			if strings.Contains(f.Usage, "`") {
				t.Errorf("%s --%s: %s", c.CommandPath(), f.Name, f.Usage)
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(func() {}))
	if seen < 50 {
		t.Errorf("only %d flags are there; they are no longer found", seen)
	}
}

// Values that cannot be read are told in plain words, without the parser's own.
func TestFlagError(t *testing.T) {
	for arg, want := range map[string]string{
		"--seed=-1":      `--seed is "-1"; need a whole number from 0 on`,
		"--classes=x":    `--classes is "x"; need whole numbers, with commas between them`,
		"--scale=much":   `--scale is "much"; need a number`,
		"--count=1.5":    `--count is "1.5"; need a whole number`,
		"--loud=perhaps": `--loud is "perhaps"; need true or false`,
		"--nosuch=1":     "unknown flag: --nosuch",
	} {
		c := &cobra.Command{Use: "test", SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { return nil }}
		c.Flags().Uint64("seed", 0, "")
		c.Flags().IntSlice("classes", nil, "")
		c.Flags().Float64("scale", 0, "")
		c.Flags().Int("count", 0, "")
		c.Flags().Bool("loud", false, "")
		c.SetFlagErrorFunc(flagError)
		c.SetArgs([]string{arg})
		if err := c.Execute(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", arg, err, want)
		}
	}
}

// Whole numbers among flags are decimal, though the parser takes 010 for 8.
func TestFlagsAreDecimal(t *testing.T) {
	for typed, want := range map[string]string{
		"bench --seeds 010": `--seeds is "010"; need a whole number, in decimal digits without a leading 0`,
		"bench --seeds x":   `--seeds is "x"; need a whole number`,
	} {
		root := newRoot(func() {})
		root.SetArgs(strings.Fields(typed))
		if err := root.Execute(); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", typed, err, want)
		}
	}
}

// A word where a command takes none is told as one, and that of a strategy where it goes.
func TestArgumentsWhereThereAreNone(t *testing.T) {
	for typed, want := range map[string]string{
		"bench er":         "bench takes no arguments; given were 1: er; strategies are given as --strategies er",
		"bench er ewc":     "--strategies er,ewc",
		"bench runs/here":  "bench takes no arguments; given were 1: runs/here",
		"doctor finetune":  "doctor takes no arguments; given were 1: finetune",
		"lab here and now": "lab takes no arguments; given were 3: here, and, now",
	} {
		root := newRoot(func() {})
		root.SetArgs(strings.Fields(typed))
		if err := root.Execute(); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", typed, err, want)
		}
	}
}

// The flag is a setting like the others of the command line, wherever it stands among them.
func TestSkipBrokenAmongSettings(t *testing.T) {
	for _, args := range [][]string{
		{"--skip-broken", "--set", "seed=1", "--set", "loop.batch=2"},
		{"--set", "seed=1", "--skip-broken", "--set", "loop.batch=2"},
		{"--set", "seed=1", "--set", "loop.batch=2", "--skip-broken"},
	} {
		c := &cobra.Command{}
		set := c.Flags().StringArray("set", nil, "")
		skipBrokenFlag(c)
		if err := c.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		slices.Sort(*set)
		if want := []string{"benchmark.prep.skip_broken=true", "loop.batch=2", "seed=1"}; !slices.Equal(*set, want) {
			t.Errorf("%q sets %q, not %q", args, *set, want)
		}
	}
}
