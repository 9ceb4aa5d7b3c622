package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/study"
)

// Versus compares all methods of one strategy with all of another, a sentence a pair, computed from their numbers alone:
// quality over all tasks, forgetting, the newest task and class accuracy, each "better", "worse" or "not told apart" by the rule
// of [study.Difference], with its p. It is an error if methods holds none of a name.
func Versus(methods []study.Method, name, against string) ([]string, error) {
	of := func(name string) (found []study.Method) {
		for _, g := range methods {
			if g.Name() == name {
				found = append(found, g)
			}
		}
		return found
	}
	first, second := of(name), of(against)
	for i, found := range [][]study.Method{first, second} {
		if len(found) == 0 {
			var labels []string
			for _, g := range methods {
				labels = append(labels, g.Label)
			}
			return nil, errors.Errorf("report: no run of strategy %q; there are %q", []string{name, against}[i], labels)
		}
	}
	var out []string
	for _, a := range first {
		for _, b := range second {
			out = append(out, versus(a, b))
		}
	}
	return append(out, study.RuleNote), nil
}

// versus is the sentence on two methods.
func versus(a, b study.Method) string {
	x, y := a.Summary(), b.Summary()
	var parts []string
	for _, n := range []struct {
		what   string
		x, y   study.Stat
		higher bool // is better
		unit   string
	}{
		{"FID over all tasks", x.FID, y.FID, false, ""},
		{"FID forgetting", x.FIDForgetting, y.FIDForgetting, false, ""},
		{"FID of the newest task", x.LastTaskFID, y.LastTaskFID, false, ""},
		{"class accuracy", x.ClassAccuracy.Times(100), y.ClassAccuracy.Times(100), true, " %"},
	} {
		d := study.Compare(n.x, n.y)
		if math.IsNaN(d.Value) {
			continue
		}
		lower, higher := "better", "worse"
		if n.higher {
			lower, higher = higher, lower
		}
		parts = append(parts, fmt.Sprintf("%s %s%s against %s%s, %s", n.what, n.x.Format(1), n.unit, n.y.Format(1), n.unit, d.Words(lower, higher, "", 1)))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%s against %s: nothing was measured for both.", a.Label, b.Label)
	}
	return fmt.Sprintf("%s against %s: %s.", a.Label, b.Label, strings.Join(parts, "; "))
}
