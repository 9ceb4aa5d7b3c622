package study

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// ComparedImages says which images are compared with which, and by which features.
func ComparedImages(r *results.Run) string {
	p := r.Protocol
	text := "the images"
	switch least, most := ReferenceImages(r); {
	case most > least:
		text = fmt.Sprintf("%d to %d images a task", least, most)
	case most > 0:
		text = fmt.Sprintf("%d images a task", most)
	}
	return fmt.Sprintf("N = %d generated images a task against %s of the %s split; features of %s%s",
		p.SamplesPerTask, text, p.ReferenceSplit, p.Extractor, words.Checksum(p.ExtractorSHA256))
}

// ReferenceImages are the fewest and the most real images that a task's samples are compared with; 0 where that was not
// recorded.
func ReferenceImages(r *results.Run) (least, most int) {
	least = r.Protocol.ReferenceImages // the fewest of a task
	for _, t := range r.Benchmark.Tasks {
		most = max(most, t.Test)
	}
	return least, max(least, most)
}

// conditions are what must be equal for numbers to compare: data, protocol and training. short names a value in a label;
// it is "" for what may follow from an order of classes that depends on the seed.
var conditions = []struct {
	what, short string
	of          func(*results.Run) string
}{
	{"the data", "%s", func(r *results.Run) string {
		// The rest of the text counts tasks and classes, which are compared by themselves, and was worded otherwise before.
		dataset, _, _ := strings.Cut(r.Benchmark.Dataset, ",")
		return dataset + " (" + r.Benchmark.Scenario + ", " + r.Benchmark.Prep + ")"
	}},
	{"the number of tasks", "tasks: %s", func(r *results.Run) string { return strconv.Itoa(len(r.Benchmark.Tasks)) }},
	{"N, generated images a task,", "N = %s", func(r *results.Run) string { return strconv.Itoa(r.Protocol.SamplesPerTask) }},
	{"what each task counts in averages and unions", "", weightsText},
	{"the reference split", "%s split", func(r *results.Run) string { return r.Protocol.ReferenceSplit }},
	{"the number of reference images", "", func(r *results.Run) string { return strconv.Itoa(r.Protocol.ReferenceImages) }},
	{"the feature extractor", "features of %s", func(r *results.Run) string { return r.Protocol.Extractor + words.Checksum(r.Protocol.ExtractorSHA256) }},
	{"the sampler", "%s", func(r *results.Run) string {
		return fmt.Sprintf("%s, %d steps, guidance %g, EMA %t", r.Protocol.Sampler, r.Protocol.SamplerSteps, r.Protocol.Guidance, r.Protocol.EMA)
	}},
	{"the number of neighbours", "k = %s", func(r *results.Run) string { return strconv.Itoa(r.Protocol.NearestK) }},
	{"the copy criterion", "copies by %s", func(r *results.Run) string { return strconv.FormatFloat(r.Protocol.MemorisedRatio, 'g', 3, 64) }},
	{"the number of optimiser steps", "%s steps", func(r *results.Run) string { return strconv.Itoa(r.Cost.Steps) }},
	// Rows for rehearsal are a method's own price, which its compute counts.
	{"the number of fresh images a step", "%s fresh images a step", FreshRows},
	{"the number of parameters", "%s parameters", func(r *results.Run) string { return strconv.Itoa(r.Cost.Parameters) }},
}

// comparable parts the runs of one label by their [conditions]: numbers of two parts are not to be averaged. Where there are
// several, their labels say in what they differ.
func comparable(g Method) []Method {
	var parts []Method
	alike := func(a, b *results.Run) bool {
		for _, c := range conditions {
			if c.short != "" && c.of(a) != c.of(b) {
				return false
			}
		}
		return true
	}
	for _, r := range g.Runs {
		i := slices.IndexFunc(parts, func(p Method) bool { return alike(p.Runs[0], r) })
		if i < 0 {
			i, parts = len(parts), append(parts, Method{Label: g.Label})
		}
		parts[i].Runs = append(parts[i].Runs, r)
	}
	if len(parts) == 1 {
		return parts
	}
	for _, c := range conditions {
		if c.short != "" && len(Distinct(parts, c.of)) > 1 {
			for i := range parts {
				parts[i].Label += ", " + fmt.Sprintf(c.short, c.of(parts[i].Runs[0]))
			}
		}
	}
	return parts
}

// Warnings lists what forbids comparing the methods' numbers: differences in data, protocol or training.
func Warnings(methods []Method) []string {
	var out []string
	for _, c := range conditions {
		if found := Distinct(methods, c.of); len(found) > 1 {
			out = append(out, c.what+" differs between rows: "+strings.Join(found, "; ")+".")
		}
	}
	// The order of classes may depend on the seed, but all rows must have met the same orders.
	orders := func(g Method) []string {
		return slices.Sorted(slices.Values(Distinct([]Method{g}, func(r *results.Run) string { return fmt.Sprint(classes(r)) })))
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

// Distinct lists the values of a property of the runs, each once, in order of appearance.
func Distinct(methods []Method, of func(*results.Run) string) []string {
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

// FreshRows is the number of images of the task at hand in a step.
func FreshRows(r *results.Run) string { return strconv.Itoa(r.Cost.FreshRows) }
