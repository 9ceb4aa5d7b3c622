package cl

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/janpfeifer/gonb/gonbui/protocol"

	"palimpsest/pkg/oneline"
)

// Panicked is the error of a strategy that panicked, as one that is being written does. It is no error of the program around it, so
// that it is told as one, in a line, with the place in the strategy.
type Panicked struct {
	What  any       // what the strategy panicked with
	Stack []uintptr // where, innermost first, as [runtime.Callers] has it
}

// Error says what went wrong, and where. A place in a notebook's cell it leaves out: it is one in the program that the kernel makes of
// the cells, and whoever ends the cell has the kernel tell the cell's own line.
func (p *Panicked) Error() string {
	file, _ := p.Frame()
	cells := os.Getenv(protocol.GONB_TMP_DIR_ENV)
	if place := p.Place(); place != "" && (cells == "" || filepath.Dir(file) != filepath.Clean(cells)) {
		return fmt.Sprintf("%v (%s)", p.What, place)
	}
	return fmt.Sprint(p.What)
}

// Place is the file and line of the strategy, "er.go:31"; "" is unknown.
func (p *Panicked) Place() string {
	file, line := p.Frame()
	if file == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", path.Base(file), line)
}

// Frame is the innermost place in the strategy: outside of this module, where the strategy is, or else neither Go's nor a [Step]'s.
// The file is "" where none is known.
func (p *Panicked) Frame() (file string, line int) {
	if len(p.Stack) == 0 {
		return "", 0
	}
	for frames := runtime.CallersFrames(p.Stack); ; {
		f, more := frames.Next()
		switch {
		case f.File == "" || strings.HasPrefix(f.Function, "runtime."):
		case !strings.HasPrefix(f.Function, "palimpsest/"):
			return f.File, f.Line
		case file == "" && !strings.HasPrefix(f.Function, "palimpsest/pkg/cl.(*Step)."):
			file, line = f.File, f.Line
		}
		// Beyond the call that is guarded nothing is the strategy's.
		if !more || f.Function == "palimpsest/pkg/cl.Guard" {
			return file, line
		}
	}
}

// Guard calls what a strategy is asked, and returns a [Panicked] where that panics. Messages of errors it keeps to one line.
func Guard(ask func() error) (err error) {
	defer func() {
		if what := recover(); what != nil {
			p := &Panicked{What: what, Stack: make([]uintptr, 64)}
			p.Stack = p.Stack[:runtime.Callers(2, p.Stack)] // they are still there while the panic is dealt with
			err = oneline.Error(p)
		}
	}()
	return oneline.Error(ask())
}
