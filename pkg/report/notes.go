package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// Notes says how the numbers of the methods were measured and what the rows have in common: data, N, reference
// split, extractor, sampler, rows and steps, seeds, and how ±, joint and the copies are to be read.
func Notes(methods []study.Method) []string {
	if len(methods) == 0 {
		return nil
	}
	first := methods[0].Runs[0]
	b, p := first.Benchmark, first.Protocol
	h, w := b.Sides()
	notes := []string{
		fmt.Sprintf("Data: %s, %s, %s learned one after another, %d×%d pixels (%s).",
			b.Dataset, b.Scenario, words.Count(len(b.Tasks), "task"), h, w, b.Prep),
		fmt.Sprintf("Measured on %s, %d dimensions. ", study.ComparedImages(first), p.FeatureDim) + sampleSizeNote(first),
		fmt.Sprintf("Samples: %s with %d steps, guidance %g, %s weights.",
			p.Sampler, p.SamplerSteps, p.Guidance, map[bool]string{true: "averaged (EMA)", false: "plain"}[p.EMA]),
		trainingNote(methods),
		seedsNote(methods),
	}
	if judge := p.Classifier.Sentence(); judge != "" {
		notes[1] += " " + judge
	}
	notes = slices.Concat(notes, study.RepeatNotes(methods), study.MachineNotes(methods), study.TunedNotes(methods), study.MissingNotes(methods))
	if _, ok := study.Find(methods, study.Joint); ok {
		notes = append(notes, "joint learns all tasks at once, from scratch: it is the reference. It has no order of tasks, so it has no forgetting.")
	}
	var rereads []string // references that keep all data at hand
	for _, m := range methods {
		if m.Rereads() && m.Runs[0].Cost.StoredImages == 0 {
			rereads = append(rereads, m.Label)
		}
	}
	if len(rereads) > 0 {
		notes = append(notes, "Stored images are those of a rehearsal buffer; "+words.List(rereads)+" instead read the data of other tasks again.")
	}
	return append(notes, study.CopyNotes(methods)...)
}

// sampleSizeNote says what the numbers of images do to FID. A covariance of N images has rank N - 1 at most.
func sampleSizeNote(r *results.Run) string {
	text := "FID is too high by an amount that falls as either number of images grows: compare equal numbers only."
	n, d := r.Protocol.SamplesPerTask, r.Protocol.FeatureDim
	least, _ := study.ReferenceImages(r)
	var singular []string
	if n <= d {
		singular = append(singular, "the samples")
	}
	if 0 < least && least <= d {
		singular = append(singular, "the real images of the smallest task")
	}
	if len(singular) > 0 {
		text += fmt.Sprintf(" The covariance of %s is singular, as there are no more of them than dimensions: FID says little.", words.List(singular))
	}
	return text
}

// trainingNote says how many steps of how many rows all methods had, or that they differ.
func trainingNote(methods []study.Method) string {
	steps := study.Distinct(methods, func(r *results.Run) string { return strconv.Itoa(r.Cost.Steps) })
	rows := study.Distinct(methods, func(r *results.Run) string { return strconv.Itoa(r.Cost.FreshRows + r.Cost.ReplayRows) })
	if len(steps) == 1 && len(rows) == 1 {
		c := methods[0].Runs[0].Cost
		return fmt.Sprintf("Every strategy: %d optimiser steps of %d images (%d fresh and %d for rehearsal; one that rehearses nothing gives the latter no weight or fills them with fresh images).",
			c.Steps, c.FreshRows+c.ReplayRows, c.FreshRows, c.ReplayRows)
	}
	fresh, replayed := study.Distinct(methods, study.FreshRows), rehearsedRows(methods)
	if len(steps) == 1 && len(fresh) == 1 && len(replayed) == 1 {
		return fmt.Sprintf("Every strategy: %s optimiser steps of %s fresh images, and %s more in each step of a strategy that rehearses or has fresh images of other tasks.",
			steps[0], fresh[0], replayed[0])
	}
	return fmt.Sprintf("Training differs between rows: %s optimiser steps, %s images a step.", words.List(steps), words.List(rows))
}

// rehearsedRows are the numbers of other images in a step, of the methods that have any.
func rehearsedRows(methods []study.Method) []string {
	found := study.Distinct(methods, func(r *results.Run) string { return strconv.Itoa(r.Cost.ReplayRows) })
	return slices.DeleteFunc(found, func(rows string) bool { return rows == "0" })
}

// seedsNote says which seeds the methods have and what ± is.
func seedsNote(methods []study.Method) string {
	lists := make([]string, len(methods))
	most := 0
	for i, g := range methods {
		var s []string
		for _, r := range g.Runs {
			s = append(s, strconv.FormatUint(r.Seed, 10))
		}
		s = slices.Compact(s) // they are in order
		lists[i] = strings.Join(s, ", ")
		most = max(most, len(s))
	}
	text := "Seeds: " + lists[0]
	if len(slices.Compact(slices.Sorted(slices.Values(lists)))) > 1 {
		text = "Seeds"
		for i, g := range methods {
			text += map[bool]string{true: ": ", false: "; "}[i == 0] + g.Label + " " + lists[i]
		}
	}
	if most == 1 {
		return text + ". One seed: the spread between seeds is unknown."
	}
	return text + ". ± is the sample standard deviation over seeds."
}
