package cl

import (
	"bytes"
	"embed"
	"io/fs"
	"path"
	"strings"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/oneline"
)

// described holds the cards and the tuned settings. Both folders have a README, so that they can be embedded while empty.
//
//go:embed cards tuned
var described embed.FS

// Card is what is known of a method beside its code, written by hand: cards/NAME.yaml.
type Card struct {
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

// ErrNoCard is the cause of the error of [CardOf] for a strategy that nobody has written a card of.
var ErrNoCard = errors.New("the strategy has no card")

// CardOf reads the card of a known strategy, or of a composite of such: one has a card where its settings are searched
// together instead of being those chosen for its parts.
func CardOf(name string) (Card, error) {
	if _, err := New(Spec{Name: name}); err != nil {
		return Card{}, err
	}
	var c Card
	found, err := readDescribed("cards", name, &c)
	if err == nil && !found {
		err = errors.WithMessagef(ErrNoCard, "cl: write pkg/cl/cards/%s.yaml", name)
	}
	return c, err
}

// Carded are the names of all that have a card: strategies of this package, and composites.
func Carded() ([]string, error) {
	files, err := fs.Glob(described, "cards/*.yaml")
	if err != nil {
		return nil, errors.Wrap(err, "cl")
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
		return false, errors.Wrap(err, "cl")
	}
	return true, errors.WithMessage(decodeStrictly(text, into), "pkg/cl/"+file)
}

// decodeStrictly refuses keys that do not exist.
func decodeStrictly(text []byte, into any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	return oneline.Error(errors.WithStack(decoder.Decode(into)))
}
