package cl

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ownNames are the strategies of this package.
func ownNames() (names []string) {
	for _, create := range registry {
		names = append(names, create().Info().Name)
	}
	return names
}

// resolved are the settings of a strategy, defaults and all.
func resolved(t *testing.T, name string, settings map[string]any) map[string]any {
	t.Helper()
	s, err := New(Spec{Name: name, Settings: settings})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return nil
	}
	all, err := Settings(s)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Every strategy has a card. It names tests that exist, claims something of known strategies that a study measures, and has
// as many candidates as any other: settings that the strategy takes, all different, the default ones among them.
func TestCards(t *testing.T) {
	tests := namesOfTests(t)
	files, err := filepath.Glob("cards/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".yaml"); !slices.Contains(ownNames(), name) {
			t.Errorf("%s is the card of no strategy", f)
		}
	}
	number := map[int][]string{}
	for _, name := range ownNames() {
		c, err := CardOf(name)
		if err != nil {
			t.Error(err)
			continue
		}
		named := regexp.MustCompile(`\bTest[A-Z]\w*`).FindAllString(c.Verified, -1)
		if len(named) == 0 {
			t.Errorf("%s: verified names no test", name)
		}
		for _, test := range named {
			if !tests[test] {
				t.Errorf("%s: there is no %s", name, test)
			}
		}
		for _, claim := range c.Claims {
			if claim.Says == "" || claim.Source == "" || claim.Metric != MetricFID && claim.Metric != MetricForgetting || claim.Better == claim.Worse {
				t.Errorf("%s: claim %+v lacks a sentence, a source, a metric (fid or forgetting) or two strategies", name, claim)
			}
			for _, s := range []string{claim.Better, claim.Worse} {
				resolved(t, s, nil)
			}
		}
		if len(c.Candidates) == 0 {
			continue
		}
		number[len(c.Candidates)] = append(number[len(c.Candidates)], name)
		isDefault := false
		var seen []map[string]any
		for _, candidate := range c.Candidates {
			s := resolved(t, name, candidate)
			if slices.ContainsFunc(seen, func(o map[string]any) bool { return reflect.DeepEqual(s, o) }) {
				t.Errorf("%s: candidate %v is there twice", name, candidate)
			}
			seen = append(seen, s)
			isDefault = isDefault || reflect.DeepEqual(s, resolved(t, name, nil))
		}
		if !isDefault {
			t.Errorf("%s: its default settings are no candidate", name)
		}
	}
	if len(number) > 1 {
		t.Errorf("numbers of candidates differ: %v", number)
	}
}

// namesOfTests lists the Go tests of this repository.
func namesOfTests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// The stored searches had one budget and one benchmark, judged on validation images, tried the candidates that cards have
// today, and their best is what is stored.
func TestStoredTunings(t *testing.T) {
	all, err := LoadTunings("tuned")
	if err != nil {
		t.Fatal(err)
	}
	var first *Tuning
	for _, name := range slices.Sorted(maps.Keys(all)) {
		tuning := all[name]
		if first == nil {
			first = tuning
		}
		card, err := CardOf(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if r, f := tuning.Search, first.Search; r.Budget != f.Budget || !slices.Equal(r.Overrides, f.Overrides) || r.Metric != f.Metric {
			t.Errorf("%s was searched with %+v under %v, others with %+v under %v", name, r.Budget, r.Overrides, f.Budget, f.Overrides)
		}
		r := tuning.Search
		if !slices.Contains(r.Overrides, "evaluate.reference=validation") || r.Commit == "" || r.Machine == "" || r.Command == "" || r.Date == "" {
			t.Errorf("%s does not say how it was searched, or not on validation images: %+v", name, r)
		}
		var tried, have []map[string]any
		best := 0
		for i, trial := range r.Trials {
			if tried = append(tried, resolved(t, name, trial.Settings)); trial.Score < r.Trials[best].Score {
				best = i
			}
		}
		for _, c := range card.Candidates {
			have = append(have, resolved(t, name, c))
		}
		if !reflect.DeepEqual(tried, have) || len(tried) != r.Budget.Trials {
			t.Errorf("%s was chosen from other candidates than its card has; search anew: `go run . search --strategies %s`", name, name)
			continue
		}
		if !reflect.DeepEqual(resolved(t, name, tuning.Settings), tried[best]) {
			t.Errorf("%s is set to %v, but the best trial was %v", name, tuning.Settings, r.Trials[best].Settings)
		}
		if settings, ok := Tuned(name); !ok || !reflect.DeepEqual(settings, tuning.Settings) {
			t.Errorf("Tuned(%q) is %v, %t; want %v", name, settings, ok, tuning.Settings)
		}
	}
}
