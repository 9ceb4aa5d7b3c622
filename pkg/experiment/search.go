package experiment

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/cards"
	"palimpsest/pkg/cl"
)

// Search tries the candidates on the cards of strategies, each on the validation split of a short benchmark, with the same
// number of candidates, steps and seeds for every strategy.
type Search struct {
	Strategies []string // empty: all that have candidates
	Set        []string // KEY=VALUE settings over those of [SearchSettings]
	Seeds      int      // runs of each candidate

	Flags bool // errors call a field by the command line's flag for it: --seeds for Seeds

	cardOf func(string) (cards.Card, error) // nil: cards.Of
}

// SearchTrial is one candidate of a strategy and the runs that try it, one a seed.
type SearchTrial struct {
	Strategy string
	Settings map[string]any
	Runs     []Config
}

// SearchSettings are a search's settings over the quick benchmark's: three tasks, half the steps, a tenth of the training
// images held out to compare with, and seeds that no comparison starts from.
func SearchSettings() []string {
	return []string{"benchmark.val_fraction=0.1", "evaluate.reference=validation", "benchmark.class_order=given",
		"benchmark.classes=[0,1,2,3,4,5]", "loop.steps_per_task=75", "seed=1000"}
}

// Overrides are all settings of the search over the quick benchmark's.
func (s Search) Overrides() []string { return append(SearchSettings(), s.Set...) }

// Trials lists what the search runs, strategy by strategy. It refuses settings by which a run would look at test images, a
// strategy that has no candidates, and one that has another number of them than the others.
func (s Search) Trials() ([]SearchTrial, error) {
	trials, err := s.trials()
	return trials, refuse(err)
}

func (s Search) trials() ([]SearchTrial, error) {
	for _, set := range s.Set {
		if strings.HasPrefix(set, "strategy") {
			return nil, errors.Errorf("setting %q: a search tries the candidates on the strategies' cards; name strategies by %s", set, called("Strategies", s.Flags))
		}
	}
	if err := checkRepeated(s.Set); err != nil {
		return nil, err
	}
	base, err := overrideConfig("the search", nil, s.Overrides(), func(setting string) string {
		if !slices.Contains(s.Set, setting) {
			return "" // the search's own
		}
		return called("Set", s.Flags) + " " + setting
	})
	if err != nil {
		return nil, err
	}
	if err := validationOnly(base); err != nil {
		return nil, err
	}
	if s.Seeds < 1 || s.Seeds > mostRuns {
		return nil, errors.Errorf("%s is %d; need 1 to %d", called("Seeds", s.Flags), s.Seeds, mostRuns)
	}
	names, candidates, err := s.candidates()
	if err != nil {
		return nil, err
	}
	var trials []SearchTrial
	for _, name := range names {
		for _, settings := range candidates[name] {
			t := SearchTrial{Strategy: name, Settings: settings}
			for seed := range s.Seeds {
				c := base
				c.Strategy, c.Seed = cl.Spec{Name: name, Settings: settings}, base.Seed+uint64(seed)
				if err := c.Validate(); err != nil {
					return nil, errors.WithMessagef(err, "candidate %s of %s", writeSettings(settings), name)
				}
				t.Runs = append(t.Runs, c)
			}
			trials = append(trials, t)
		}
	}
	return trials, nil
}

// validationOnly refuses a configuration that looks at test images.
func validationOnly(c Config) error {
	switch {
	case c.Evaluate.Reference != ReferenceValidation:
		return errors.Errorf("evaluate.reference is %q; settings are chosen on validation images, so that the test images stay unseen: leave it out",
			c.Evaluate.Reference)
	case len(c.BPD.Outside) > 0:
		return errors.Errorf("bpd.outside is %v, test images of other sets; settings are chosen without them: leave it out", c.BPD.Outside)
	}
	return nil
}

// candidates are the strategies to search in order, and the candidates of each: as many as most strategies have.
func (s Search) candidates() (names []string, of map[string][]map[string]any, err error) {
	cardOf := s.cardOf
	if cardOf == nil {
		cardOf = cards.Of
	}
	of, numbers := map[string][]map[string]any{}, map[int]int{}
	var all []string
	carded, err := cards.Names()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Concat(cl.Names(), carded) {
		if _, done := of[name]; done {
			continue
		}
		card, err := cardOf(name)
		if err != nil && !errors.Is(err, cards.ErrNone) {
			return nil, nil, err
		}
		if n := len(card.Candidates); n > 0 {
			all, of[name] = append(all, name), card.Candidates
			numbers[n]++
		}
	}
	if len(all) == 0 {
		return nil, nil, errors.New("no strategy's card has candidates; there is nothing to search")
	}
	for _, name := range s.Strategies {
		names = append(names, cl.FullName(name))
	}
	if len(names) == 0 {
		names = all
	}
	usual := 0
	for n, count := range numbers {
		if count > numbers[usual] || count == numbers[usual] && n > usual {
			usual = n
		}
	}
	for _, name := range names {
		switch n := len(of[name]); {
		case n == 0 && strings.Contains(name, "+"):
			return nil, nil, errors.Errorf("%s is not searched itself: it takes the settings chosen for its parts; search %s, or write a card with candidates, pkg/cards/written/%s.yaml",
				name, strings.ReplaceAll(name, "+", ","), name)
		case n == usual:
		case n > 0:
			return nil, nil, errors.Errorf("%s has %d candidates and the other strategies %d; give its card %d, so that the budget of the search is the same for all",
				name, n, usual, usual)
		default:
			if _, err := cl.New(cl.Spec{Name: name}); err != nil {
				return nil, nil, err
			}
			return nil, nil, errors.Errorf("%s has no candidates: it has nothing to tune; strategies that have are %v", name, all)
		}
	}
	return names, of, nil
}

// CheckStore refuses a folder of chosen settings in which strategies that this search leaves alone were searched with
// another budget or other settings.
func (s Search) CheckStore(store string, trials []SearchTrial) error {
	stored, err := cards.LoadTunings(store)
	if err != nil {
		return err
	}
	number := map[string]int{}
	for _, t := range trials {
		number[t.Strategy]++
	}
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		have := stored[name].Search
		if number[name] > 0 {
			continue
		}
		if n := number[trials[0].Strategy]; have.Budget.Trials != n || have.Budget.Seeds != s.Seeds || !slices.Equal(have.Overrides, s.Overrides()) {
			return Refusef("%s in %s was chosen from %d candidates × %d seeds under %v, here it would be %d × %d under %v; "+
				"search all strategies anew, or name another folder (%s)",
				name, store, have.Budget.Trials, have.Budget.Seeds, have.Overrides, n, s.Seeds, s.Overrides(), called("store", s.Flags))
		}
	}
	return nil
}

// edges are the numeric settings of a strategy with three values or more among its candidates of which the best has the
// smallest or the largest. What a candidate does not name has its default value.
func edges(strategy string, candidates []map[string]any, best map[string]any) ([]string, error) {
	s, err := cl.New(cl.Spec{Name: strategy})
	if err != nil {
		return nil, err
	}
	defaults, err := cl.Settings(s)
	if err != nil {
		return nil, err
	}
	varied := map[string]bool{}
	for _, c := range candidates {
		for key := range c {
			varied[key] = true
		}
	}
	var at []string
	for _, key := range slices.Sorted(maps.Keys(varied)) {
		value := func(c map[string]any) (float64, bool) {
			v, ok := c[key]
			if !ok {
				v = defaults[key]
			}
			return float(v)
		}
		seen := map[float64]bool{}
		low, high := math.Inf(1), math.Inf(-1)
		numeric := true
		for _, c := range candidates {
			v, ok := value(c)
			numeric = numeric && ok
			low, high, seen[v] = min(low, v), max(high, v), true
		}
		if v, _ := value(best); numeric && len(seen) > 2 && (v == low || v == high) {
			at = append(at, key)
		}
	}
	return at, nil
}

// float is a number as YAML reads it.
func float(v any) (float64, bool) {
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return 0, false
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	case r.CanFloat():
		return r.Float(), true
	}
	return 0, false
}

// writeSettings writes settings on one line, "lambda=0.3 rows=4".
func writeSettings(settings map[string]any) string {
	if len(settings) == 0 {
		return "defaults"
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		parts = append(parts, fmt.Sprintf("%s=%v", key, settings[key]))
	}
	return strings.Join(parts, " ")
}
