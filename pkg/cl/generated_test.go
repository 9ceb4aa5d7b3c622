package cl_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
)

// seesClass0 judges the first image in each class to be of class 0, and all others as asked.
func seesClass0(im *datasets.Images) ([]int, error) {
	var seen [256]bool
	labels := make([]int, im.N)
	for i, label := range im.Labels {
		if seen[label] {
			labels[i] = int(label)
		}
		seen[label] = true
	}
	return labels, nil
}

// TestGenerated: what is generated for each task is counted by class asked for, and judged. Three tasks of two classes each: the
// second replays classes 0 and 1, the third 0 to 3.
func TestGenerated(t *testing.T) {
	b, c := plain()
	c.StepsPerTask = 1
	s := made(t, "gr", map[string]any{"pool": 7, "sampler_steps": 2})
	l, err := cl.NewLoop(cltest.NewNetworkFor(t, rowsOf(s, c), s), b, s, c, cl.Setup{Seed: 2, Judge: seesClass0})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		phase(t, l)
	}
	want := []cl.Generated{
		{Method: "gr", Task: 1, Images: 7, Asked: []int{4, 3, 0, 0, 0, 0}, Judged: []int{5, 2, 0, 0, 0, 0}, Right: []int{4, 2, 0, 0, 0, 0}},
		{Method: "gr", Task: 2, Images: 7, Asked: []int{2, 2, 2, 1, 0, 0}, Judged: []int{5, 1, 1, 0, 0, 0}, Right: []int{2, 1, 1, 0, 0, 0}},
	}
	if got := l.Generated(); !reflect.DeepEqual(got, want) {
		t.Errorf("generated\n%+v, want\n%+v", got, want)
	}
	if got := (&cl.Loop{Strategy: cl.NewER()}).Generated(); got != nil {
		t.Errorf("er has generated %+v", got)
	}
}

// TestGeneratedAtEachStep: with pool 0 every step's images are counted, the first step's judged, and all survives a checkpoint.
func TestGeneratedAtEachStep(t *testing.T) {
	b, c := plain()
	c.StepsPerTask = 2
	s := made(t, "gr+lwf", map[string]any{"pool": 0, "sampler_steps": 1})
	n := cltest.NewNetworkFor(t, rowsOf(s, c), s)
	l, err := cl.NewLoop(n, b, s, c, cl.Setup{Seed: 2, Judge: seesClass0})
	if err != nil {
		t.Fatal(err)
	}
	phase(t, l)
	phase(t, l)
	got := l.Generated()
	if len(got) != 1 {
		t.Fatalf("generated %+v, want one entry", got)
	}
	g, sum := got[0], func(of []int) (n int) {
		for _, v := range of {
			n += v
		}
		return n
	}
	if g.Method != "gr" || g.Task != 1 || g.Images != 8 || sum(g.Asked) != 8 || sum(g.Judged) != 4 || g.Asked[0]+g.Asked[1] != 8 {
		t.Errorf("generated %+v; want 8 images of classes 0 and 1, 4 of them judged", g)
	}
	state, err := s.State()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Restore(state); err != nil {
		t.Fatal(err)
	}
	if again := l.Generated(); !reflect.DeepEqual(again, got) {
		t.Errorf("after a checkpoint %+v, before it %+v", again, got)
	}
	if w := l.Strategy.Warnings(); len(w) != 1 || !strings.HasPrefix(w[0], "gr: sampler_steps is 1") {
		t.Errorf("one step of the teacher gives the warnings %q", w)
	}
}

// TestWarnings: one step of the teacher is warned of where it counts, by the method's name.
func TestWarnings(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings map[string]any
		want     int
	}{
		{"gr", map[string]any{"sampler_steps": 1}, 1}, {"generative_distillation", map[string]any{"sampler_steps": 1}, 1},
		{"gr", nil, 0}, {"gr", map[string]any{"sampler_steps": 1, "lambda": 0}, 0}, {"er", nil, 0},
		{"gr+generative_distillation", map[string]any{"gr_sampler_steps": 1, "generative_distillation_sampler_steps": 1}, 2},
	} {
		got := made(t, tc.name, tc.settings).Warnings()
		if len(got) != tc.want || slices.ContainsFunc(got, func(line string) bool { return !strings.Contains(line, ": sampler_steps is 1") }) {
			t.Errorf("%s %v warns %q, want %d lines", tc.name, tc.settings, got, tc.want)
		}
	}
}
