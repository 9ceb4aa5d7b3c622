package cards

import (
	"testing"

	"palimpsest/pkg/fuzztest"
	"palimpsest/pkg/settings"
)

// FuzzCard reads arbitrary cards. People alone write cards, so that what is read need not be written again.
func FuzzCard(f *testing.F) {
	for _, name := range []string{"er", "joint"} {
		text, err := described.ReadFile("written/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("verified: a\nclaims: [{says: b, metric: fid}]\ncandidates: [{lambda: 0.3}]"))
	f.Add([]byte("verified: [a]\nclaims: 1\ncandidate: 2"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = fuzztest.Read(t, len(text), func() error { return settings.Decode(text, new(Card)) })
	})
}

// FuzzTuning reads arbitrary outcomes of searches; what comes of one is written as something that reads back as the same.
func FuzzTuning(f *testing.F) {
	f.Add([]byte("settings: {lambda: 1}\nedge: [lambda]\nsearch: {metric: fid, budget: {trials: 2, steps: 3, seeds: 1}, trials: [{settings: {lambda: 1}, score: 2.5}, {settings: {}, score: .inf}]}"))
	f.Add([]byte("settings: [1]\nsearch: {date: 2026-01-01, overrides: x}"))
	f.Add([]byte("a: &a [*a]"))
	read := func(text []byte) (*Tuning, error) {
		v := new(Tuning)
		return v, settings.Decode(text, v)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var v *Tuning
		if fuzztest.Read(t, len(text), func() (err error) { v, err = read(text); return err }) == nil {
			fuzztest.Rereads(t, v, fuzztest.YAML, read)
		}
	})
}
