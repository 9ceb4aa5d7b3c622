package command

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pkg/errors"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/settings"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// needs says in words what a flag of each type takes.
var needs = map[string]string{
	"bool":     "true or false",
	"float64":  "a number",
	"folder":   "a folder",
	"int":      "a whole number",
	"intSlice": "whole numbers, with commas between them",
	"uint64":   "a whole number from 0 on",
}

// namedFolder makes an error one of the command line where one of the paths that it names is no folder, or holds nothing of what is asked for.
func namedFolder(err error, paths ...string) error {
	if errors.As(err, new(study.NoRun)) || errors.As(err, new(diffusers.NoModel)) {
		return experiment.Refused{Err: err}
	}
	return named(err, paths, func(info fs.FileInfo) bool { return info.IsDir() })
}

// namedFile makes an error one of the command line where one of the paths that it names is no file.
func namedFile(err error, paths ...string) error {
	return named(err, paths, func(info fs.FileInfo) bool { return info.Mode().IsRegular() })
}

// named makes an error one of the command line where there is nothing at one of the paths that it names, or nothing fit.
func named(err error, paths []string, fit func(fs.FileInfo) bool) error {
	for _, path := range paths {
		info, missing := os.Stat(path)
		if err != nil && (errors.Is(missing, fs.ErrNotExist) || errors.Is(missing, syscall.ENOTDIR) || missing == nil && !fit(info)) {
			return experiment.Refused{Err: err}
		}
	}
	return err
}

// checkEmpty refuses an argument, or a flag's value, that is empty: as the place of a file it would be a folder nobody has named.
func checkEmpty(cmd *cobra.Command, args []string) error {
	if slices.Contains(args, "") {
		return experiment.Refusef("an argument is empty; %s needs %s", cmd.Name(), words.List(operands(cmd)))
	}
	var empty string
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" && f.Name != "command" { // which one process gives another
			empty = f.Name
		}
	})
	if empty != "" {
		return experiment.Refusef("--%s is empty; give it a value, or leave it out", empty)
	}
	return nil
}

// operands are the names that a command's usage gives its arguments.
func operands(cmd *cobra.Command) []string {
	return strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(strings.TrimPrefix(cmd.Use, cmd.Name())))
}

// nameArgs has every command of a tree name its arguments where it is given too few or too many, in place of the parser's own words.
func nameArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err != nil && len(operands(cmd)) == 0 {
				hint := ""
				if cmd.Flags().Lookup("strategies") != nil && slices.Contains(cl.Names(), cl.FullName(args[0])) {
					hint = "; strategies are given as --strategies " + strings.Join(args, ",")
				} else if tuned := cmd.Flags().Lookup("tuned"); tuned != nil && tuned.Changed {
					hint = "; a folder of chosen settings is given as --tuned=DIR"
				}
				return errors.Errorf("%s takes no arguments; given were %d: %s%s", cmd.Name(), len(args), words.Some(args, 4), hint)
			}
			if err == nil || !strings.Contains(err.Error(), "arg(s)") {
				return err
			}
			given := "none"
			if len(args) > 0 {
				given = fmt.Sprintf("%d: %s", len(args), words.Some(args, 4))
			}
			return errors.Errorf("%s needs %s; given were %s", cmd.Name(), words.List(operands(cmd)), given)
		}
	}
	for _, sub := range c.Commands() {
		nameArgs(sub)
	}
}

// checkOutputFolder refuses a folder to write to that cannot be one or takes no files; "" passes.
func checkOutputFolder(flag, dir string) error {
	if dir == "" {
		return nil
	}
	if err := atomicfile.CheckFolder(dir); err != nil {
		return experiment.Refused{Err: errors.WithMessage(err, flag)}
	}
	return nil
}

// checkOutputFile refuses a file to write that cannot be one, because something else is in its place or its folder takes none, and one
// that another program would take for something else by its ending; "" passes, as any ending does where none is given.
func checkOutputFile(flag, file string, endings ...string) error {
	if file == "" {
		return nil
	}
	if len(endings) > 0 && !slices.Contains(endings, strings.ToLower(filepath.Ext(file))) {
		return experiment.Refusef("%s is %q; need a name that ends in %s, which is what is written", flag, file, endings[0])
	}
	if err := atomicfile.Check(file); err != nil {
		return experiment.Refused{Err: errors.WithMessage(err, flag)}
	}
	return nil
}

// checkSection refuses a Markdown file without a section of that name, or one that cannot be written.
func checkSection(flag, file, name string) error {
	if err := table.HasSection(file, name); err != nil {
		return experiment.Refused{Err: errors.WithMessage(err, flag)}
	}
	return checkOutputFile(flag, file)
}

// written is a flag and the file or folder that it has written; "": none.
type written struct{ flag, path string }

// checkApart refuses two outputs in one place, also where links lead to it: the second would be in place of the first.
func checkApart(all ...written) error {
	taken := map[string]written{}
	for _, o := range all {
		if o.path == "" {
			continue
		}
		place, err := filepath.Abs(o.path)
		if err != nil {
			return errors.WithStack(err)
		}
		if real, err := filepath.EvalSymlinks(place); err == nil {
			place = real
		} else if real, err := filepath.EvalSymlinks(filepath.Dir(place)); err == nil { // it is not there yet
			place = filepath.Join(real, filepath.Base(place))
		}
		if before, ok := taken[place]; ok {
			return experiment.Refusef("%s %s and %s %s are one place; name another for one of them", before.flag, before.path, o.flag, o.path)
		}
		taken[place] = o
	}
	return nil
}

// skipBrokenFlag gives a command that has --set the flag that goes on without pictures that cannot be read, which is a setting of its own.
func skipBrokenFlag(c *cobra.Command) {
	c.Flags().BoolFunc("skip-broken", "go on without pictures that cannot be read (benchmark.prep.skip_broken); the result lists them", func(value string) error {
		return c.Flags().Set("set", "benchmark.prep.skip_broken="+value) // its first value replaces what the list holds
	})
}

// flagError says of a flag's value that cannot be read what is needed, in place of the parser's own words. It is for
// [cobra.Command.SetFlagErrorFunc].
func flagError(_ *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	if need, ok := needs[invalid.GetFlag().Value.Type()]; ok {
		if _, whole := invalid.GetFlag().Value.(decimal); whole && settings.OtherBase(invalid.GetValue()) {
			need += settings.InDecimal
		}
		return errors.Errorf("--%s is %q; need %s", invalid.GetFlag().Name, invalid.GetValue(), need)
	}
	return err
}

// decimal is the value of a flag that is a whole number, which the parser would read in base 8 after a leading zero.
type decimal struct{ number pflag.Value }

// Set implements [pflag.Value].
func (d decimal) Set(text string) error {
	if settings.OtherBase(text) {
		return errors.New("not decimal")
	}
	return d.number.Set(text)
}

// String implements [pflag.Value].
func (d decimal) String() string { return d.number.String() }

// Type implements [pflag.Value].
func (d decimal) Type() string { return d.number.Type() }

// decimalFlags has every whole number among the flags of a tree of commands read in decimal digits.
func decimalFlags(c *cobra.Command) {
	wrap := func(f *pflag.Flag) {
		if kind := f.Value.Type(); strings.HasPrefix(kind, "int") && !strings.HasSuffix(kind, "Slice") || strings.HasPrefix(kind, "uint") {
			f.Value = decimal{f.Value}
		}
	}
	c.Flags().VisitAll(wrap)
	c.PersistentFlags().VisitAll(wrap)
	for _, below := range c.Commands() {
		decimalFlags(below)
	}
}
