package notebook

import (
	"context"
	"fmt"
	"html"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/janpfeifer/gonb/gonbui"

	"palimpsest/pkg/experiment"
	"palimpsest/pkg/results"
)

// Progress returns a progress callback that keeps one bar up to date below the running cell: stage, step,
// loss, images a second and remaining time. Outside a notebook it shows nothing.
func Progress() func(experiment.Progress) {
	if !gonbui.IsNotebook {
		return func(experiment.Progress) {}
	}
	id := "progress_" + gonbui.UniqueId()
	return func(p experiment.Progress) {
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

// Run makes the run c describes from a cell, in a folder named after the run below root, and shows its
// progress. Interrupting the cell saves a checkpoint; running the cell again goes on from it, and a cell whose run is
// finished only reads it.
func Run(c experiment.Config, root string) (*results.Run, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return experiment.Run(ctx, c, filepath.Join(root, c.RunName()), experiment.Options{Progress: Progress(), Command: "a cell of a notebook"})
}
