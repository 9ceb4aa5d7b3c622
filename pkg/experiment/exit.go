package experiment

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/host"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/words"
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

// asked finds how much memory was asked for in what XLA, its plugins and the system say of it.
var asked = regexp.MustCompile(`(?i)alloc\w*(?: of)? ([0-9][0-9.,]*) ?(bytes|[kmgt]i?b)`)

// ranOut begins what [Told] says of memory.
const ranOut = "memory ran out"

// Told is what to tell of an error: its own words or, where memory ran out, how much was asked for and how much is free, what to
// lower, and then its own words on one line. Of none it is "".
func Told(err error) string {
	if err == nil {
		return ""
	}
	said := err.Error()
	if !outOfMemory(err) || strings.Contains(said, ranOut) {
		return said
	}
	text := ranOut
	if m := asked.FindStringSubmatch(said); m != nil {
		amount := m[1] + " " + m[2]
		if bytes, err := strconv.ParseFloat(m[1], 64); err == nil && strings.EqualFold(m[2], "bytes") {
			unit, size := words.ByteUnit(bytes)
			amount = fmt.Sprintf("%.3g %s", bytes/size, unit)
		}
		text += " when " + amount + " more were asked for"
	}
	if free := host.FreeMemory(); free > 0 {
		unit, size := words.ByteUnit(float64(free))
		text += fmt.Sprintf(" (this machine, apart from its GPUs, has %.3g %s free now)", float64(free)/size, unit)
	}
	return text + "; end what else uses it, give --workers 1 where several runs are made at once, or lower what is computed at once: evaluate.batch, where images are drawn and measured; " +
		"loop.fresh_rows and loop.replay_rows, the batch of training; then network.size or benchmark.prep.size. In the words of what ran out: " + oneline.Text(said)
}
