package study

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

// trainings are runs of every two of data set, number of tasks, order, split and length, as what they learned.
func trainings() []Training {
	var out []Training
	for _, dataset := range []string{"mnist, 2 tasks", "fashion-mnist, 3 tasks"} {
		for tasks := 2; tasks < 4; tasks++ {
			for _, order := range []map[string]any{nil, {"class_order": "seeded", "order_seed": 3.0}, {"class_order": "given", "classes": []any{1, 0}}} {
				for _, split := range []string{"test", "validation"} {
					for _, steps := range []int{100, 300} {
						r := resultstest.NewRun("er", "er", 0, tasks)
						r.Benchmark.Dataset, r.Protocol.ReferenceSplit, r.Cost.Steps = dataset, split, steps
						if order != nil {
							r.Config["benchmark"] = order
						}
						out = append(out, trainingOf(r))
					}
				}
			}
		}
	}
	return out
}

// Trainings have a total order: equal only to themselves, turned with the two, and the same whatever the order before.
func TestTrainingsAreOrdered(t *testing.T) {
	all := trainings()
	for i, a := range all {
		for j, b := range all {
			if (a.compare(b) == 0) != (i == j) || a.compare(b) != -b.compare(a) || (a == b) != (i == j) {
				t.Fatalf("%+v and %+v compare as %d and %d", a, b, a.compare(b), b.compare(a))
			}
		}
	}
	slices.SortFunc(all, Training.compare)
	mixed := slices.Clone(all)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	slices.SortFunc(mixed, Training.compare)
	if !slices.Equal(all, mixed) {
		t.Error("the order depends on the order before")
	}
	// Names say all that differs: no two are the same.
	names := map[string]bool{}
	for _, k := range all {
		name := k.Difference(all)
		if names[name] || name == "" {
			t.Errorf("the name %q is of two", name)
		}
		names[name] = true
	}
}

// What all have in common is in no name.
func TestTrainingNames(t *testing.T) {
	a := resultstest.NewRun("er", "er", 0, 2)
	b := resultstest.NewRun("er", "er", 0, 2)
	b.Cost.Steps = 900
	c := resultstest.NewRun("er", "er", 0, 3)
	for _, tc := range []struct {
		runs []*results.Run
		want string
	}{{[]*results.Run{a}, ""}, {[]*results.Run{a, b}, "300 steps"}, {[]*results.Run{a, c}, "2 tasks"}, {[]*results.Run{a, b, c}, "2 tasks, 300 steps"}} {
		var all []Training
		for _, r := range tc.runs {
			all = append(all, trainingOf(r))
		}
		if got := all[0].Difference(all); got != tc.want {
			t.Errorf("among %d it is %q, want %q", len(all), got, tc.want)
		}
	}
}

// Whatever forbids comparing two methods is said, and by its name; what is a method's own price is not.
func TestWarningsOfEveryKind(t *testing.T) {
	for want, change := range map[string]func(*results.Run){
		"the data differs":                          func(r *results.Run) { r.Benchmark.Prep = "pad 32" },
		"N, generated images a task, differs":       func(r *results.Run) { r.Protocol.SamplesPerTask++ },
		"what each task counts":                     func(r *results.Run) { r.Protocol.TaskWeights = []float64{0.2, 0.3, 0.5} },
		"the reference split differs":               func(r *results.Run) { r.Protocol.ReferenceSplit = "validation" },
		"the number of reference images differs":    func(r *results.Run) { r.Protocol.ReferenceImages++ },
		"the feature extractor differs":             func(r *results.Run) { r.Protocol.ExtractorSHA256 = "ff" },
		"the sampler differs":                       func(r *results.Run) { r.Protocol.EMA = false },
		"the number of neighbours differs":          func(r *results.Run) { r.Protocol.NearestK++ },
		"the copy criterion differs":                func(r *results.Run) { r.Protocol.MemorisedRatio = 0.5 },
		"the number of optimiser steps differs":     func(r *results.Run) { r.Cost.Steps++ },
		"the number of fresh images a step differs": func(r *results.Run) { r.Cost.FreshRows++ },
		"the number of parameters differs":          func(r *results.Run) { r.Cost.Parameters++ },
		"the classes of the tasks differ":           func(r *results.Run) { r.Benchmark.Tasks[0].Classes = []int{5} },
		"":                                          func(r *results.Run) { r.Cost.ReplayRows, r.Cost.TrainSeconds = 0, 1e6 },
	} {
		a, b := resultstest.NewRun("er", "er", 0, 3), resultstest.NewRun("ewc", "ewc", 0, 3)
		change(b)
		got := Warnings(Group([]*results.Run{a, b}))
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
			t.Errorf("warnings %q, want one that begins with %q", got, want)
		}
	}
}

// Settings are numbers in whatever form a run keeps them, and a buffer that was not stored is the most images held.
func TestSettingsOfRuns(t *testing.T) {
	r := resultstest.NewRun("er", "er λ=1 long", 0, 2)
	r.Strategy.Settings = map[string]any{"lambda": 0.5, "rows": 4, "policy": "ring", "none": nil}
	for key, want := range map[string]float64{"lambda": 0.5, "rows": 4} {
		if got, ok := setting(r, key); !ok || got != want {
			t.Errorf("%s is %g, %t; want %g", key, got, ok, want)
		}
	}
	for _, key := range []string{"policy", "none", "missing"} {
		if got, ok := setting(r, key); ok {
			t.Errorf("%s is the number %g", key, got)
		}
	}
	r.Cost.StoredImages = 60
	if got := bufferImages(r); got != 60 {
		t.Errorf("a buffer of %d, want the 60 images held", got)
	}
	if r.Strategy.Settings["buffer"] = 200; bufferImages(r) != 200 {
		t.Errorf("a buffer of %d, want the setting, 200", bufferImages(r))
	}
	if got := withoutVariant(r); got != "er λ=1 long" {
		t.Errorf("without a variant: %q", got)
	}
	if r.Config["variant"] = "long"; withoutVariant(r) != "er λ=1" || variantOf(r) != "long" {
		t.Errorf("%q of variant %q", withoutVariant(r), variantOf(r))
	}
	if got := otherSettings(r); got != "policy=ring" {
		t.Errorf("other settings %q, want the policy alone", got)
	}
	r.Strategy.Settings = map[string]any{"timestep_weights": []any{1.0}, "empty": []any{}, "draw": "uniform", "floor": 0.5, "noised": false}
	if got := otherSettings(r); got != "floor=0.5 timestep_weights" {
		t.Errorf("other settings %q", got)
	}
}
