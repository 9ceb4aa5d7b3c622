package cl_test

import (
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
)

// fading is a strategy as another package would write it, with exported names alone: replay whose weight falls with the
// share of signal in x_t.
type fading struct {
	cl.Replay `yaml:",inline"`
	Lambda    float64 `yaml:"lambda"`
	Floor     float64 `yaml:"floor"`

	alphaBar []float64
}

func newFading() *fading { return &fading{Replay: cl.NewReplay(), Lambda: 1, Floor: 0.1} }

func (*fading) Info() cl.Info {
	return cl.Info{Name: "fading", Title: "fading replay", Paper: "a test", Equation: "L = mean(loss_fresh) + mean(λ(t)·loss_replay)", Stores: "a buffer", Labels: true}
}

func (f *fading) Label() string { return cl.LabelOf(f, newFading()) }

func (f *fading) Begin(s cl.Setup) error {
	f.alphaBar = s.Network.Process.AlphaBar
	return f.Replay.Begin(s)
}

func (f *fading) BeforeStep(s *cl.Step) error {
	images := f.Memory().Images()
	for i, j := range f.Memory().Draw(s.RNG, s.Replay) {
		noise := 1 - f.alphaBar[s.Batch.T[s.Row(i)]]
		weight := f.Lambda * (f.Floor + (1-f.Floor)*noise)
		s.SetReplay(i, images.Image(j), images.Labels[j], weight/float64(s.Replay))
	}
	return nil
}

// register adds a strategy until the test ends.
func register(t *testing.T, create func() cl.Strategy) {
	t.Helper()
	t.Cleanup(cl.ForgetRegistered)
	if err := cl.Register(create); err != nil {
		t.Fatal(err)
	}
}

// TestRegistered: a strategy of another package is known like those of this one.
func TestRegistered(t *testing.T) {
	if _, err := cl.New(cl.Spec{Name: "fading"}); err == nil {
		t.Fatal("known before it is registered")
	}
	before := cl.Names()
	register(t, func() cl.Strategy { return newFading() })
	if names := cl.Names(); !slices.Equal(names, append(before, "fading")) {
		t.Errorf("names are %v, want fading after %v", names, before)
	}
	s := made(t, "fading", map[string]any{"floor": 0.5, "buffer": 11})
	if f := s.(*fading); f.Floor != 0.5 || f.Buffer != 11 || f.Lambda != 1 {
		t.Errorf("settings over defaults give %+v", *f)
	}
	if label := s.Label(); label != "fading λ=1 buffer=11 floor=0.5" {
		t.Errorf("the label is %q", label)
	}
	for _, wrong := range []map[string]any{{"flor": 1}, {"buffer": 0}, {"policy": "hearding"}} {
		if _, err := cl.New(cl.Spec{Name: "fading", Settings: wrong}); err == nil {
			t.Errorf("%v: no error", wrong)
		}
	}
	if both := made(t, "er+fading", map[string]any{"fading_floor": 0.5, "er_lambda": 0.3}); both.Label() != "er+fading (er λ=0.3, fading λ=1 floor=0.5)" {
		t.Errorf("the composition is %q", both.Label())
	}
	again := made(t, "fading", nil)
	if again == s || again.(*fading).Buffer != 200 {
		t.Errorf("settings of one strategy show in the next: %+v", again)
	}
}

// TestRegisteredConforms runs the suite on it, alone and as a part.
func TestRegisteredConforms(t *testing.T) {
	register(t, func() cl.Strategy { return newFading() })
	for _, tc := range []struct {
		name           string
		settings, zero map[string]any
	}{
		{"fading", map[string]any{"buffer": 11}, map[string]any{"lambda": 0, "buffer": 11}},
		{"fading+ewc_rank1", map[string]any{"buffer": 11, "fisher_rows": 3}, map[string]any{"fading_lambda": 0, "ewc_rank1_lambda": 0, "buffer": 11}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cltest.Conform(t, func() cl.Strategy { return made(t, tc.name, tc.settings) },
				cltest.Options{MaxImages: 11, ZeroWeight: func() cl.Strategy { return made(t, tc.name, tc.zero) }})
		})
	}
}

// TestFadingToOneIsER: where the weight does not fall it is experience replay, bit for bit.
func TestFadingToOneIsER(t *testing.T) {
	register(t, func() cl.Strategy { return newFading() })
	_, er, _ := trained(t, made(t, "er", map[string]any{"buffer": 11}))
	_, flat, _ := trained(t, made(t, "fading", map[string]any{"buffer": 11, "floor": 1}))
	_, fading, _ := trained(t, made(t, "fading", map[string]any{"buffer": 11}))
	if !slices.Equal(er, flat) {
		t.Error("with floor 1 it differs from er")
	}
	if slices.Equal(er, fading) {
		t.Error("the floor changes nothing")
	}
}

// Strategies that Register must refuse.
type (
	valueStrategy struct{ cl.Strategy }
	unsound       struct {
		*fading `yaml:"-"`
		info    cl.Info
		label   string
	}
)

func (u *unsound) Info() cl.Info { return u.info }
func (u *unsound) Label() string { return u.label }

// Untagged is exported so that its being embedded shows in a configuration.
type Untagged struct{ fading }

type embedding struct{ Untagged }

// small has a setting that YAML does not see.
type small struct {
	fading `yaml:",inline"`
	floor  float64 `yaml:"floor"`
}

func TestRegisterRefuses(t *testing.T) {
	t.Cleanup(cl.ForgetRegistered)
	one := newFading()
	info := one.Info()
	wrong := func(change func(*unsound)) func() cl.Strategy {
		return func() cl.Strategy {
			u := &unsound{fading: newFading(), info: info, label: info.Name}
			change(u)
			return u
		}
	}
	for name, tc := range map[string]struct {
		create func() cl.Strategy
		want   string
	}{
		"no function":         {nil, "no function"},
		"no strategy":         {func() cl.Strategy { return nil }, "no strategy"},
		"a value":             {func() cl.Strategy { return valueStrategy{newFading()} }, "not a pointer"},
		"one for all":         {func() cl.Strategy { return one }, "the same"},
		"hidden settings":     {func() cl.Strategy { return &embedding{} }, "without a yaml tag"},
		"a small setting":     {func() cl.Strategy { return &small{floor: 0.1} }, "in its field floor, which no configuration can set"},
		"a name in use":       {wrong(func(u *unsound) { u.info.Name, u.label = "er", "er" }), `named "er" already`},
		"a short name in use": {wrong(func(u *unsound) { u.info.Name, u.label = "gd", "gd" }), `named "gd" already`},
		"a name of two":       {wrong(func(u *unsound) { u.info.Name = "er+mine" }), "cannot be named"},
		"a name with a slash": {wrong(func(u *unsound) { u.info.Name = "../mine" }), "cannot be named"},
		"no name":             {wrong(func(u *unsound) { u.info.Name = "" }), "cannot be named"},
		"no equation":         {wrong(func(u *unsound) { u.info.Equation = "" }), "Info.Equation"},
		"a title of two":      {wrong(func(u *unsound) { u.info.Title = "one\ntwo" }), "Info.Title"},
		"a label of its own":  {wrong(func(u *unsound) { u.label = "best" }), "LabelOf"},
		"bad defaults":        {func() cl.Strategy { f := newFading(); f.Buffer = 0; return f }, "buffer is 0"},
	} {
		err := cl.Register(tc.create)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: the error is %v, want it to say %q", name, err, tc.want)
		}
	}
	if names := cl.Names(); slices.Contains(names, "fading") {
		t.Errorf("a strategy that was refused is known: %v", names)
	}
	register(t, func() cl.Strategy { return newFading() })
	if err := cl.Register(func() cl.Strategy { return newFading() }); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("registered twice: %v", err)
	}
}
