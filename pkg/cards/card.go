// Package cards holds what is known of the strategies of package cl besides their code: cards, written by hand, which say what
// each is verified against and what its paper claims, and the settings that searches have chosen.
package cards

import (
	"embed"
	"io/fs"
	"path"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/settings"
)

// described holds the cards and the tuned settings. Both folders have a README, so that they can be embedded while empty.
//
//go:embed written tuned
var described embed.FS

// Card is what is known of a method besides its code, written by hand: written/NAME.yaml.
type Card struct {
	Knows      string           `yaml:"knows"`                // what the method may know of the stream, with its default settings ([cl.Info.Knows])
	Verified   string           `yaml:"verified"`             // what the implementation is tested against, and by which tests
	Reading    string           `yaml:"reading,omitempty"`    // what was chosen where the paper leaves something open
	Claims     []Claim          `yaml:"claims,omitempty"`     // what the paper says that a study can check
	Candidates []map[string]any `yaml:"candidates,omitempty"` // settings that a search tries, the default ones among them
}

// Claim is one comparison that a paper makes.
type Claim struct {
	Says   string `yaml:"says"`
	Source string `yaml:"source"`
	Better string `yaml:"better"` // strategy names
	Worse  string `yaml:"worse"`
	Metric string `yaml:"metric"` // MetricFID or MetricForgetting
}

// Metrics of claims, both lower is better.
const (
	MetricFID        = "fid"
	MetricForgetting = "forgetting"
)

// ErrNone is the cause of the error of [Of] for a strategy that nobody has written a card of.
var ErrNone = errors.New("the strategy has no card")

// Of reads the card of a known strategy, or of a composite of such: one has a card where its settings are searched
// together instead of being those chosen for its parts.
func Of(name string) (Card, error) {
	if _, err := cl.New(cl.Spec{Name: name}); err != nil {
		return Card{}, err
	}
	var c Card
	found, err := readDescribed("written", name, &c)
	if err == nil && !found {
		err = errors.WithMessagef(ErrNone, "cards: write pkg/cards/written/%s.yaml", name)
	}
	return c, err
}

// Names are those of all that have a card: strategies of package cl, and composites.
func Names() ([]string, error) {
	files, err := fs.Glob(described, "written/*.yaml")
	if err != nil {
		return nil, errors.Wrap(err, "cards")
	}
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(path.Base(file), ".yaml"))
	}
	return names, nil
}

// readDescribed decodes folder/name.yaml strictly, and says whether there is such a file.
func readDescribed(folder, name string, into any) (found bool, err error) {
	file := path.Join(folder, name+".yaml")
	text, err := described.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, errors.Wrap(err, "cards")
	}
	return true, errors.WithMessage(settings.Decode(text, into), "pkg/cards/"+file)
}
