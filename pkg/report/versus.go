package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/pkg/errors"
)

// Versus compares all methods of one strategy with all of another, a sentence a pair, computed from their numbers alone:
// quality over all tasks, forgetting, the newest task and class accuracy, each "better", "worse" or "not told apart" by the rule
// of [Difference], which stands beside it. It is an error if methods holds none of a name.
func Versus(methods []Method, name, against string) ([]string, error) {
	of := func(name string) (found []Method) {
		for _, g := range methods {
			if g.Name() == name {
				found = append(found, g)
			}
		}
		return found
	}
	first, second := of(name), of(against)
	for i, found := range [][]Method{first, second} {
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
	return append(out, RuleNote), nil
}

// versus is the sentence on two methods.
func versus(a, b Method) string {
	x, y := a.Summary(), b.Summary()
	var parts []string
	for _, n := range []struct {
		what   string
		x, y   Stat
		higher bool // is better
		unit   string
	}{
		{"FID over all tasks", x.FID, y.FID, false, ""},
		{"FID forgetting", x.FIDForgetting, y.FIDForgetting, false, ""},
		{"FID of the newest task", x.LastTaskFID, y.LastTaskFID, false, ""},
		{"class accuracy", x.ClassAccuracy.Times(100), y.ClassAccuracy.Times(100), true, " %"},
	} {
		d := Compare(n.x, n.y)
		if math.IsNaN(d.Value) {
			continue
		}
		lower, higher := "better", "worse"
		if n.higher {
			lower, higher = higher, lower
		}
		parts = append(parts, fmt.Sprintf("%s %s%s against %s%s, %s", n.what, n.x.Format(1), n.unit, n.y.Format(1), n.unit, d.words(lower, higher, "", 1)))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%s against %s: nothing was measured for both.", a.Label, b.Label)
	}
	return fmt.Sprintf("%s against %s: %s.", a.Label, b.Label, strings.Join(parts, "; "))
}

// ShowVersus displays the sentences of [Versus] as a list. Outside a notebook it displays nothing.
func ShowVersus(methods []Method, name, against string) error {
	sentences, err := Versus(methods, name, against)
	if err != nil {
		return err
	}
	ShowSentences(sentences...)
	return nil
}
