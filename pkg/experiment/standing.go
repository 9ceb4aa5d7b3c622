package experiment

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pkg/errors"
)

// Standing is how far the run in a folder has come, by the folder alone.
type Standing struct {
	Name     string
	Finished bool
	AtWork   *Holder // the process that is making it; nil: none is
	Dead     *Holder // the one that had the folder and did not give it back; nil: there is none
	Step, Of int     // of the newest checkpoint; 0 of 0 where there is none
	Begun    bool
	Last     string // the last line of the run's log, without its time; "" where there is none
	LastAt   time.Time

	Failed   string // why the last process that was at the run gave up, unless it was asked to; "": none did
	Diverged bool   // and the run would fail alike at every try
}

// What the last line of a run's log begins with where a process gave up, and where the run left the finite numbers.
const (
	stoppedLine  = "stopped: "
	divergedLine = "diverged: "
)

// StandingOf looks at the run folder dir. It makes nothing there.
func StandingOf(dir string) (Standing, error) {
	c, err := StoredConfig(dir)
	if err != nil {
		return Standing{}, err
	}
	s := Standing{Name: filepath.Base(dir)}
	if _, err := os.Stat(filepath.Join(dir, "result.json")); err == nil {
		s.Finished = true
		return s, nil
	} else if !os.IsNotExist(err) {
		return s, errors.WithStack(err)
	}
	s.AtWork, s.Dead = HolderOf(dir)
	s.Step, s.Of, _ = stepOf(c, dir)
	if s.Begun, err = hasBegun(dir); err != nil {
		return s, err
	}
	s.Last, s.LastAt = lastLine(filepath.Join(dir, logName))
	if s.Failed, s.Diverged = strings.CutPrefix(s.Last, divergedLine); !s.Diverged {
		var stopped bool
		if s.Failed, stopped = strings.CutPrefix(s.Last, stoppedLine); !stopped {
			s.Failed = ""
		}
	}
	return s, nil
}

// lastLine is the last line of a run's log and its time.
func lastLine(path string) (line string, at time.Time) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", at
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	when, rest, found := bytes.Cut(lines[len(lines)-1], []byte(" "))
	if at, err = time.Parse(time.RFC3339, string(when)); err != nil || !found {
		return string(lines[len(lines)-1]), time.Time{}
	}
	return string(rest), at
}
