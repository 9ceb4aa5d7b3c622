package study

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
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
	{"N, generated images a task,", shortN, func(r *results.Run) string { return strconv.Itoa(r.Protocol.SamplesPerTask) }},
	{"what each task counts in averages and unions", "", weightsText},
	{"the reference split", "%s split", func(r *results.Run) string { return r.Protocol.ReferenceSplit }},
	{"the number of reference images", "", func(r *results.Run) string { return strconv.Itoa(r.Protocol.ReferenceImages) }},
	{"the feature extractor", shortExtractor, extractor},
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

// comparable parts the runs of one label by their [conditions] and by the settings they were made with: numbers of two parts
// are not to be averaged. Where there are several, or others learned the same and were measured otherwise, their labels say in what they differ.
func comparable(g Method, others []*results.Run) []Method {
	parts := part(g, func(a, b *results.Run) bool {
		for _, c := range conditions {
			if c.short != "" && c.of(a) != c.of(b) {
				return false
			}
		}
		return true
	})
	learned := benchmarkOf(g.Runs[0]).learned()
	alike := slices.DeleteFunc(slices.Clone(others), func(r *results.Run) bool { return benchmarkOf(r).learned() != learned })
	for _, c := range conditions {
		measures := c.short == shortN || c.short == shortExtractor // every row says so, also where no other has its label
		if c.short != "" && (len(Distinct(parts, c.of)) > 1 || measures && len(Distinct([]Method{{Runs: alike}}, c.of)) > 1) {
			for i := range parts {
				parts[i].Label += ", " + fmt.Sprintf(c.short, c.of(parts[i].Runs[0]))
			}
		}
	}
	var all []Method
	for _, p := range parts {
		for _, q := range byImages(p) {
			all = append(all, bySettings(q)...)
		}
	}
	return all
}

// byImages parts the runs of one label whose sets held other images, though they were named alike: the first images of every
// benchmark make the first part, the second ones the next.
func byImages(g Method) []Method {
	hashes := imagesOf(g.Runs)
	var parts []Method
	at := map[int]int{}
	for _, r := range g.Runs {
		n := max(0, slices.Index(hashes[imagesKey(r)], r.Provenance.ImagesSHA256)) // what was not recorded tells nothing apart
		i, ok := at[n]
		if !ok {
			i = len(parts)
			at[n], parts = i, append(parts, Method{Label: g.Label})
		}
		parts[i].Runs = append(parts[i].Runs, r)
	}
	if len(parts) > 1 {
		for i := range parts {
			recorded := slices.IndexFunc(parts[i].Runs, func(r *results.Run) bool { return r.Provenance.ImagesSHA256 != "" })
			if recorded >= 0 {
				parts[i].Label += ", images" + words.Checksum(parts[i].Runs[recorded].Provenance.ImagesSHA256)
			}
		}
	}
	return parts
}

// imagesKey is the settings that decide on a run's images, "" where more does or nothing is known: samples of a model
// stand in for some of them, or an older version did not record the settings.
func imagesKey(r *results.Run) string {
	if network, ok := r.Config["network"].(map[string]any); ok && network["knows"] == "samples" {
		return ""
	}
	if r.Config["benchmark"] == nil {
		return ""
	}
	text, err := json.Marshal(r.Config["benchmark"]) // sorts the keys
	if err != nil {
		return ""
	}
	return string(text)
}

// imagesOf lists, by [imagesKey], the content hashes of the images that the runs saw, each once, in order of appearance. There
// is one a benchmark unless its sets were changed between runs.
func imagesOf(runs []*results.Run) map[string][]string {
	hashes := map[string][]string{}
	for _, r := range runs {
		key, hash := imagesKey(r), r.Provenance.ImagesSHA256
		if key != "" && hash != "" && !slices.Contains(hashes[key], hash) {
			hashes[key] = append(hashes[key], hash)
		}
	}
	return hashes
}

// bySettings parts the runs of one label that were made with different settings, such as another learning rate.
func bySettings(g Method) []Method {
	if len(g.Runs) == 1 {
		return []Method{g}
	}
	of := map[*results.Run]map[string]string{}
	for _, r := range g.Runs {
		of[r] = madeWith(r)
	}
	parts := part(g, func(a, b *results.Run) bool { return len(differing(of[a], of[b])) == 0 })
	var keys []string
	for _, p := range parts[1:] {
		keys = append(keys, differing(of[parts[0].Runs[0]], of[p.Runs[0]])...)
	}
	slices.Sort(keys)
	for i := range parts {
		for _, key := range slices.Compact(slices.Clone(keys)) {
			parts[i].Label += ", " + key + "=" + cmp.Or(of[parts[i].Runs[0]][key], "not recorded")
		}
	}
	return parts
}

// part puts each run with the first that it is alike to.
func part(g Method, alike func(a, b *results.Run) bool) (parts []Method) {
	for _, r := range g.Runs {
		i := slices.IndexFunc(parts, func(p Method) bool { return alike(p.Runs[0], r) })
		if i < 0 {
			i, parts = len(parts), append(parts, Method{Label: g.Label})
		}
		parts[i].Runs = append(parts[i].Runs, r)
	}
	return parts
}

// unwritten are the settings that a configuration leaves out at their usual value, and that value.
var unwritten = map[string]string{"backend.compute": "float32", "benchmark.blur": "0", "benchmark.part_all": "false", "benchmark.stream": "none", "benchmark.tasks": "none",
	"evaluate.sampler.spacing": "even", "extends.tasks": "none", "network.architecture": "unet", "network.classes": "0", "network.depth": "the size's", "network.heads": "the size's",
	"network.hidden": "the size's", "network.init": "none", "network.knows": "none", "network.patch": "the size's", "train.objective": "simple"}

// madeWith is a run's settings as text by their names, "train.learning_rate", except for those that its label and its seed say,
// and those by which only more is measured, kept or computed at once.
func madeWith(r *results.Run) map[string]string {
	all := maps.Clone(unwritten)
	var walk func(tree map[string]any, path string)
	walk = func(tree map[string]any, path string) {
		for name, value := range tree {
			key := path + name
			switch key {
			case "name", "variant", "seed", "strategy", "cores", "checkpoint_every", "keep_networks", "probe", "autopsy", "bpd", "evaluate.ahead":
				continue
			case "extends.run", "extends.sha256", "backend.devices": // the first two are of each seed its own
				continue
			}
			if below, ok := value.(map[string]any); ok {
				walk(below, key+".")
			} else if text, ok := value.(string); ok {
				all[key] = text
			} else if text, err := json.Marshal(value); err == nil {
				all[key] = string(text)
			}
		}
	}
	walk(r.Config, "")
	return all
}

// differing lists the settings in which two runs differ. One that a run does not have was not recorded, as by an older version.
func differing(a, b map[string]string) (keys []string) {
	for key, value := range a {
		if other, ok := b[key]; ok && other != value {
			keys = append(keys, key)
		}
	}
	return keys
}

// Warnings lists what forbids comparing the methods' numbers: differences in data, protocol or training.
func Warnings(methods []Method) []string {
	var out []string
	for _, c := range conditions {
		if found := Distinct(methods, c.of); len(found) > 1 {
			out = append(out, Differs(c.what, found))
		}
	}
	var runs []*results.Run
	for _, g := range methods {
		runs = append(runs, g.Runs...)
	}
	hashes := imagesOf(runs)
	for _, key := range slices.Sorted(maps.Keys(hashes)) {
		if found := hashes[key]; len(found) > 1 {
			out = append(out, "the images differ between runs, under the same names: content hashes "+strings.Join(found, "; ")+".")
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

// Differs says that what is of several values in the rows of a table.
func Differs(what string, values []string) string {
	list := words.List(values)
	if slices.ContainsFunc(values, func(v string) bool { return strings.ContainsAny(v, ",;") }) {
		list = strings.Join(values, "; ")
	}
	return what + " differs between rows: " + list + "."
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
