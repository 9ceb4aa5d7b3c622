package experiment

import (
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/metrics"
)

// Exit codes of a process that makes a run and fails. A parent knows by them what became of it: see [Processes].
const (
	ExitFailed   = 1 // it says what is wrong, and would say the same at every try
	ExitUsage    = 2 // what it was asked for cannot be, by the command line alone ([Refused])
	ExitDiverged = 3 // likewise; the numbers left the finite ones ([Diverged])
	ExitMemory   = 4 // memory ran out, which passes when others end
)

// ExitCode is that of a process whose command ends with err.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case outOfMemory(err):
		return ExitMemory
	case Diverged(err):
		return ExitDiverged
	case errors.As(err, new(datasets.Unfit)): // by whatever words it was named
		return ExitFailed
	case errors.As(err, new(Refused)):
		return ExitUsage
	}
	return ExitFailed
}

// Refused is the error of words that ask for what cannot be: settings and names of a command line, and paths where nothing is,
// not what stands in the files that it names ([datasets.Unfit]). Nothing has begun.
type Refused struct{ Err error }

// Error implements error.
func (r Refused) Error() string { return r.Err.Error() }

// Unwrap gives the error itself.
func (r Refused) Unwrap() error { return r.Err }

// refuse makes an error one of [Refused]; nil stays nil.
func refuse(err error) error {
	if err == nil {
		return nil
	}
	return Refused{err}
}

// Refusef makes an error of [Refused].
func Refusef(format string, args ...any) error { return Refused{errors.Errorf(format, args...)} }

// Diverged says whether a run failed because its training or its samples left the finite numbers: settings that do so are
// a candidate's result, not a failure of a search.
func Diverged(err error) bool {
	return errors.As(err, new(diffusion.Diverged)) || errors.As(err, new(metrics.NotFinite))
}

// outOfMemory says whether memory ran out, the system's or a device's. XLA and what it is linked with say so in words alone.
func outOfMemory(err error) bool {
	text := strings.ToLower(err.Error())
	return slices.ContainsFunc([]string{"out of memory", "resource_exhausted", "cannot allocate memory"}, func(sign string) bool {
		return strings.Contains(text, sign)
	})
}
