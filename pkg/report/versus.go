package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/pkg/errors"
)

// Versus compares all methods of one strategy with all of another, a sentence a pair, computed from their numbers alone:
// quality over all tasks, forgetting, the newest task and class accuracy, each "better", "worse" or "level", which it is
// within the spread over seeds ([Difference.Level]). With one seed the spread is unknown, which the sentence says. It is an
// error if methods holds none of a name.
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
	return out, nil
}

// versus is the sentence on two methods.
func versus(a, b Method) string {
	x, y := a.Summary(), b.Summary()
	var parts []string
	unknown := false
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
		word := "level"
		if !d.Level() {
			word = map[bool]string{true: "better", false: "worse"}[(d.Value > 0) == n.higher] + " by " + size(d.Value)
		}
		text := fmt.Sprintf("%s %s%s against %s%s, %s", n.what, n.x.Format(1), n.unit, n.y.Format(1), n.unit, word)
		if math.IsNaN(d.Spread) {
			unknown = true
		} else {
			text += ", " + d.Grade(1)
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%s against %s: nothing was measured for both.", a.Label, b.Label)
	}
	text := fmt.Sprintf("%s against %s: %s.", a.Label, b.Label, strings.Join(parts, "; "))
	if unknown {
		text += " With " + Compare(x.FID, y.FID).Seeds + " how much of this is chance is unknown."
	}
	return text
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
