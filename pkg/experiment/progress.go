package experiment

import (
	"fmt"
	"strings"
	"time"
)

// Progress is how far a run has come.
type Progress struct {
	Run             string        `json:"run"`
	Stage           string        `json:"stage"` // "prepare", "compile", "train", "measure", "autopsy", "done"
	Task            int           `json:"task"`  // the newest task being learned
	Tasks           int           `json:"tasks"`
	Step            int           `json:"step"` // optimiser steps done in all
	Steps           int           `json:"steps"`
	Loss            float64       `json:"loss"` // mean of the last steps
	ImagesPerSecond float64       `json:"images_per_second"`
	Fraction        float64       `json:"fraction"` // of the run's time, 0 .. 1
	ETA             time.Duration `json:"eta"`      // 0 while unknown

	// Warnings are lines for people since the progress before: what the log says of a run that goes on otherwise than it
	// began, or not from its newest checkpoint.
	Warnings []string `json:"warnings,omitempty"`

	// Note says what takes long in the stage "prepare", "" where nothing does.
	Note string `json:"note,omitempty"`
}

// String is the progress on one line.
func (p Progress) String() string {
	s := p.Run + ": "
	switch p.Stage {
	case "prepare":
		if p.Note != "" {
			return s + p.Note
		}
		return s + "preparing"
	case "compile":
		return s + "compiling the training step"
	case "done":
		return s + "done"
	case "measure":
		s += "measuring, "
	case "autopsy":
		return strings.TrimSuffix(fmt.Sprintf("%sautopsy, %s left", s, p.ETA.Round(time.Second)), ", 0s left")
	}
	s += fmt.Sprintf("task %d/%d, step %d/%d, loss %.3f, %.0f images/s", p.Task+1, p.Tasks, p.Step, p.Steps, p.Loss, p.ImagesPerSecond)
	if p.ETA > 0 {
		s += ", " + p.ETA.Round(time.Second).String() + " left"
	}
	return s
}

// clock turns what has been measured so far into a remaining time. Training is counted in steps, measuring in
// network rows; until the first measurement a row is taken to cost a third of a training row.
type clock struct {
	stepSeconds, rowSeconds float64 // moving averages
	stepsLeft               int
	rowsLeft                int
	spent                   float64
	sampled                 bool // the first call, which compiles, is over
}

func (c *clock) step(seconds float64) {
	c.stepSeconds = average(c.stepSeconds, seconds, 0.05)
	c.stepsLeft--
	c.spent += seconds
}

func (c *clock) rows(n int, seconds float64) {
	if c.sampled {
		c.rowSeconds = average(c.rowSeconds, seconds/float64(n), 0.2)
	}
	c.sampled = true
	c.rowsLeft -= n
	c.spent += seconds
}

func (c *clock) remaining(rowsPerStep int) float64 {
	row := c.rowSeconds
	if row == 0 {
		row = c.stepSeconds / float64(rowsPerStep) / 3
	}
	return float64(c.stepsLeft)*c.stepSeconds + float64(c.rowsLeft)*row
}

// average moves old towards value by share; the first value counts whole.
func average(old, value, share float64) float64 {
	if old == 0 {
		return value
	}
	return old + share*(value-old)
}
