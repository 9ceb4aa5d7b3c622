package command

import (
	"github.com/pkg/errors"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// needs says in words what a flag of each type takes.
var needs = map[string]string{
	"bool":     "true or false",
	"float64":  "a number",
	"int":      "a whole number",
	"intSlice": "whole numbers, with commas between them",
	"uint64":   "a whole number from 0 on",
}

// flagError says of a flag's value that cannot be read what is needed, in place of the parser's own words. It is for
// [cobra.Command.SetFlagErrorFunc].
func flagError(_ *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	if need, ok := needs[invalid.GetFlag().Value.Type()]; ok {
		return errors.Errorf("--%s is %q; need %s", invalid.GetFlag().Name, invalid.GetValue(), need)
	}
	return err
}
