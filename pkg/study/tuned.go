package study

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"palimpsest/pkg/cards"
	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// TunedNotes says how the settings of methods that ran with --tuned were chosen: with how many seeds and steps, and which of
// them are at an end of the values that the search tried. Methods whose settings are not those of the present search are named.
func TunedNotes(methods []Method) []string {
	type budget struct {
		cards.SearchBudget
		images string
	}
	budgets := map[budget][]string{}
	var order []budget
	var edges, others, elsewhere []string
	stores := map[string]bool{}
	for _, g := range methods {
		switch from := tunedFrom(g.Runs[0].Provenance.Command); from {
		case "", "false":
			continue
		case "true":
		default:
			stores[from] = true
			elsewhere = append(elsewhere, g.Label)
			continue
		}
		found := searches(g.Name())
		same := true
		prefixes := slices.Sorted(maps.Keys(found))
		for prefix, t := range found {
			same = same && ranAt(g.Runs[0], prefix, t)
		}
		if !same {
			others = append(others, g.Label)
			continue
		}
		for _, prefix := range prefixes {
			t := found[prefix]
			b := budget{t.Search.Budget, "test images"}
			if slices.Contains(t.Search.Overrides, "evaluate.reference=validation") {
				b.images = "validation images"
			}
			if budgets[b] == nil {
				order = append(order, b)
			}
			if !slices.Contains(budgets[b], g.Label) {
				budgets[b] = append(budgets[b], g.Label)
			}
			for _, key := range t.Edge {
				edges = append(edges, fmt.Sprintf("%s: %s%s = %s (of %s)", g.Name(), prefix, key, settingText(t.Settings[key]), triedText(t, key)))
			}
		}
	}
	var out []string
	for _, b := range order {
		out = append(out, fmt.Sprintf("Settings of %s were chosen by a search: of %d candidates each, by FID on %s after %d optimiser steps, with %s a candidate. "+
			"Other seeds, or longer runs, may choose others.", words.Count(len(budgets[b]), "method"), b.Trials, b.images, b.Steps, words.Seeds(b.Seeds)))
	}
	if len(edges) > 0 {
		slices.Sort(edges)
		out = append(out, "Chosen at an end of the values tried, so that a better one may lie beyond: "+strings.Join(edges, "; ")+".")
	}
	if len(others) > 0 {
		out = append(out, "Ran at settings of an earlier search than the one now in pkg/cards/tuned: "+words.List(others)+".")
	}
	if len(elsewhere) > 0 {
		out = append(out, fmt.Sprintf("Ran at settings that a search kept in %s, which says how they were chosen: %s.", words.List(slices.Sorted(maps.Keys(stores))), words.List(elsewhere)))
	}
	return out
}

// tunedOption is --tuned or --tuned=DIR in a command line as a shell reads it.
var tunedOption = regexp.MustCompile(` (?:'--tuned=([^']+)'|--tuned(?:=(\S+))?(?:\s|$))`)

// tunedFrom is the folder that a command took the settings of strategies from: "true" is the program's own, "" none.
func tunedFrom(command string) string {
	m := tunedOption.FindStringSubmatch(command)
	if m == nil {
		return ""
	}
	return cmp.Or(m[1], m[2], "true")
}

// searches are the searches that chose a strategy's settings, by the prefix of the settings: its own with none, or those of
// a composite's parts.
func searches(name string) map[string]*cards.Tuning {
	if t, err := cards.TuningOf(name); err == nil && t != nil {
		return map[string]*cards.Tuning{"": t}
	}
	out := map[string]*cards.Tuning{}
	for _, part := range strings.Split(name, "+") {
		if t, err := cards.TuningOf(part); err == nil && t != nil && part != name {
			out[part+"_"] = t
		}
	}
	return out
}

// ranAt says whether a run has the settings that a search chose.
func ranAt(r *results.Run, prefix string, t *cards.Tuning) bool {
	for key, want := range t.Settings {
		if settingText(r.Strategy.Settings[prefix+key]) != settingText(want) {
			return false
		}
	}
	return true
}

// triedText lists the values of a setting among a search's candidates, in their order.
func triedText(t *cards.Tuning, key string) string {
	var out []string
	for _, trial := range t.Search.Trials {
		if text := settingText(trial.Settings[key]); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

// settingText writes a setting alike whether it was read from JSON, where numbers are float64, or from YAML.
func settingText(v any) string {
	switch v := v.(type) {
	case int:
		return strconv.FormatFloat(float64(v), 'g', -1, 64)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}
