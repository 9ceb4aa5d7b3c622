package experiment

import (
	"context"
	"fmt"
	"html"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"palimpsest/pkg/results"
)

// NotebookProgress returns a progress callback that keeps one bar up to date below the running cell: stage, step,
// loss, images a second and remaining time. Outside a notebook it shows nothing.
func NotebookProgress() func(Progress) {
	if !gonbui.IsNotebook {
		return func(Progress) {}
	}
	id := "progress_" + gonbui.UniqueId()
	return func(p Progress) {
		for _, line := range p.Warnings {
			gonbui.DisplayHtml("<div>" + html.EscapeString(p.Run+": "+line) + "</div>")
		}
		gonbui.UpdateHtml(id, fmt.Sprintf(`<div style="font:13px sans-serif"><div style="width:100%%;max-width:40em;background:#8883;border-radius:3px">`+
			`<div style="width:%.1f%%;background:#0072b2;height:8px;border-radius:3px"></div></div>%s</div>`, 100*p.Fraction, html.EscapeString(p.String())))
		if p.Stage == "done" {
			gonbui.Sync() // what a program displays just before its end is lost otherwise
		}
	}
}

// String is the progress on one line.
func (p Progress) String() string {
	s := p.Run + ": "
	switch p.Stage {
	case "prepare":
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

// InNotebook makes the run c describes from a notebook cell, in a folder named after the run below root, and shows its
// progress. Interrupting the cell saves a checkpoint; running the cell again goes on from it, and a cell whose run is
// finished only reads it.
func InNotebook(c Config, root string) (*results.Run, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return Run(ctx, c, filepath.Join(root, c.RunName()), Options{Progress: NotebookProgress(), Command: "a cell of a notebook"})
}
