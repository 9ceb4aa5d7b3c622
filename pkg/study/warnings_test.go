package study

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

func TestWarnings(t *testing.T) {
	runs := resultstest.MadeUp(2)
	if w := Warnings(Group(runs)); len(w) > 0 {
		t.Errorf("equal protocols give %q", w)
	}
	runs[0].Protocol.SamplesPerTask = 99
	runs[1].Cost.ReplayRows = 0 // its own price
	runs[2].Cost.FreshRows = 8
	text := strings.Join(Warnings(Group(runs)), "\n")
	for _, want := range []string{"N, generated images a task, differs between rows: 99 and 200.", "the number of fresh images a step differs between rows: 16 and 8."} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	if strings.Count(text, "differs") != 2 {
		t.Errorf("other warnings in:\n%s", text)
	}
}

func TestWarnsOfDifferentTasks(t *testing.T) {
	runs := resultstest.MadeUp(2)
	for _, r := range runs { // the order depends on the seed, alike for all: comparable
		if r.Seed == 1 {
			r.Benchmark.Tasks[0].Classes = []int{1, 0}
		}
	}
	if w := Warnings(Group(runs)); len(w) > 0 {
		t.Errorf("the same orders for all methods give %q", w)
	}
	runs[0].Benchmark.Tasks[0].Classes = []int{8, 9}
	if w := Warnings(Group(runs)); len(w) == 0 {
		t.Error("other classes for one method give no warning")
	}
}

// Tasks of different sizes have the fewest and the most images in the notes.
func TestNotesOfUnequalTasks(t *testing.T) {
	r := resultstest.NewRun("er", "er", 0, 3)
	r.Protocol.ReferenceImages = 369
	for i, n := range []int{425, 369, 400} {
		r.Benchmark.Tasks[i].Test = n
	}
	if got, want := ComparedImages(r), "N = 200 generated images a task against 369 to 425 images a task of the test split;"; !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for i := range r.Benchmark.Tasks { // not recorded
		r.Benchmark.Tasks[i].Test = 0
	}
	if got := ComparedImages(r); !strings.Contains(got, "against 369 images a task of") {
		t.Errorf("%q", got)
	}
}

// Runs of one label and one seed that had other steps are no seeds of one method.
func TestGroupKeepsApartWhatDoesNotCompare(t *testing.T) {
	short, long := resultstest.NewRun("er", "er", 0, 3), resultstest.NewRun("er", "er", 0, 3)
	short.Cost.Steps, long.Cost.Steps = 60, 180
	methods := Group([]*results.Run{long, short, resultstest.NewRun("finetune", "finetune", 0, 3)})
	if len(methods) != 3 || methods[1].Label != "er, 60 steps" || methods[2].Label != "er, 180 steps" || len(methods[1].Runs) != 1 {
		t.Errorf("got %+v", methods)
	}
	if w := strings.Join(Warnings(methods), " "); !strings.Contains(w, "optimiser steps differs between rows") {
		t.Errorf("warnings %q", w)
	}
}

// Runs of one benchmark that saw other images are told apart and warned of; orders by the seed, results from before the hash and
// samples of a model, which have hashes of their own, are not.
func TestGroupKeepsApartOtherImages(t *testing.T) {
	made := func(label string, seed, order int, hash, knows string) *results.Run {
		r := resultstest.NewRun(label, label, uint64(seed), 3)
		r.Config = map[string]any{"benchmark": map[string]any{"datasets": []any{"mine"}, "order_seed": order}, "network": map[string]any{"knows": knows}}
		r.Provenance.ImagesSHA256 = hash
		return r
	}
	for _, c := range []struct {
		what    string
		runs    []*results.Run
		labels  string
		warning string
	}{
		{"the same", []*results.Run{made("er", 0, 0, "aaa", ""), made("er", 1, 0, "aaa", ""), made("ft", 0, 0, "aaa", "")}, "er 2|ft 1", ""},
		{"of two methods", []*results.Run{made("er", 0, 0, "aaa", ""), made("ft", 0, 0, "bbb", "")}, "er 1|ft 1", "content hashes aaa; bbb."},
		{"of two seeds", []*results.Run{made("er", 0, 0, "", ""), made("er", 1, 0, "aaa", ""), made("er", 2, 0, "bbb", "")},
			"er, images (SHA-256 aaa…) 2|er, images (SHA-256 bbb…) 1", "content hashes aaa; bbb."},
		{"not recorded", []*results.Run{made("er", 0, 0, "", ""), made("er", 1, 0, "aaa", ""), made("ft", 0, 0, "", "")}, "er 2|ft 1", ""},
		{"samples", []*results.Run{made("er", 0, 0, "aaa", "samples"), made("er", 1, 0, "bbb", "samples")}, "er 2", ""},
	} {
		var labels []string
		methods := Group(c.runs)
		for _, g := range methods {
			labels = append(labels, fmt.Sprint(g.Label, " ", len(g.Runs)))
		}
		slices.Sort(labels)
		if got := strings.Join(labels, "|"); got != c.labels {
			t.Errorf("%s: %s, want %s", c.what, got, c.labels)
		}
		if w := strings.Join(Warnings(methods), " "); !strings.Contains(w, c.warning) || c.warning == "" && w != "" {
			t.Errorf("%s: warnings %q, want %q", c.what, w, c.warning)
		}
	}
	orders := []*results.Run{made("er", 0, 0, "aaa", ""), made("er", 1, 1, "bbb", "")}
	if w := strings.Join(Warnings(Group(orders)), " "); strings.Contains(w, "content hash") {
		t.Errorf("orders by the seed: %q", w)
	}
}

// Runs of one label that differ in a setting are two methods, whose labels say in what. Seeds differ in their seed alone, and
// what an older version did not record tells nothing apart.
func TestGroupKeepsApartOtherSettings(t *testing.T) {
	made := func(seed uint64, rate any, more map[string]any) *results.Run {
		r := resultstest.NewRun("er", "er λ=1", seed, 3)
		r.Config = map[string]any{"seed": seed, "cores": seed, "strategy": map[string]any{"name": "er", "lambda": 1},
			"probe": map[string]any{"every": seed}, "train": map[string]any{"learning_rate": rate, "warm_up": 20}}
		maps.Copy(r.Config, more)
		return r
	}
	labels := func(runs ...*results.Run) (all []string) {
		for _, g := range Group(runs) {
			all = append(all, fmt.Sprint(g.Label, " ", len(g.Runs)))
		}
		return all
	}
	for _, c := range []struct {
		what string
		runs []*results.Run
		want []string
	}{
		{"seeds", []*results.Run{made(0, 1e-3, nil), made(1, 1e-3, nil)}, []string{"er λ=1 2"}},
		{"a learning rate", []*results.Run{made(0, 1e-3, nil), made(0, 1e-2, nil), made(1, 1e-2, nil)},
			[]string{"er λ=1, train.learning_rate=0.001 1", "er λ=1, train.learning_rate=0.01 2"}},
		{"read and made in this process", []*results.Run{made(0, 2.0, nil), made(1, 2, nil)}, []string{"er λ=1 2"}},
		{"two settings", []*results.Run{made(0, 1, nil), made(1, 2, map[string]any{"benchmark": map[string]any{"classes": []any{1, 2}}}),
			made(2, 1, map[string]any{"benchmark": map[string]any{"classes": []any{2, 1}}})},
			[]string{"er λ=1, train.learning_rate=1 2", "er λ=1, train.learning_rate=2 1"}},
		{"not recorded", []*results.Run{made(0, 1, nil), made(1, 1, map[string]any{"loop": map[string]any{"rows": 4}})}, []string{"er λ=1 2"}},
		{"what float32 leaves out", []*results.Run{made(0, 1, nil), made(0, 1, map[string]any{"backend": map[string]any{"compute": "bfloat16"}})},
			[]string{"er λ=1, backend.compute=bfloat16 1", "er λ=1, backend.compute=float32 1"}},
		{"no settings at all", []*results.Run{resultstest.NewRun("er", "er λ=1", 0, 3), made(1, 1, nil)}, []string{"er λ=1 2"}},
	} {
		if got := labels(c.runs...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// Rows measured on another number of images, or by other features, all say so and are ranked apart; other lengths stay together.
func TestWhatIsMeasuredOtherwiseIsApart(t *testing.T) {
	var runs []*results.Run
	for seed := range uint64(2) {
		for _, label := range []string{"finetune", "er λ=0", "er λ=1"} {
			a, b := resultstest.Finals("er", label, seed, 10, 12), resultstest.Finals("er", label+"0", seed, 11, 12)
			b.Protocol.SamplesPerTask, b.Cost.Steps = 20, 30
			runs = append(runs, a, b)
		}
	}
	methods := Group(runs)
	for _, g := range methods {
		if want := fmt.Sprintf("N = %d", g.Runs[0].Protocol.SamplesPerTask); !strings.Contains(g.Label, want) {
			t.Errorf("%s does not say %s", g.Label, want)
		}
	}
	ranked := Rankings(methods)
	if len(ranked) != 2 || len(ranked[0].Rows) != 3 || len(ranked[1].Rows) != 3 {
		t.Errorf("%d rankings, want two of three", len(ranked))
	}
	for _, r := range runs {
		r.Protocol.SamplesPerTask = 20
	}
	if ranked = Rankings(Group(runs)); len(ranked) != 1 || len(ranked[0].Rows) != 6 {
		t.Errorf("lengths alone give %d rankings, want one of six", len(ranked))
	}
}
