package study

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// digest is all that a stored run holds, as text, but for where its sheets lie, which differs between a run folder and a study.
func digest(r *results.Run) string {
	plain := *r
	plain.Evaluations = slices.Clone(r.Evaluations)
	for i := range plain.Evaluations {
		plain.Evaluations[i].Sheet = ""
	}
	return asText(plain)
}

// measurements are the numbers of a run as text: runs made at other times or on other machines may have the same.
func measurements(r *results.Run) string {
	return digest(&results.Run{Evaluations: r.Evaluations})
}

func asText(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // results.Load reads nothing that cannot be written
		panic(err)
	}
	return string(text)
}

// RepeatNotes say which seeds the methods ran more than once, and where. A seed counts once, by the mean of its runs
// ([SeedStat]): runs of one seed are no independent ones.
func RepeatNotes(methods []Method) []string {
	type repeat struct {
		seed  uint64
		where string
		alike bool
	}
	labels := map[repeat][]string{}
	var order []repeat
	for _, g := range methods {
		bySeed := map[uint64][]*results.Run{}
		var seeds []uint64
		for _, r := range g.Runs {
			if bySeed[r.Seed] == nil {
				seeds = append(seeds, r.Seed)
			}
			bySeed[r.Seed] = append(bySeed[r.Seed], r)
		}
		slices.Sort(seeds)
		for _, seed := range seeds {
			runs := bySeed[seed]
			if len(runs) < 2 {
				continue
			}
			places := make([]string, len(runs))
			alike := true
			for i, r := range runs {
				places[i] = cmp.Or(r.Folder, r.Name)
				alike = alike && measurements(r) == measurements(runs[0])
			}
			key := repeat{seed, strings.Join(places, ", "), alike}
			if labels[key] == nil {
				order = append(order, key)
			}
			if !slices.Contains(labels[key], g.Label) {
				labels[key] = append(labels[key], g.Label)
			}
		}
	}
	var out []string
	for _, r := range order {
		how := "with other digits; it counts once, by the mean of its runs"
		if r.alike {
			how = "digit for digit alike; it counts once"
		}
		out = append(out, fmt.Sprintf("Seed %d of %s ran more than once (%s), %s.", r.seed, words.List(labels[r]), r.where, how))
	}
	return out
}

// MachineNotes say which methods pool the times and the memory of several machines.
func MachineNotes(methods []Method) []string {
	pooled := map[string][]string{}
	var order []string
	for _, g := range methods {
		machines := Distinct([]Method{g}, machineOf)
		if len(machines) < 2 {
			continue
		}
		slices.Sort(machines)
		key := strings.Join(machines, "; ")
		if pooled[key] == nil {
			order = append(order, key)
		}
		pooled[key] = append(pooled[key], g.Label)
	}
	var out []string
	for _, key := range order {
		out = append(out, fmt.Sprintf("Times and memory of %s are means over machines that do not compare: %s.", words.List(pooled[key]), key))
	}
	return out
}

// machineOf is what a run's times depend on most.
func machineOf(r *results.Run) string {
	m := r.Provenance.Machine
	return cmp.Or(m.GPU, m.CPU) + ", " + m.Backend
}

// withRepeatNotes adds [RepeatNotes] to the notes of a table.
func withRepeatNotes(notes []string, methods []Method) []string {
	for _, note := range RepeatNotes(methods) {
		if !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	return notes
}
