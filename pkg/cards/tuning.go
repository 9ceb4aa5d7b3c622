package cards

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/settings"
	"palimpsest/pkg/words"
)

// Tuning is the outcome of a search over a method's candidates: tuned/NAME.yaml.
type Tuning struct {
	Settings map[string]any `yaml:"settings"`       // the best candidate's
	Edge     []string       `yaml:"edge,omitempty"` // settings whose best value is an end of the range tried: the optimum may lie beyond
	Search   SearchRecord   `yaml:"search"`
}

// SearchRecord says how the settings were chosen.
type SearchRecord struct {
	Metric    string       `yaml:"metric"`
	Budget    SearchBudget `yaml:"budget,flow"`
	Overrides []string     `yaml:"overrides"` // settings over those of the quick benchmark, KEY=VALUE
	Commit    string       `yaml:"commit"`
	Dirty     bool         `yaml:"dirty"` // the checkout had changes
	Machine   string       `yaml:"machine"`
	Command   string       `yaml:"command"`
	Date      string       `yaml:"date"` // of the last run, UTC
	Trials    []Trial      `yaml:"trials"`
}

// SearchBudget is what a search spends on a method; it is the same for all.
type SearchBudget struct {
	Trials int `yaml:"trials"` // candidates
	Steps  int `yaml:"steps"`  // optimiser steps of each run
	Seeds  int `yaml:"seeds"`  // runs of each candidate
}

// Trial is one candidate and what it came to.
type Trial struct {
	Settings map[string]any `yaml:"settings,flow"`
	Score    float64        `yaml:"score"` // mean over seeds, lower is better; +Inf where training diverged
}

// Save writes the tuning of a method to the folder store, which is made where it is missing.
func (t *Tuning) Save(store, name string) error {
	if err := os.MkdirAll(store, 0o755); err != nil {
		return errors.WithStack(err)
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "# Written by `go run . search`.\n")
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(t); err != nil {
		return errors.Wrapf(err, "cards: tuning of %s", name)
	}
	return atomicfile.Write(filepath.Join(store, name+".yaml"), text.Bytes())
}

// LoadTunings reads all tunings in a folder that [Tuning.Save] wrote to, by strategy name; none where it does not exist.
func LoadTunings(store string) (map[string]*Tuning, error) {
	files, err := atomicfile.Glob(store, "*.yaml")
	if err != nil {
		return nil, errors.WithStack(err)
	}
	all := map[string]*Tuning{}
	for _, file := range files {
		if all[strings.TrimSuffix(filepath.Base(file), ".yaml")], err = loadTuning(file); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// loadTuning reads what [Tuning.Save] wrote to a file.
func loadTuning(file string) (*Tuning, error) {
	text, err := settings.ReadFile(file)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	t := &Tuning{}
	return t, errors.WithMessage(settings.Decode(text, t), file)
}

// TuningOf reads the search that chose a strategy's settings, or nil where none has been made.
func TuningOf(name string) (*Tuning, error) {
	if _, err := cl.New(cl.Spec{Name: name}); err != nil {
		return nil, err
	}
	t := &Tuning{}
	if found, err := readDescribed("tuned", name, t); !found || err != nil {
		return nil, err
	}
	return t, nil
}

// TunedSpec is a strategy at the settings that a search has chosen for it. For a composite without a card these are the settings
// of its parts, under their full names; a strategy without candidates, or without a card, stays at its default ones. It is an
// error where candidates have not been searched yet.
func TunedSpec(name string) (cl.Spec, error) {
	spec, missing, err := tunedSpec(name, Of, TuningOf)
	if len(missing) > 0 {
		err = errors.Errorf("cards: no settings have been chosen for %s yet; search them first: `go run . search --strategies %s`",
			strings.Join(missing, ", "), strings.Join(missing, ","))
	}
	return spec, err
}

// TunedSpecIn is [TunedSpec] by the tunings in a folder that [Tuning.Save] wrote to, and by these alone.
func TunedSpecIn(store, name string) (cl.Spec, error) {
	if info, err := os.Stat(store); err != nil || !info.IsDir() {
		return cl.Spec{}, errors.Errorf("cards: there is no folder %s of chosen settings; name one that `go run . search --store %s` wrote", store, words.Shell(store))
	}
	spec, missing, err := tunedSpec(name, Of, func(part string) (*Tuning, error) {
		t, err := loadTuning(filepath.Join(store, part+".yaml"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return t, err
	})
	if len(missing) > 0 {
		files, err := atomicfile.Glob(store, "*.yaml")
		if err != nil {
			return cl.Spec{}, errors.WithStack(err)
		}
		var have []string
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".yaml")
			if _, err := cl.New(cl.Spec{Name: name}); err == nil {
				have = append(have, name)
			}
		}
		return cl.Spec{}, errors.Errorf("cards: %s holds no chosen settings of %s (it has %s); search them first: `go run . search --strategies %s --store %s`",
			store, words.List(missing), cmp.Or(words.List(have), "none at all"), strings.Join(missing, ","), words.Shell(store))
	}
	return spec, errors.WithMessage(err, store)
}

// tunedSpec is TunedSpec by given cards and tunings. missing are the strategies that have candidates and no tuning.
func tunedSpec(name string, cardOf func(string) (Card, error), tuningOf func(string) (*Tuning, error)) (spec cl.Spec, missing []string, err error) {
	spec = cl.Spec{Name: name, Settings: map[string]any{}}
	parts := strings.Split(name, "+")
	if len(parts) > 1 {
		card, err := cardOf(name)
		if err != nil && !errors.Is(err, ErrNone) {
			return cl.Spec{}, nil, err
		}
		if len(card.Candidates) > 0 { // searched as one method
			parts = []string{name}
		}
	}
	for _, part := range parts {
		card, err := cardOf(part)
		if err != nil && !errors.Is(err, ErrNone) {
			return cl.Spec{}, nil, err
		}
		if len(card.Candidates) == 0 {
			continue
		}
		tuning, err := tuningOf(part)
		if err != nil {
			return cl.Spec{}, nil, err
		}
		if tuning == nil {
			missing = append(missing, part)
			continue
		}
		for key, value := range tuning.Settings {
			if len(parts) > 1 {
				key = part + "_" + key
			}
			spec.Settings[key] = value
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return cl.Spec{}, missing, nil
	}
	_, err = cl.New(spec)
	return spec, nil, errors.WithMessagef(err, "tuned settings of %s", name)
}
