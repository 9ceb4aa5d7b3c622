package cards

import (
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/errors"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/settings"
)

// A composite takes its parts' settings under their full names, or, where it has a card, those chosen for itself; what has no
// candidates stays as it is; what has and was not searched is an error that says how to.
func TestTunedSpec(t *testing.T) {
	cardOf := func(name string) (c Card, err error) {
		switch name {
		case "er", "ewc_rank1", "lwf", "si", "er+si", "er+mas":
			c.Candidates = []map[string]any{{}}
		case "joint":
			err = errors.WithMessage(ErrNone, name)
		case "mas":
			err = errors.New("damaged")
		}
		return c, err
	}
	tuningOf := func(name string) (*Tuning, error) {
		settings := map[string]map[string]any{"er": {"lambda": 0.3, "buffer": 50}, "ewc_rank1": {"lambda": 7}, "si": {"lambda": -1},
			"er+si": {"er_lambda": 1, "si_lambda": 2}}[name]
		if settings == nil {
			return nil, nil
		}
		return &Tuning{Settings: settings}, nil
	}
	for _, tc := range []struct {
		name     string
		settings map[string]any
		err      string
	}{
		{"er", map[string]any{"lambda": 0.3, "buffer": 50}, ""},
		{"er+ewc_rank1", map[string]any{"er_lambda": 0.3, "er_buffer": 50, "ewc_rank1_lambda": 7}, ""},
		{"er+si", map[string]any{"er_lambda": 1, "si_lambda": 2}, ""},
		{"er+mas", nil, "missing er+mas"},
		{"finetune", map[string]any{}, ""},
		{"joint", map[string]any{}, ""},
		{"lwf", nil, "missing lwf"},
		{"er+lwf", nil, "missing lwf"},
		{"mas", nil, "damaged"},
		{"si", nil, "tuned settings of si"},
	} {
		spec, missing, err := tunedSpec(tc.name, cardOf, tuningOf)
		if want, ok := strings.CutPrefix(tc.err, "missing "); ok {
			if err != nil || !slices.Equal(missing, []string{want}) {
				t.Errorf("%s: missing are %v (%v), want %s", tc.name, missing, err, want)
			}
			continue
		}
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: the error is %v, want it to say %q", tc.name, err, tc.err)
			}
			continue
		}
		if err != nil || spec.Name != tc.name || !reflect.DeepEqual(spec.Settings, tc.settings) {
			t.Errorf("%s: %+v (%v), want %v", tc.name, spec, err, tc.settings)
		}
	}
}

// A folder of chosen settings is taken from in place of the program's own, never beside them: what it lacks was not searched with the
// same budget.
func TestTunedSpecIn(t *testing.T) {
	store := filepath.Join(t.TempDir(), "a b")
	if _, err := TunedSpecIn(store, "er"); err == nil || !strings.Contains(err.Error(), "there is no folder "+store) || !strings.Contains(err.Error(), "search --store '"+store+"'") {
		t.Errorf("no folder: %v", err)
	}
	tuning := &Tuning{Settings: map[string]any{"lambda": 0.77}}
	if err := tuning.Save(store, "er"); err != nil {
		t.Fatal(err)
	}
	if spec, err := TunedSpecIn(store, "er"); err != nil || !reflect.DeepEqual(spec.Settings, tuning.Settings) {
		t.Errorf("er is %v (%v), want %v", spec, err, tuning.Settings)
	}
	if spec, err := TunedSpecIn(store, "joint"); err != nil || len(spec.Settings) != 0 {
		t.Errorf("joint, which has no candidates, is %v (%v)", spec, err)
	}
	want := store + " holds no chosen settings of ewc (it has er); search them first: `go run . search --strategies ewc --store '" + store + "'`"
	if _, err := TunedSpecIn(store, "er+ewc"); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("er+ewc: %v, want %s", err, want)
	}
	wrong := &Tuning{Settings: map[string]any{"lambda": -1}}
	if err := wrong.Save(store, "er"); err != nil {
		t.Fatal(err)
	}
	if _, err := TunedSpecIn(store, "er"); err == nil || !strings.HasPrefix(err.Error(), store+": tuned settings of er: ") {
		t.Errorf("a setting that er refuses: %v", err)
	}
}

// Tunings are found again in the folder that they were saved to, whatever that is called.
func TestTuningsAreSaved(t *testing.T) {
	store := filepath.Join(t.TempDir(), "a[b]")
	if all, err := LoadTunings(store); err != nil || len(all) != 0 {
		t.Errorf("%d tunings in no folder, %v", len(all), err)
	}
	want := &Tuning{Settings: map[string]any{"lambda": 0.3}}
	if err := want.Save(store, "er"); err != nil {
		t.Fatal(err)
	}
	if all, err := LoadTunings(store); err != nil || len(all) != 1 || !reflect.DeepEqual(all["er"].Settings, want.Settings) {
		t.Errorf("%v, %v; want one of er with %v", all, err, want.Settings)
	}
}

// A key that a card does not have is an error, as is a card of an unknown strategy.
func TestCardsAreStrict(t *testing.T) {
	var c Card
	if err := settings.Decode([]byte("verified: x\nclaim: [y]\n"), &c); err == nil || !strings.Contains(err.Error(), "claim") {
		t.Errorf("an unknown key gives %v", err)
	}
	for name, want := range map[string]string{"ewk": `did you mean "ewc"?`, "er+ewc": "er+ewc"} {
		if _, err := Of(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the card of %s gives %v", name, err)
		}
	}
}

// resolved are the settings of a strategy, defaults and all.
func resolved(t *testing.T, name string, settings map[string]any) map[string]any {
	t.Helper()
	s, err := cl.New(cl.Spec{Name: name, Settings: settings})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return nil
	}
	all, err := cl.Settings(s)
	if err != nil {
		t.Fatal(err)
	}
	return all
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
		card, err := Of(name)
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
		if spec, err := TunedSpec(name); err != nil || !reflect.DeepEqual(spec.Settings, tuning.Settings) {
			t.Errorf("TunedSpec(%q) is %v (%v); want %v", name, spec, err, tuning.Settings)
		}
	}
}
