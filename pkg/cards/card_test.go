package cards_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/cards"
	"palimpsest/pkg/cl"
)

// candidates is how many settings every method with something to tune has, so that searches spend alike on all.
const candidates = 6

// testNames are the tests there are in the packages that strategies are made of.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names, declared := map[string]bool{}, regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, dir := range []string{"../cl", "../cl/cltest", "../diffusion", "../memory", "../unet", "../experiment"} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no tests in %s (%v)", dir, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
				names[m[1]] = true
			}
		}
	}
	return names
}

// TestCards: every strategy has a card whose tests exist, whose claims compare strategies there are, and whose candidates are
// settings it takes, all different, its default ones among them; of a composite, those chosen for its parts.
func TestCards(t *testing.T) {
	tests, named := testNames(t), regexp.MustCompile(`\bTest[A-Z0-9]\w*`)
	names, err := cards.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range cl.All() {
		if name := s.Info().Name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		card, err := cards.Of(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if s, err := cl.New(cl.Spec{Name: name}); err != nil || card.Knows != s.Info().Knows() {
			t.Errorf("%s: its card says that it knows %q, its Info %q (%v)", name, card.Knows, s.Info().Knows(), err)
		}
		found := named.FindAllString(card.Verified, -1)
		if len(found) == 0 {
			t.Errorf("%s: verified names no test: %q", name, card.Verified)
		}
		for _, test := range found {
			if !tests[test] {
				t.Errorf("%s: there is no %s", name, test)
			}
		}
		for _, c := range card.Claims {
			for _, method := range []string{c.Better, c.Worse} {
				if _, err := cl.New(cl.Spec{Name: method}); err != nil {
					t.Errorf("%s: the claim that %s: %v", name, c.Says, err)
				}
			}
			if c.Says == "" || c.Source == "" || c.Better == c.Worse || !slices.Contains([]string{cards.MetricFID, cards.MetricForgetting}, c.Metric) {
				t.Errorf("%s: a claim without words, source, two methods or a metric: %+v", name, c)
			}
		}
		if n := len(card.Candidates); n != 0 && n != candidates {
			t.Errorf("%s has %d candidates, need %d, or none where there is nothing to tune", name, n, candidates)
		}
		start := cl.Spec{Name: name}
		if strings.Contains(name, "+") {
			if start, err = cards.PartsTuned(name); err != nil {
				t.Error(err)
				continue
			}
		}
		s, err := cl.New(start)
		if err != nil {
			t.Fatal(err)
		}
		usual, err := cl.Settings(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, weighed := usual["lambda"]; weighed && len(card.Candidates) == 0 {
			t.Errorf("%s has a lambda, but no candidates for it", name)
		}
		var all []map[string]any
		for _, settings := range card.Candidates {
			made, err := cl.New(cl.Spec{Name: name, Settings: settings})
			if err != nil {
				t.Errorf("%s: candidate %v: %v", name, settings, err)
				continue
			}
			whole, err := cl.Settings(made)
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(all, func(other map[string]any) bool { return reflect.DeepEqual(other, whole) }) {
				t.Errorf("%s: candidate %v is there twice", name, settings)
			}
			if buffer, ok := settings["buffer"]; ok {
				t.Errorf("%s: candidate %v has a buffer of %v; how much a method may keep is given, not tuned", name, settings, buffer)
			}
			all = append(all, whole)
		}
		if len(all) > 0 && !slices.ContainsFunc(all, func(one map[string]any) bool { return reflect.DeepEqual(one, usual) }) {
			t.Errorf("%s: the settings to start from, %v, are not among the candidates %v", name, usual, card.Candidates)
		}
	}
}
