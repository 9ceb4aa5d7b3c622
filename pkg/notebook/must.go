package notebook

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"
	"github.com/pkg/errors"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/oneline"
)

// Must ends the cell if err is not nil: with one line, which says what is wrong and names the line of the cell, and with no
// trace of the calls.
func Must(err error) {
	if err != nil {
		end(err, 1)
	}
}

// Get returns v, or ends the cell as [Must] does.
func Get[T any](v T, err error) T {
	if err != nil {
		end(err, 1)
	}
	return v
}

// end ends the process with an error; skip is the number of calls between the cell and this one.
func end(err error, skip int) {
	if gonbui.IsNotebook {
		flush() // what was shown before
	}
	var stack [64]uintptr
	n := runtime.Callers(skip+2, stack[:])
	tellError(os.Stderr, err, stack[:n], os.Getenv(protocol.GONB_TMP_DIR_ENV))
	os.Exit(experiment.ExitCode(err))
}

// tellError tells an error of the given place or, where a strategy panicked, which may be the cell's, of that.
func tellError(to io.Writer, err error, places []uintptr, cells string) {
	var panicked *cl.Panicked
	if errors.As(err, &panicked) {
		places = append(slices.Clone(panicked.Stack), places...)
	}
	said := oneline.Text(err.Error())
	if experiment.ExitCode(err) == experiment.ExitMemory {
		said = experiment.Told(err)
	}
	tell(to, said, places, cells)
}

// tell writes an error as a compiler would: the place in the cell's program first, which the kernel knows by it and tells as
// the cell's line. Where a function of the cell went wrong, its call is named too. Elsewhere than in a cell no place is.
func tell(to io.Writer, said string, stack []uintptr, cells string) {
	var places []string
	for frames := runtime.CallersFrames(stack); len(stack) > 0 && cells != ""; {
		f, more := frames.Next()
		if filepath.Dir(f.File) == filepath.Clean(cells) {
			places = append(places, fmt.Sprintf("%s:%d", f.File, f.Line))
		}
		if !more {
			break
		}
	}
	switch {
	case cells == "":
		fmt.Fprintf(to, "error: %s\n", said)
	case len(places) == 0: // by a goroutine that no line of the cell began
		fmt.Fprintf(to, "%s: %s\n", filepath.Join(cells, "main.go:0"), said)
	case places[0] == places[len(places)-1]:
		fmt.Fprintf(to, "%s: %s\n", places[0], said)
	default:
		fmt.Fprintf(to, "%s: %s (called in %s)\n", places[0], said, places[len(places)-1])
	}
}
