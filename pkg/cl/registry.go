package cl

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/oneline"
	"palimpsest/pkg/settings"
	"palimpsest/pkg/words"
)

// registry makes each known strategy with its default settings. A new method is one file and one line here.
var registry = []func() Strategy{
	func() Strategy { return &Finetune{} },
	func() Strategy { return &Joint{} },
	func() Strategy { return &Cumulative{} },
	func() Strategy { return NewER() },
	func() Strategy { return NewL2() },
	func() Strategy { return NewEWC() },
	func() Strategy { return NewOnlineEWC() },
	func() Strategy { return NewRank1EWC() },
	func() Strategy { return NewSI() },
	func() Strategy { return NewMAS() },
	func() Strategy { return NewLwF() },
	func() Strategy { return NewGaussianDistillation() },
	func() Strategy { return NewGR() },
	func() Strategy { return NewGenerativeDistillation() },
	func() Strategy { return NewAGEM() },
	func() Strategy { return NewBalancedER() },
	func() Strategy { return NewMIR() },
	func() Strategy { return NewDER() },
	func() Strategy { return NewGDumb() },
	func() Strategy { return &FromScratch{} },
	func() Strategy { return &Ensemble{} },
	func() Strategy { return NewLoRA() },
	func() Strategy { return NewPackNet() },
	func() Strategy { return NewCCD() },
}

// Spec names a strategy and its settings, as a configuration file does: {name: er, lambda: 0.3}.
type Spec struct {
	Name     string         `yaml:"name" json:"name"`
	Settings map[string]any `yaml:",inline" json:"settings,omitempty"`
}

// UnmarshalYAML writes out an abbreviated name ([FullName]), so that a run has one name however its configuration gives it.
func (s *Spec) UnmarshalYAML(node *yaml.Node) error {
	for i := 0; i+1 < len(node.Content) && node.Kind == yaml.MappingNode; i += 2 {
		// The YAML package would leave the name that was there before.
		if node.Content[i].Value == "name" && node.Content[i+1].Tag == "!!null" {
			return errors.New("strategy.name has no value; give it one, or leave it out")
		}
	}
	type plain Spec // without this method
	if err := node.Decode((*plain)(s)); err != nil {
		return err
	}
	s.Name = FullName(s.Name)
	return nil
}

// abbreviations are short names that the field's papers have for a method.
var abbreviations = map[string]string{"gd": "generative_distillation"}

// FullName writes out the abbreviations among the methods of a name: "er+gd" is "er+generative_distillation".
func FullName(name string) string {
	parts := strings.Split(name, "+")
	for i, part := range parts {
		if full, ok := abbreviations[part]; ok {
			parts[i] = full
		}
	}
	return strings.Join(parts, "+")
}

// All returns every known strategy with its default settings: those of this package, then those registered ([Register]).
func All() []Strategy {
	makers := known()
	all := make([]Strategy, len(makers))
	for i, create := range makers {
		all[i] = create()
	}
	return all
}

// Names lists the known strategies.
func Names() []string {
	var names []string
	for _, s := range All() {
		names = append(names, s.Info().Name)
	}
	return names
}

// New returns the strategy spec names with its settings over the defaults. Names joined by "+" are a [Composite], and a name
// may be abbreviated ([FullName]). A name or setting that does not exist is an error that suggests the nearest one; a setting
// out of range is an error too.
func New(spec Spec) (Strategy, error) {
	var s Strategy
	var err error
	spec.Name = FullName(spec.Name)
	if strings.Contains(spec.Name, "+") {
		var c *Composite
		if c, err = newComposite(spec.Name); err == nil {
			s, err = c, c.set(spec.Settings)
		}
	} else if s, err = create(spec.Name); err == nil {
		err = decode(s, spec.Settings)
	}
	if err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s, nil
}

// create returns the method of a name with its default settings.
func create(name string) (Strategy, error) {
	for _, s := range All() {
		if s.Info().Name == name {
			return s, nil
		}
	}
	if name == "" {
		return nil, errors.Errorf("cl: the name of a strategy is empty: name one of %v, or leave out a comma or a plus", Names())
	}
	return nil, errors.Errorf("cl: no strategy is named %.100q%s; known are %v, several joined by \"+\", and what the program registers beforehand by cl.Register", name, words.DidYouMean(name, Names()), Names())
}

// decode puts the settings given over those that s has.
func decode(s Strategy, given map[string]any) error {
	if len(given) == 0 {
		return nil
	}
	known, err := Settings(s)
	if err != nil {
		return err
	}
	name := s.Info().Name
	for _, key := range slices.Sorted(maps.Keys(given)) { // in order, so that of several faults the same is always reported
		if _, ok := known[key]; !ok {
			names := slices.Sorted(maps.Keys(known))
			return errors.Errorf("cl: strategy %q has no setting %.100q%s; it has %v", name, key, words.DidYouMean(key, names), names)
		}
	}
	text, err := yaml.Marshal(given)
	if err != nil {
		return errors.Wrapf(err, "cl: settings of %q", name)
	}
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return errors.Errorf("cl: settings of %q: %s", name, oneline.Text(err.Error()))
	}
	// The YAML package cuts 20.9 to 20 where an integer is needed.
	if err := settings.Fits(tree, reflect.TypeOf(s), ""); err != nil {
		return errors.WithMessagef(err, "cl: settings of %q", name)
	}
	return errors.WithMessagef(settings.Decode(text, s), "cl: settings of %q", name)
}

// Settings returns a strategy's settings by their configuration names.
func Settings(s Strategy) (map[string]any, error) {
	if s == nil {
		return nil, errors.New("cl.Settings: no strategy (nil); make one by cl.New")
	}
	text, err := yaml.Marshal(s)
	if err != nil {
		return nil, errors.Wrapf(err, "cl: settings of %q", s.Info().Name)
	}
	settings := map[string]any{}
	return settings, errors.Wrapf(yaml.Unmarshal(text, &settings), "cl: settings of %q", s.Info().Name)
}
