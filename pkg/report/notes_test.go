package report

import (
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// A covariance of N images in N dimensions has rank N - 1: it is singular at N = D too.
func TestNotesOfSingularCovariances(t *testing.T) {
	r := resultstest.NewRun("er", "er", 0, 2)
	for _, tc := range []struct {
		samples, real int
		want          string // "" for none
	}{
		{200, 200, ""}, {65, 65, ""}, {64, 200, "The covariance of the samples is singular"}, {10, 200, "The covariance of the samples is singular"},
		{200, 64, "The covariance of the real images of the smallest task is singular"},
		{64, 64, "The covariance of the samples and the real images of the smallest task is singular"},
	} {
		r.Protocol.SamplesPerTask, r.Protocol.ReferenceImages = tc.samples, tc.real
		got := sampleSizeNote(r)
		if strings.Contains(got, "singular") != (tc.want != "") || !strings.Contains(got, tc.want) {
			t.Errorf("%d samples, %d real images, 64 dimensions: %q", tc.samples, tc.real, got)
		}
	}
}

// The same run met in two folders is one seed.
func TestSeedsAreListedOnce(t *testing.T) {
	r := resultstest.NewRun("er", "er", 0, 3)
	again := *r
	if text := strings.Join(Notes(study.Group([]*results.Run{r, &again})), "\n"); !strings.Contains(text, "Seeds: 0. One seed") {
		t.Errorf("%s", text)
	}
}

// What a run lacks stands in every form of the table and on the page.
func TestMissingIsToldInReports(t *testing.T) {
	runs := resultstest.MadeUp(1)
	for _, r := range runs {
		if r.Strategy.Name == study.Finetune {
			r.Missing = map[string]string{results.MissingAutopsy: "the network kept after task 1 is gone or damaged"}
		}
	}
	var page strings.Builder
	if err := HTML(&page, study.Set{Title: "t", Runs: runs}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"text": TextTable(study.Group(runs)), "markdown": MarkdownTable(study.Group(runs)), "page": page.String()} {
		if want := "Missing from finetune, seed 0: autopsy (the network kept after task 1 is gone or damaged)."; !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("the %s lacks %q", name, want)
		}
	}
}

// A mixed table is told in whole sentences, and its rows are called by possible words.
func TestMixedTableIsToldInSentences(t *testing.T) {
	runs := resultstest.MadeUp(2)
	for _, r := range runs {
		r.Cost.Steps = []int{300, 600}[r.Seed]
		r.Cost.FreshRows = []int{16, 8}[r.Seed]
	}
	text := strings.Join(Verdict(study.Group(runs)), "\n")
	for _, want := range []string{"the rows are not strictly comparable. The number of optimiser steps differs between rows: 300 and 600. The number of fresh images a step differs between rows: 16 and 8."} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "steps's") {
		t.Error(text)
	}
}
