package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"palimpsest/pkg/results"
)

// Notes says how the numbers of the methods were measured and what the rows have in common: data, N, reference
// split, extractor, sampler, rows and steps, seeds, and how ±, joint and the copies are to be read.
func Notes(methods []Method) []string {
	if len(methods) == 0 {
		return nil
	}
	first := methods[0].Runs[0]
	b, p := first.Benchmark, first.Protocol
	notes := []string{
		fmt.Sprintf("Data: %s, %s, %d tasks learned one after another, %d×%d pixels (%s).",
			b.Dataset, b.Scenario, len(b.Tasks), b.ImageSize, b.ImageSize, b.Prep),
		fmt.Sprintf("Measured on %s, %d dimensions. ", comparedImages(first), p.FeatureDim) + sampleSizeNote(first),
		fmt.Sprintf("Samples: %s with %d steps, guidance %g, %s weights.",
			p.Sampler, p.SamplerSteps, p.Guidance, map[bool]string{true: "averaged (EMA)", false: "plain"}[p.EMA]),
		trainingNote(methods),
		seedsNote(methods),
	}
	notes = append(notes, tunedNotes(methods)...)
	if _, ok := find(methods, Joint); ok {
		notes = append(notes, "joint learns all tasks at once, from scratch: it is the reference. It has no order of tasks, so it has no forgetting.")
	}
	var rereads []string // references that keep all data at hand
	for _, m := range methods {
		if m.rereads() && m.Runs[0].Cost.StoredImages == 0 {
			rereads = append(rereads, m.Label)
		}
	}
	if len(rereads) > 0 {
		notes = append(notes, "Stored images are those of a rehearsal buffer; "+list(rereads)+" instead read the data of other tasks again.")
	}
	return append(notes, copyNotes(methods)...)
}

// fraction writes a ratio in words where it has them.
func fraction(v float64) string {
	if math.Abs(v-1.0/3) < 1e-3 {
		return "a third of"
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + " times"
}

// comparedImages says which images are compared with which, and by which features.
func comparedImages(r *results.Run) string {
	p := r.Protocol
	text := "the images"
	switch least, most := referenceImages(r); {
	case most > least:
		text = fmt.Sprintf("%d to %d images a task", least, most)
	case most > 0:
		text = fmt.Sprintf("%d images a task", most)
	}
	return fmt.Sprintf("N = %d generated images a task against %s of the %s split; features of %s%s",
		p.SamplesPerTask, text, p.ReferenceSplit, p.Extractor, checksum(p.ExtractorSHA256))
}

// referenceImages are the fewest and the most real images that a task's samples are compared with; 0 where that was not
// recorded.
func referenceImages(r *results.Run) (least, most int) {
	least = r.Protocol.ReferenceImages // the fewest of a task
	for _, t := range r.Benchmark.Tasks {
		most = max(most, t.Test)
	}
	return least, max(least, most)
}

// sampleSizeNote says what the numbers of images do to FID. A covariance of N images has rank N - 1 at most.
func sampleSizeNote(r *results.Run) string {
	text := "FID is too high by an amount that falls as either number of images grows: compare equal numbers only."
	n, d := r.Protocol.SamplesPerTask, r.Protocol.FeatureDim
	least, _ := referenceImages(r)
	var singular []string
	if n <= d {
		singular = append(singular, "the samples")
	}
	if 0 < least && least <= d {
		singular = append(singular, "the real images of the smallest task")
	}
	if len(singular) > 0 {
		text += fmt.Sprintf(" The covariance of %s is singular, as there are no more of them than dimensions: FID says little.", list(singular))
	}
	return text
}

func checksum(sum string) string {
	if sum == "" {
		return ""
	}
	return " (SHA-256 " + sum[:min(8, len(sum))] + "…)"
}

// trainingNote says how many steps of how many rows all methods had, or that they differ.
func trainingNote(methods []Method) string {
	steps := distinct(methods, func(r *results.Run) string { return strconv.Itoa(r.Cost.Steps) })
	rows := distinct(methods, func(r *results.Run) string { return strconv.Itoa(r.Cost.FreshRows + r.Cost.ReplayRows) })
	if len(steps) == 1 && len(rows) == 1 {
		c := methods[0].Runs[0].Cost
		return fmt.Sprintf("Every strategy: %d optimiser steps of %d images (%d fresh and %d for rehearsal; one that rehearses nothing gives the latter no weight or fills them with fresh images).",
			c.Steps, c.FreshRows+c.ReplayRows, c.FreshRows, c.ReplayRows)
	}
	fresh, replayed := distinct(methods, freshRows), rehearsedRows(methods)
	if len(steps) == 1 && len(fresh) == 1 && len(replayed) == 1 {
		return fmt.Sprintf("Every strategy: %s optimiser steps of %s fresh images, and %s more in each step of a strategy that rehearses or has fresh images of other tasks.",
			steps[0], fresh[0], replayed[0])
	}
	return fmt.Sprintf("Training differs between rows: %s optimiser steps, %s images a step.", strings.Join(steps, ", "), strings.Join(rows, ", "))
}

// freshRows is the number of images of the task at hand in a step.
func freshRows(r *results.Run) string { return strconv.Itoa(r.Cost.FreshRows) }

// rehearsedRows are the numbers of other images in a step, of the methods that have any.
func rehearsedRows(methods []Method) []string {
	found := distinct(methods, func(r *results.Run) string { return strconv.Itoa(r.Cost.ReplayRows) })
	return slices.DeleteFunc(found, func(rows string) bool { return rows == "0" })
}

// seedsNote says which seeds the methods have and what ± is.
func seedsNote(methods []Method) string {
	lists := make([]string, len(methods))
	most := 0
	for i, g := range methods {
		var s []string
		for _, r := range g.Runs {
			s = append(s, strconv.FormatUint(r.Seed, 10))
		}
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

// Warnings lists what forbids comparing the methods' numbers: differences in data, protocol or training.
func Warnings(methods []Method) []string {
	var out []string
	for _, c := range []struct {
		what string
		of   func(*results.Run) string
	}{
		{"the data", func(r *results.Run) string {
			return r.Benchmark.Dataset + " (" + r.Benchmark.Scenario + ", " + r.Benchmark.Prep + ")"
		}},
		{"the number of tasks", func(r *results.Run) string { return strconv.Itoa(len(r.Benchmark.Tasks)) }},
		{"N, generated images a task,", func(r *results.Run) string { return strconv.Itoa(r.Protocol.SamplesPerTask) }},
		{"what each task counts in averages and unions", weightsText},
		{"the reference split", func(r *results.Run) string { return r.Protocol.ReferenceSplit }},
		{"the number of reference images", func(r *results.Run) string { return strconv.Itoa(r.Protocol.ReferenceImages) }},
		{"the feature extractor", func(r *results.Run) string { return r.Protocol.Extractor + checksum(r.Protocol.ExtractorSHA256) }},
		{"the sampler", func(r *results.Run) string {
			return fmt.Sprintf("%s, %d steps, guidance %g, EMA %t", r.Protocol.Sampler, r.Protocol.SamplerSteps, r.Protocol.Guidance, r.Protocol.EMA)
		}},
		{"the number of neighbours", func(r *results.Run) string { return strconv.Itoa(r.Protocol.NearestK) }},
		{"the copy criterion", func(r *results.Run) string { return strconv.FormatFloat(r.Protocol.MemorisedRatio, 'g', 3, 64) }},
		{"the number of optimiser steps", func(r *results.Run) string { return strconv.Itoa(r.Cost.Steps) }},
		// Rows for rehearsal are a method's own price, which its compute counts.
		{"the number of fresh images a step", freshRows},
		{"the number of parameters", func(r *results.Run) string { return strconv.Itoa(r.Cost.Parameters) }},
	} {
		if found := distinct(methods, c.of); len(found) > 1 {
			out = append(out, c.what+" differs between rows: "+strings.Join(found, "; ")+".")
		}
	}
	// The order of classes may depend on the seed, but all rows must have met the same orders.
	orders := func(g Method) []string {
		return slices.Sorted(slices.Values(distinct([]Method{g}, func(r *results.Run) string { return fmt.Sprint(classes(r)) })))
	}
	for _, g := range methods[min(1, len(methods)):] {
		if !slices.Equal(orders(g), orders(methods[0])) {
			out = append(out, "the classes of the tasks differ between "+methods[0].Label+" and "+g.Label+".")
		}
	}
	return out
}

// weightsText says what each task counts; results from before tasks were weighed count all alike.
func weightsText(r *results.Run) string {
	w := r.Protocol.TaskWeights
	if len(w) == 0 || slices.Min(w) == slices.Max(w) {
		return "all alike"
	}
	return fmt.Sprintf("%.3g", w)
}

// distinct lists what the runs answer, each answer once, in order of appearance.
func distinct(methods []Method, of func(*results.Run) string) []string {
	var found []string
	for _, g := range methods {
		for _, r := range g.Runs {
			if s := of(r); !slices.Contains(found, s) {
				found = append(found, s)
			}
		}
	}
	return found
}

// classes lists every task's classes.
func classes(r *results.Run) [][]int {
	out := make([][]int, len(r.Benchmark.Tasks))
	for i, t := range r.Benchmark.Tasks {
		out[i] = t.Classes
	}
	return out
}

// seeds writes a number of seeds.
func seeds(n int) string {
	if n == 1 {
		return "1 seed"
	}
	return strconv.Itoa(n) + " seeds"
}
