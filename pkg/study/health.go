package study

import (
	"fmt"
	"slices"
	"strings"

	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// marks follow a method's label in tables: "", " (diverged)", " (collapsed)".
func marks(g Method) string {
	text := ""
	for _, kind := range unhealthy {
		if slices.ContainsFunc(g.Runs, func(r *results.Run) bool { _, bad := kind.of(r); return bad }) {
			text += " (" + kind.name + ")"
		}
	}
	return text
}

// unhealthy are the ways in which a run's numbers stay finite and say nothing.
var unhealthy = []struct {
	name, consequence string
	of                func(*results.Run) (why string, bad bool)
}{
	{"diverged", "its numbers are those of a network that has not learned, however low its FID", func(r *results.Run) (string, bool) {
		loss, bad := r.Diverged()
		return fmt.Sprintf("the training loss ends at %.3g", loss), bad
	}},
	{"collapsed", "its samples are no images of their own, however low its FID", (*results.Run).Collapsed},
}

// Alarms names the methods whose training diverged or whose samples collapsed, a line each.
func Alarms(methods []Method) []string {
	var out []string
	for _, g := range methods {
		for _, kind := range unhealthy {
			var seeds, whys []string
			for _, r := range g.Runs {
				if why, bad := kind.of(r); bad {
					seeds, whys = append(seeds, fmt.Sprint(r.Seed)), append(whys, why)
				}
			}
			if len(seeds) > 0 {
				out = append(out, fmt.Sprintf("%s: %s, seed %s: %s; %s.", strings.ToUpper(kind.name), g.Label, words.List(seeds), words.List(slices.Compact(whys)), kind.consequence))
			}
		}
	}
	return out
}

// Labels are the methods' labels with their marks.
func Labels(methods []Method) []string {
	out := make([]string, len(methods))
	for i, g := range methods {
		out[i] = g.Label + marks(g)
	}
	return out
}
