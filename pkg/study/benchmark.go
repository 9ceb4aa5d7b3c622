package study

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// benchmarkKey identifies a benchmark: numbers averaged over the tasks of one do not compare with those of another.
type benchmarkKey struct {
	tasks                                 int
	dataset, scenario, prep, order, split string
	n                                     int    // generated images a task
	extractor                             string // by which they are measured
}

// benchmarkOf is what a run learned, in which order. An order that depends on the run's seed is one order.
func benchmarkOf(r *results.Run) benchmarkKey {
	b := r.Benchmark
	dataset, _, _ := strings.Cut(b.Dataset, ",") // the rest counts the tasks
	k := benchmarkKey{tasks: len(b.Tasks), dataset: dataset, scenario: b.Scenario, prep: b.Prep, split: r.Protocol.ReferenceSplit, n: r.Protocol.SamplesPerTask, extractor: extractor(r)}
	if config, ok := r.Config["benchmark"].(map[string]any); ok {
		if tasks := config["tasks"]; tasks != nil {
			k.order = fmt.Sprint("tasks ", tasks)
		}
		if order, _ := config["class_order"].(string); order != "" && order != "natural" {
			k.order = fmt.Sprintf("%s order", order)
			if order == "given" {
				k.order = fmt.Sprint("order ", config["classes"])
			} else if seed := fmt.Sprint(config["order_seed"]); seed != "0" {
				k.order += " " + seed
			}
		}
	}
	return k
}

// learned is k without how it is measured: another set has features of its own.
func (k benchmarkKey) learned() benchmarkKey {
	k.n, k.extractor = 0, ""
	return k
}

// compare orders benchmarks, few tasks first.
func (k benchmarkKey) compare(o benchmarkKey) int {
	return cmp.Or(cmp.Compare(k.dataset, o.dataset), cmp.Compare(k.tasks, o.tasks), cmp.Compare(k.scenario, o.scenario),
		cmp.Compare(k.prep, o.prep), cmp.Compare(k.order, o.order), cmp.Compare(k.split, o.split),
		cmp.Compare(k.n, o.n), cmp.Compare(k.extractor, o.extractor))
}

// difference names how k differs from the others, "" where they are all the same: "10 tasks", "mnist, 5 tasks".
func (k benchmarkKey) difference(all []benchmarkKey) string {
	var parts []string
	for _, of := range []func(benchmarkKey) string{
		func(b benchmarkKey) string { return b.dataset }, func(b benchmarkKey) string { return b.scenario },
		func(b benchmarkKey) string { return b.prep }, func(b benchmarkKey) string { return b.order },
		func(b benchmarkKey) string { return fmt.Sprintf("%d tasks", b.tasks) }, func(b benchmarkKey) string { return b.split },
	} {
		if of(k) != "" && slices.ContainsFunc(all, func(o benchmarkKey) bool { return of(o) != of(k) }) {
			parts = append(parts, of(k))
		}
	}
	for _, of := range []func(benchmarkKey) string{
		func(b benchmarkKey) string { return fmt.Sprintf(shortN, strconv.Itoa(b.n)) }, func(b benchmarkKey) string { return fmt.Sprintf(shortExtractor, b.extractor) },
	} {
		if slices.ContainsFunc(all, func(o benchmarkKey) bool { return o.learned() == k.learned() && of(o) != of(k) }) {
			parts = append(parts, of(k))
		}
	}
	return strings.Join(parts, ", ")
}

// Training is a benchmark and how many optimiser steps a run took to learn it.
type Training struct {
	bench benchmarkKey
	steps int
}

func trainingOf(r *results.Run) Training { return Training{benchmarkOf(r), r.Cost.Steps} }

// compare orders by benchmark, few steps first.
func (k Training) compare(o Training) int {
	return cmp.Or(k.bench.compare(o.bench), cmp.Compare(k.steps, o.steps))
}

// Difference names how k differs from the others; steps where another took more or fewer on the same benchmark.
func (k Training) Difference(all []Training) string {
	var benches []benchmarkKey
	for _, o := range all {
		benches = append(benches, o.bench)
	}
	text := k.bench.difference(benches)
	if slices.ContainsFunc(all, func(o Training) bool { return o.bench == k.bench && o.steps != k.steps }) {
		text = strings.TrimPrefix(fmt.Sprintf("%s, %d steps", text, k.steps), ", ")
	}
	return text
}

// shortN and shortExtractor tell what decides what a number measures: others are not of one scale.
const shortN, shortExtractor = "N = %s", "features of %s"

// extractor names the network whose features are compared.
func extractor(r *results.Run) string {
	return r.Protocol.Extractor + words.Checksum(r.Protocol.ExtractorSHA256)
}

// Groups names the parts of [ByBenchmark] by what they differ in.
func Groups(parts [][]Method) (names []string) {
	var all []benchmarkKey
	for _, p := range parts {
		all = append(all, benchmarkOf(p[0].Runs[0]))
	}
	for _, k := range all {
		names = append(names, k.difference(all))
	}
	return names
}

// ByBenchmark parts methods by what they learned, data set, its preparation, number of tasks and their order, and by what they are
// measured with: number of generated images, features. Only
// within such a part do numbers averaged over tasks compare.
func ByBenchmark(methods []Method) [][]Method {
	var parts [][]Method
	for _, g := range methods {
		i := slices.IndexFunc(parts, func(p []Method) bool { return benchmarkOf(p[0].Runs[0]) == benchmarkOf(g.Runs[0]) })
		if i < 0 {
			i, parts = len(parts), append(parts, nil)
		}
		parts[i] = append(parts[i], g)
	}
	slices.SortStableFunc(parts, func(a, b []Method) int { return benchmarkOf(a[0].Runs[0]).compare(benchmarkOf(b[0].Runs[0])) })
	return parts
}

// SameBenchmark returns an error where numbers of the methods do not compare.
func SameBenchmark(methods []Method) error {
	for _, g := range methods {
		if a, b := benchmarkOf(methods[0].Runs[0]), benchmarkOf(g.Runs[0]); a != b {
			both := []benchmarkKey{a, b}
			return errors.Errorf("study: %s is of another benchmark (%s) than %s (%s); compare methods of one (study.ByBenchmark parts them)",
				g.Label, b.difference(both), methods[0].Label, a.difference(both))
		}
	}
	return nil
}
