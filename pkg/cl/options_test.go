package cl_test

import (
	"strings"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
)

// TestUnknownOptions: a strategy made in Go, which no configuration has checked, is refused for an option that there is none of,
// at its beginning or where it first counts.
func TestUnknownOptions(t *testing.T) {
	changed := func(name string, change func(cl.Strategy)) func() error {
		return func() error {
			s := alone(t, cl.Spec{Name: name})
			change(s)
			return s.BeforeStep(blank(s, 3))
		}
	}
	consolidated := func(name string, change func(cl.Strategy)) func() error {
		return func() error {
			s := alone(t, cl.Spec{Name: name})
			change(s)
			return s.Consolidate(t.Context(), 1, cltest.NewBenchmark().Tasks[1].Train)
		}
	}
	for name, tc := range map[string]struct {
		of   func() error
		want string
	}{
		"draw":                {changed("er", func(s cl.Strategy) { s.(*cl.ER).Draw = "newest" }), `"newest"`},
		"schedule of er":      {changed("er", func(s cl.Strategy) { s.(*cl.ER).Schedule = "k" }), `"k"`},
		"schedule of lwf":     {changed("lwf", func(s cl.Strategy) { s.(*cl.LwF).Schedule = "share" }), `"share"`},
		"schedule of gr":      {changed("gr", func(s cl.Strategy) { s.(*cl.GR).Schedule = "k" }), `"k"`},
		"teacher of lwf":      {consolidated("lwf", func(s cl.Strategy) { s.(*cl.LwF).Teacher = "best" }), `"best"`},
		"teacher of ccd":      {consolidated("ccd", func(s cl.Strategy) { s.(*cl.CCD).Teacher = "best" }), `"best"`},
		"teacher of der":      {consolidated("der", func(s cl.Strategy) { s.(*cl.DER).Teacher = "best" }), `"best"`},
		"timesteps of a loop": {func() error { return cl.OpenTimesteps("loss") }, `"loss"`},
	} {
		if err := tc.of(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want an error that names %s", name, err, tc.want)
		}
	}
}
