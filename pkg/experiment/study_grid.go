package experiment

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/cards"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/settings"
	"palimpsest/pkg/words"
)

// Grid is a set of runs to compare: strategies × swept settings × variants × seeds.
type Grid struct {
	Set        []string // KEY=VALUE settings of all runs, over the configuration
	Strategies []string
	// Sweeps are "SETTING=VALUE,VALUE,…", and multiply. A strategy that lacks the setting runs once. A setting with a dot,
	// such as loop.replay_rows, is the configuration's and holds for every strategy. The value "measured:DIR" of the
	// setting timesteps stands for the forgetting map of the study in the folder DIR ([MeasuredTimesteps]). Values may be
	// lists: "benchmark.datasets=[mnist],[fashion-mnist]".
	Sweeps   []string
	Variants []string // "NAME: KEY=VALUE KEY=VALUE …": the same runs under other settings, besides the plain ones
	Seeds    int      // of each: the configuration's seed and those after it

	// UsualSweeps says that nobody named the sweeps: those that no strategy has are left out, where
	// otherwise they are refused.
	UsualSweeps bool

	Tuned     bool   // start from the settings that a search has chosen ([cards.TunedSpec]); the configuration and sweeps come over them
	TunedFrom string // the folder that a search stored those in; "": the program's own

	Flags bool // errors call a field by the command line's flag for it: --sweep for Sweeps
}

// flagOf are the command line's flags for what is given to a [Grid], [Search], [Extension] or [Export].
var flagOf = map[string]string{"Format": "--format", "Overwrite": "--overwrite", "Task": "--task", "Set": "--set", "Strategies": "--strategies", "Sweeps": "--sweep", "Variants": "--variant", "Seeds": "--seeds",
	"Tasks": "--tasks", "Datasets": "--dataset", "store": "--store"}

// called is what errors call a field: by its flag where flags says so.
func called(field string, flags bool) string {
	if flags {
		return flagOf[field]
	}
	return field
}

// called is what errors call a field.
func (g Grid) called(field string) string { return called(field, g.Flags) }

// variant is a name for settings that differ from the grid's.
type variant struct {
	name  string
	set   []string
	given bool // by [Grid.Variants]
}

// Configs lists the runs, seed by seed so that the first comparison is whole before the second begins, over the YAML
// configuration text; label names that in errors. What the grid, and not the text, is at fault for is one of [Refused].
func (g Grid) Configs(label string, text []byte) (configs []Config, err error) {
	ofText := false
	defer func() {
		err = oneline.Error(err) // words of the command line are repeated as they are
		if !ofText {
			err = refuse(err)
		}
	}()
	if g.Seeds < 1 || g.Seeds > mostRuns {
		return nil, errors.Errorf("%s is %d; need 1 to %d", g.called("Seeds"), g.Seeds, mostRuns)
	}
	if len(g.Strategies) == 0 {
		return nil, errors.New("no strategy is named; name one, such as er")
	}
	if err := g.checkSettings(); err != nil {
		return nil, err
	}
	if err := checkRepeated(g.Set); err != nil {
		return nil, err
	}
	variants, err := g.variants()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{} // settings of variants, as YAML
	for _, v := range variants {
		base, err := overrideConfig(label, text, append(slices.Clone(g.Set), v.set...), g.option)
		if err != nil {
			if foreign := g.checkForeign(label, text, append(slices.Clone(g.Set), v.set...)); foreign != nil {
				err = Refused{foreign}
			}
		}
		if err != nil && v.given {
			err = errors.WithMessagef(err, "variant %q", v.name)
		}
		if err != nil {
			ofText = !errors.As(err, new(Refused))
			return nil, err
		}
		settings, err := yaml.Marshal(base)
		if err != nil {
			return nil, errors.Wrap(err, "configuration")
		}
		if seen[string(settings)] {
			return nil, errors.Errorf("the runs of %q would be made twice: other runs of the study have the same settings; leave it out", v.name)
		}
		seen[string(settings)] = true
		if err := g.checkOrder(base); err != nil {
			return nil, err
		}
		if err := g.checkSet(base, append(slices.Clone(g.Set), v.set...)); err != nil {
			return nil, err
		}
		if base.Seed > math.MaxUint64-uint64(g.Seeds-1) {
			return nil, errors.Errorf("%s is %d from seed %d on; there is no seed above %d", g.called("Seeds"), g.Seeds, base.Seed, uint64(math.MaxUint64))
		}
		base.Variant = strings.TrimSpace(base.Variant + " " + v.name)
		for _, name := range g.Strategies {
			specs, err := g.specs(cl.FullName(name), base)
			if err != nil {
				return nil, err
			}
			if runs := len(configs) + len(specs)*g.Seeds; runs > mostRuns {
				return nil, errors.Errorf("the study has %d runs or more; need at most %d, so sweep fewer values or take fewer seeds", runs, mostRuns)
			}
			for _, spec := range specs {
				for seed := range g.Seeds {
					c := base
					c.Strategy, c.Seed = spec, base.Seed+uint64(seed)
					if seed == 0 { // the text and what is set are sound, so it would be the grid's fault
						if err := c.Validate(); err != nil {
							return nil, errors.WithMessagef(err, "run %s", c.RunName())
						}
						strategy, err := cl.New(spec)
						if err == nil {
							err = cl.CheckBorders(strategy, c.Benchmark.Stream == StreamOnline)
						}
						if err != nil {
							return nil, errors.WithMessagef(err, "run %s", c.RunName())
						}
					}
					configs = append(configs, c)
				}
			}
		}
	}
	slices.SortStableFunc(configs, func(a, b Config) int { return cmp.Compare(a.Seed, b.Seed) })
	return configs, nil
}

// option is what gave a setting of the configuration, in the words of errors.
func (g Grid) option(setting string) string {
	key, _, _ := strings.Cut(setting, "=")
	for _, sweep := range g.Sweeps {
		if strings.HasPrefix(sweep, key+"=") && strings.Contains(key, ".") && !slices.Contains(g.Set, setting) {
			return g.called("Sweeps") + " " + sweep
		}
	}
	if slices.Contains(g.Set, setting) {
		return g.called("Set") + " " + setting
	}
	return g.called("Variants") + " " + setting
}

// mostRuns is far more than any study has; a slip of the keyboard is not to fill the memory.
const mostRuns = 100_000

// settingsOf are the full names of strategies and the settings that any of them has.
func settingsOf(strategies []string) (names []string, known map[string]bool, err error) {
	known = map[string]bool{}
	for _, name := range strategies {
		name = cl.FullName(name)
		names = append(names, name)
		strategy, err := cl.New(cl.Spec{Name: name})
		if err != nil {
			return nil, nil, err
		}
		own, err := cl.Settings(strategy)
		if err != nil {
			return nil, nil, err
		}
		for key := range own {
			known[key] = true
		}
	}
	return names, known, nil
}

// checkSettings refuses what would be swept or set without any run seeing it.
func (g Grid) checkSettings() error {
	names, known, err := settingsOf(g.Strategies)
	if err != nil {
		return err
	}
	if err := checkRepeated(g.Sweeps); err != nil {
		return err
	}
	top := settingNames(reflect.TypeFor[Config]())
	for _, sweep := range g.Sweeps {
		key, _, err := g.cutSweep(sweep)
		if err != nil {
			return err
		}
		of := g.called("Sweeps")
		switch _, inConfig := top[key]; {
		case key == "seed":
			return errors.Errorf("%s %s: the seed is not swept; %s N makes N runs of each, from the configuration's seed on", of, sweep, g.called("Seeds"))
		case key == "strategy" || key == "strategy.name":
			return errors.Errorf("%s %s: strategies are not swept; name them by %s", of, sweep, g.called("Strategies"))
		case strings.HasPrefix(key, "strategy."):
			return errors.Errorf("%s %s: a strategy's setting is swept by its own name; write %[1]s %[3]s", of, sweep, strings.TrimPrefix(sweep, "strategy."))
		case strings.Contains(key, "."):
			continue // the configuration's, which knows its settings
		case known[key] || g.UsualSweeps:
			continue
		case inConfig:
			return errors.Errorf("%s %s: %q is no setting of a strategy, and of the configuration's only those with a dot are swept; use %s \"NAME: %s=VALUE\" instead",
				of, sweep, key, g.called("Variants"), key)
		}
		return noneHas(of+" "+sweep, names, key, known)
	}
	return nil
}

// noneHas is the error of a setting, given by what, that none of the strategies has.
func noneHas(what string, strategies []string, key string, known map[string]bool) error {
	if len(known) == 0 {
		return errors.Errorf("%s: none of %v has a setting %q, or any; leave it out", what, strategies, key)
	}
	have := slices.Sorted(maps.Keys(known))
	return errors.Errorf("%s: none of %v has a setting %q%s; they have %v", what, strategies, key, words.DidYouMean(key, have), have)
}

// checkForeign reports the first "strategy.KEY=VALUE" whose key the configuration's strategy lacks: whoever names others need not know that
// there is one. It also reports the first setting of a strategy that is given as one of the configuration.
func (g Grid) checkForeign(label string, text []byte, set []string) error {
	_, known, err := settingsOf(g.Strategies)
	if err != nil {
		return err
	}
	var own, others []string
	top := settingNames(reflect.TypeFor[Config]())
	for _, s := range set {
		key, _, _ := strings.Cut(s, "=")
		if _, inConfig := top[key]; !inConfig && known[key] {
			return errors.Errorf("%s: %q is a setting of strategies and not of the configuration; write %s %s", g.option(s), key, g.called("Sweeps"), s)
		}
		if below, ok := strings.CutPrefix(key, "strategy."); ok && below != "name" {
			own = append(own, s)
		} else {
			others = append(others, s)
		}
	}
	base, err := override(label, text, others)
	if err != nil {
		return nil // the text or another setting is at fault
	}
	_, has, err := settingsOf([]string{base.Strategy.Name})
	if err != nil {
		return err
	}
	for _, s := range own {
		setting := strings.TrimPrefix(s, "strategy.")
		switch key, _, _ := strings.Cut(setting, "="); {
		case has[key]:
		case known[key]:
			return errors.Errorf("%s: strategy.… is the configuration's own strategy, %s, which has no %s; for those of %s write %s %s",
				g.option(s), base.Strategy.Name, key, g.called("Strategies"), g.called("Sweeps"), setting)
		default:
			return noneHas(g.option(s), g.Strategies, key, known)
		}
	}
	return nil
}

// checkRepeated refuses settings of which a later one undoes another: the last would count, in silence.
func checkRepeated(set []string) error {
	for i, s := range set {
		key, _, _ := strings.Cut(s, "=")
		for _, before := range set[:i] {
			if other, _, _ := strings.Cut(before, "="); other == key || strings.HasPrefix(other, key+".") {
				return errors.Errorf("settings %q and %q are of one setting; leave one of them out", before, s)
			}
		}
	}
	return nil
}

// checkSet refuses settings of a strategy that is not among those run, and a strategy's name that no setting of its own
// goes with.
func (g Grid) checkSet(base Config, set []string) error {
	for _, s := range set {
		if key, _, _ := strings.Cut(s, "="); (key == "strategy" || key == "strategy.name") && len(base.Strategy.Settings) == 0 {
			return errors.Errorf("setting %q changes nothing: the strategies that run are %v; name them by %s", s, g.Strategies, g.called("Strategies"))
		}
		if strings.HasPrefix(s, "strategy") && !slices.ContainsFunc(g.Strategies, func(name string) bool { return cl.FullName(name) == base.Strategy.Name }) {
			return errors.Errorf("setting %q is of strategy %s, which is not run; name it by %s, or leave the setting out", s, base.Strategy.Name, g.called("Strategies"))
		}
	}
	return nil
}

// variants are the plain settings, the named variants, and each of them once a value of every swept setting of the
// configuration.
func (g Grid) variants() ([]variant, error) {
	all, of := []variant{{}}, g.called("Variants")
	for _, text := range g.Variants {
		name, settings, found := strings.Cut(text, ": ")
		if name = strings.TrimSpace(name); !found || name == "" || len(strings.Fields(settings)) == 0 {
			return nil, errors.Errorf("%s %q; need \"NAME: KEY=VALUE KEY=VALUE …\"", of, text)
		}
		for _, s := range strings.Fields(settings) {
			switch key, _, _ := strings.Cut(s, "="); key {
			case "seed":
				return nil, errors.Errorf("%s %q: the seed is no variant; %s N makes N runs of each, from the configuration's seed on", of, text, g.called("Seeds"))
			case "variant", "name":
				return nil, errors.Errorf("%s %q: %s names a run, and the variant has its name before the colon; leave it out", of, text, key)
			}
		}
		if err := checkRepeated(strings.Fields(settings)); err != nil {
			return nil, errors.WithMessagef(err, "%s %q", of, text)
		}
		all = append(all, variant{name, strings.Fields(settings), true})
	}
	if err := g.checkSwept(all); err != nil {
		return nil, err
	}
	for _, sweep := range g.Sweeps {
		key, values, err := g.cutSweep(sweep)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(key, ".") {
			continue
		}
		var more []variant
		names := sweptNames(key, values)
		for _, v := range all {
			for i, value := range values {
				name := strings.TrimSpace(v.name + " " + names[i])
				more = append(more, variant{name, append(slices.Clone(v.set), key+"="+value), v.given})
			}
		}
		all = more
	}
	return all, nil
}

// checkSwept refuses a setting that is swept and also set: the sweep would have the last word, in silence.
func (g Grid) checkSwept(variants []variant) error {
	if g.UsualSweeps {
		return nil
	}
	for _, sweep := range g.Sweeps {
		key, _, err := g.cutSweep(sweep)
		if err != nil {
			return err
		}
		if !strings.Contains(key, ".") {
			key = "strategy." + key
		}
		for _, v := range append([]variant{{set: g.Set}}, variants...) {
			for _, s := range v.set {
				if set, _, _ := strings.Cut(s, "="); set == key {
					return errors.Errorf("setting %q and %s %s are of one setting; leave one of them out", s, g.called("Sweeps"), sweep)
				}
			}
		}
	}
	return nil
}

// specs is a strategy with every combination of swept settings that it has, over the settings that base's strategy
// has if it is the same.
func (g Grid) specs(name string, base Config) ([]cl.Spec, error) {
	spec := cl.Spec{Name: name}
	if g.Tuned {
		var err error
		if g.TunedFrom == "" {
			spec, err = cards.TunedSpec(name)
		} else {
			spec, err = cards.TunedSpecIn(g.TunedFrom, name)
		}
		if err != nil {
			return nil, err
		}
	}
	if base.Strategy.Name == name && len(base.Strategy.Settings) > 0 {
		own := maps.Clone(base.Strategy.Settings)
		for key, value := range spec.Settings {
			if _, given := own[key]; !given {
				own[key] = value
			}
		}
		spec.Settings = own
	}
	strategy, err := cl.New(cl.Spec{Name: name})
	if err != nil {
		return nil, err
	}
	known, err := cl.Settings(strategy)
	if err != nil {
		return nil, err
	}
	specs := []cl.Spec{spec}
	for _, sweep := range g.Sweeps {
		key, values, err := g.cutSweep(sweep)
		if err != nil {
			return nil, err
		}
		if _, ok := known[key]; !ok {
			continue
		}
		if _, given := spec.Settings[key]; given && g.UsualSweeps {
			continue // what somebody asked for stands before what nobody did
		}
		var more []cl.Spec
		for _, spec := range specs {
			for _, value := range values {
				given := maps.Clone(spec.Settings)
				if given == nil {
					given = map[string]any{}
				}
				if dir, measured := strings.CutPrefix(value, "measured:"); measured && key == "timesteps" {
					weights, err := MeasuredTimesteps(dir)
					if err != nil {
						return nil, err
					}
					given["timesteps"], given["timestep_weights"] = "measured", weights
				} else {
					var parsed any
					node, err := settings.Document(fmt.Sprintf("%s %q", g.called("Sweeps"), sweep), []byte(value))
					if err != nil {
						return nil, err
					}
					if node == nil {
						return nil, errors.Errorf("%s %q has the value %q, which is none", g.called("Sweeps"), sweep, value)
					}
					if err := node.Decode(&parsed); err != nil {
						return nil, errors.Errorf("%s %q: %s", g.called("Sweeps"), sweep, oneline.Text(err.Error()))
					}
					given[key] = parsed
				}
				more = append(more, cl.Spec{Name: name, Settings: given})
			}
		}
		specs = more
	}
	return specs, nil
}

// cutSweep reads "SETTING=VALUE,VALUE,…"; commas within brackets, braces and quotes belong to a value.
func (g Grid) cutSweep(sweep string) (key string, values []string, err error) {
	key, list, found := strings.Cut(sweep, "=")
	if !found || key == "" || list == "" {
		return "", nil, errors.Errorf("%s %q; need SETTING=VALUE,VALUE,…", g.called("Sweeps"), sweep)
	}
	depth, start, quote := 0, 0, rune(0)
	for i, r := range list {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '[' || r == '{':
			depth++
		case r == ']' || r == '}':
			depth--
		case r == ',' && depth == 0:
			values, start = append(values, list[start:i]), i+1
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 || quote != 0 {
		return "", nil, errors.Errorf("%s %q; a bracket or quote is open, or closed too often: need SETTING=[A,B],[C] for lists", g.called("Sweeps"), sweep)
	}
	values = append(values, list[start:])
	for _, value := range values {
		if strings.TrimSpace(value) == "" {
			return "", nil, errors.Errorf("%s %q has an empty value; leave out a comma, or write '' for an empty word", g.called("Sweeps"), sweep)
		}
	}
	return key, values, nil
}

// sweptNames names the values of a swept setting of the configuration: "steps_per_task=300", "classes=0+1+2", and data sets by
// themselves, "mnist+fashion-mnist". Of a path it takes the last part or, where two values would have one name, all parts.
func sweptNames(key string, values []string) []string {
	named := func(whole bool) []string {
		names := make([]string, len(values))
		for i, value := range values {
			if strings.HasPrefix(value, "[") {
				value = strings.NewReplacer("[", "", "]", "", `"`, "", "'", "").Replace(value)
				parts := strings.Split(value, ",")
				for j, part := range parts {
					parts[j] = strings.ReplaceAll(pathName(part, whole), " ", "")
				}
				value = strings.Join(parts, "+")
			} else {
				value = pathName(value, whole)
			}
			if names[i] = value; key != "benchmark.datasets" {
				names[i] = key[strings.LastIndex(key, ".")+1:] + "=" + value
			}
		}
		return names
	}
	names := named(false)
	if len(slices.Compact(slices.Sorted(slices.Values(names)))) < len(names) {
		return named(true)
	}
	return names
}

// pathName is the last part of a path, or all of them with dashes in between; what is no path stays as it is.
func pathName(path string, whole bool) string {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' })
	switch {
	case !strings.ContainsAny(path, `/\`) || len(parts) == 0:
		return path
	case whole:
		return strings.Join(parts, "-")
	}
	return parts[len(parts)-1]
}

// checkOrder refuses a sweep of the seed of the class order where nothing depends on it: the runs would all be the same.
func (g Grid) checkOrder(c Config) error {
	b := c.Benchmark
	seeded := b.Scenario == ClassIncremental && b.ClassOrder == "seeded"
	for _, sweep := range g.Sweeps {
		if strings.HasPrefix(sweep, "benchmark.order_seed=") && !seeded && b.ValFraction == 0 && b.Blur == 0 {
			return errors.Errorf("%s %s changes nothing: the class order is %q; add %s benchmark.class_order=seeded", g.called("Sweeps"), sweep, b.ClassOrder, g.called("Set"))
		}
	}
	return nil
}

// ReplayRows is how many rows a step of the run replays: the loop's, or the strategy's own.
func (c Config) ReplayRows() (int, error) {
	s, err := cl.New(c.Strategy)
	if err != nil {
		return 0, err
	}
	return s.ReplayRows(c.Loop.ReplayRows), nil
}
