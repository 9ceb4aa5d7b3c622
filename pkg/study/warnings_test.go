package study

import (
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
	for _, want := range []string{"N, generated images a task, differs between rows: 99; 200.", "the number of fresh images a step differs between rows: 16; 8."} {
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
