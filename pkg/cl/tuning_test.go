package cl

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pkg/errors"
)

// A composite takes its parts' settings under their full names; what has no candidates stays as it is; what has and was
// not searched is an error that says how to.
func TestTunedSpec(t *testing.T) {
	cardOf := func(name string) (c Card, err error) {
		switch name {
		case "er", "ewc_rank1", "lwf", "si":
			c.Candidates = []map[string]any{{}}
		case "joint":
			err = errors.WithMessage(ErrNoCard, name)
		case "mas":
			err = errors.New("damaged")
		}
		return c, err
	}
	tuningOf := func(name string) (*Tuning, error) {
		settings := map[string]map[string]any{"er": {"lambda": 0.3, "buffer": 50}, "ewc_rank1": {"lambda": 7}, "si": {"lambda": -1}}[name]
		if settings == nil {
			return nil, nil
		}
		return &Tuning{Settings: settings}, nil
	}
	for _, tc := range []struct {
		name     string
		settings map[string]any
		searched bool
		err      string
	}{
		{"er", map[string]any{"lambda": 0.3, "buffer": 50}, true, ""},
		{"er+ewc_rank1", map[string]any{"er_lambda": 0.3, "er_buffer": 50, "ewc_rank1_lambda": 7}, true, ""},
		{"finetune", map[string]any{}, false, ""},
		{"joint", map[string]any{}, false, ""},
		{"lwf", nil, false, "go run . search --strategies lwf"},
		{"er+lwf", nil, false, "go run . search --strategies lwf"},
		{"mas", nil, false, "damaged"},
		{"si", nil, false, "tuned settings of si"},
	} {
		spec, searched, err := tunedSpec(tc.name, cardOf, tuningOf)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: the error is %v, want it to say %q", tc.name, err, tc.err)
			}
			continue
		}
		if err != nil || spec.Name != tc.name || !reflect.DeepEqual(spec.Settings, tc.settings) || searched != tc.searched {
			t.Errorf("%s: %+v, searched %t (%v), want %v, %t", tc.name, spec, searched, err, tc.settings, tc.searched)
		}
	}
}

// A key that a card does not have is an error, as is a card of an unknown strategy.
func TestCardsAreStrict(t *testing.T) {
	var c Card
	if err := decodeStrictly([]byte("verified: x\nclaim: [y]\n"), &c); err == nil || !strings.Contains(err.Error(), "claim") {
		t.Errorf("an unknown key gives %v", err)
	}
	for name, want := range map[string]string{"ewk": `did you mean "ewc"?`, "er+ewc": "er+ewc"} {
		if _, err := CardOf(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the card of %s gives %v", name, err)
		}
	}
}
