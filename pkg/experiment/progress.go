package experiment

import (
	"fmt"
	"sync"
	"time"

	"palimpsest/pkg/backend"
)

// Progress is how far a run has come.
type Progress struct {
	Run             string        `json:"run"`
	Stage           string        `json:"stage"`            // "prepare", "train", "measure", "end" (of a task), "save", "autopsy", "done", or "compile"
	During          string        `json:"during,omitempty"` // the stage that the program is for, in the stage "compile"
	Task            int           `json:"task"`             // the newest task being learned
	Tasks           int           `json:"tasks"`
	Step            int           `json:"step"` // optimiser steps done in all
	Steps           int           `json:"steps"`
	Loss            float64       `json:"loss"`              // mean of the task's last steps, in the stage "train"; 0 while unknown
	ImagesPerSecond float64       `json:"images_per_second"` // in the stage "train"; 0 while unknown
	Fraction        float64       `json:"fraction"`          // of the run's time, 0 .. 1
	ETA             time.Duration `json:"eta"`               // besides compiling; 0 while unknown

	// Warnings are lines for people since the progress before: what the log says of a run that goes on otherwise than it
	// began, or not from its newest checkpoint.
	Warnings []string `json:"warnings,omitempty"`

	// Note says what takes long in the stage "prepare", "" where nothing does.
	Note string `json:"note,omitempty"`
}

// at is the progress in a stage, or while a program is compiled for it. Nothing else than training has a loss and a speed.
func (p Progress) at(stage string, compiling bool) Progress {
	p.Stage, p.During = stage, ""
	if compiling {
		p.Stage, p.During = "compile", stage
	}
	if p.Stage != "train" {
		p.Loss, p.ImagesPerSecond = 0, 0
	}
	return p
}

// String is the progress on one line.
func (p Progress) String() string {
	s := p.Run + ": " + p.Doing()
	// How long a program is compiled is not known.
	if left := p.ETA.Round(time.Second); left > 0 && p.Stage != "compile" {
		s += ", " + left.String() + " left"
	}
	return s
}

// Doing says what the run does, and no number that is not known.
func (p Progress) Doing() string {
	stage := p.Stage
	if stage == "compile" {
		stage = p.During
	}
	var s string
	switch stage {
	case "prepare":
		if s = p.Note; s == "" {
			s = "preparing"
		}
	case "measure":
		s = fmt.Sprintf("measuring task %d/%d, step %d/%d", p.Task+1, p.Tasks, p.Step, p.Steps)
	case "end":
		s = fmt.Sprintf("consolidating task %d/%d, step %d/%d", p.Task+1, p.Tasks, p.Step, p.Steps)
	case "save":
		s = fmt.Sprintf("saving, step %d/%d", p.Step, p.Steps)
	case "autopsy", "done":
		s = stage
	default:
		s = fmt.Sprintf("training task %d/%d, step %d/%d", p.Task+1, p.Tasks, p.Step, p.Steps)
	}
	if p.Stage == "compile" {
		s += ", compiling"
	}
	if p.Loss > 0 {
		s += fmt.Sprintf(", loss %.3f", p.Loss)
	}
	if p.ImagesPerSecond > 0 {
		s += fmt.Sprintf(", %.0f images/s", p.ImagesPerSecond)
	}
	return s
}

// told is the newest progress that was told, and keeps those who tell one after another.
type told struct {
	sync.Mutex
	newest Progress
	waits  bool // instead of it, that the run waits for a program
}

// tell tells how far the run is.
func (r *run) tell(p Progress) {
	r.told.Lock()
	defer r.told.Unlock()
	r.told.newest, r.told.waits = p, false
	r.pass(p)
}

// pass tells it to the user and to who looks at the folder. It is for who holds told's lock.
func (r *run) pass(p Progress) {
	if r.opt.Progress != nil {
		r.opt.Progress(p)
	}
	if r.lock != nil {
		p.Warnings = nil // which the log has
		r.lock.progress.Store(&p)
	}
}

// buildingEvery is how often a run looks whether a program is being built.
const buildingEvery = 500 * time.Millisecond

// tellBuilding tells, while a program of XLA's is built, that this is what takes long: the run itself waits for it then, whatever it
// is about to do. It does so until it is stopped.
func (r *run) tellBuilding() (stop func()) {
	ends, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(buildingEvery)
		defer tick.Stop()
		for {
			select {
			case <-ends:
				return
			case <-tick.C:
				r.waits(backend.IsBuilding())
			}
		}
	}()
	return func() {
		close(ends)
		<-ended
	}
}

// waits tells that the run waits for a program or, once it does so no more, how far it is.
func (r *run) waits(now bool) {
	r.told.Lock()
	defer r.told.Unlock()
	p := r.told.newest
	if !now && !r.told.waits || p.Steps == 0 {
		return
	}
	p.Warnings = nil
	if now && p.Stage != "compile" {
		p = p.at(p.Stage, true)
	}
	r.told.waits = now
	r.pass(p)
}

// clock turns what has been measured so far into a remaining time. Training is counted in steps, measuring in
// network rows; until the first measurement a row is taken to cost a third of a training row.
type clock struct {
	stepSeconds, rowSeconds float64 // moving averages
	before                  float64 // seconds a step took before this process went on; 0: none did
	stepsLeft               int
	rowsLeft                int
	spent                   float64
	built                   time.Duration // that programs had been built for at the newest measurement
}

func (c *clock) step(seconds float64) {
	c.stepSeconds = average(c.stepSeconds, seconds, 0.05)
	c.stepsLeft--
	c.spent += seconds
}

// rows takes in a measurement of n rows, when programs had been built for so long in all. One that had a program built says
// nothing of the next.
func (c *clock) rows(n int, seconds float64, built time.Duration) {
	if built == c.built {
		c.rowSeconds = average(c.rowSeconds, seconds/float64(n), 0.2)
	}
	c.built = built
	c.rowsLeft -= n
	c.spent += seconds
}

// remaining is how many seconds are left, 0 while nothing tells.
func (c *clock) remaining(rowsPerStep int) float64 {
	step, row := c.stepSeconds, c.rowSeconds
	if step == 0 {
		step = c.before
	}
	if row == 0 {
		row = step / float64(rowsPerStep) / 3
	}
	return float64(c.stepsLeft)*step + float64(c.rowsLeft)*row
}

// average moves old towards value by share; the first value counts whole.
func average(old, value, share float64) float64 {
	if old == 0 {
		return value
	}
	return old + share*(value-old)
}
