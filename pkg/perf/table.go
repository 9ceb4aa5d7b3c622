package perf

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/table"
)

// Names of the tables.
const (
	sectionPerf   = "perf"
	sectionGrowth = "growth"
)

// rows of the comparison, in their order.
var contestantTitles = []struct{ name, title string }{
	{ours, "ours"},
	{oursXLA, "ours, XLA's own convolutions"},
	{oursHalf, "ours, bfloat16"},
	{oursGo, "ours, pure Go"},
	{torch, "PyTorch"},
	{torchLast, "PyTorch, channels last"},
	{torchCompile, "PyTorch, compiled"},
	{torchHalf, "PyTorch, bfloat16, channels last"},
	{torchBest, "PyTorch, bfloat16, channels last, compiled"},
	{jax, "JAX"},
}

// titles of what is measured.
var whatTitles = map[string]string{Step: "train step", Forward: "forward", DPM10: "DPM-Solver++, 10 steps", DDIM50: "DDIM, 50 steps", Bound: "bound"}

// tableOf makes the named table; nil where nothing was measured for it.
func tableOf(all []*Result, name string) (*table.Table, error) {
	if name != sectionPerf && name != sectionGrowth {
		return nil, errors.Errorf("no table of measurements is named %q; choose %q or %q", name, sectionPerf, sectionGrowth)
	}
	of := compared
	if name == sectionGrowth {
		of = grown
	}
	all = slices.DeleteFunc(slices.Clone(all), func(r *Result) bool { return (r.Case.Grows != "") != (name == sectionGrowth) })
	t := of(all) // which puts them in their order
	if t != nil {
		t.Notes, t.Warnings = slices.Concat(t.Notes, provenance(all), failures(all)), disturbed(all)
	}
	return t, nil
}

// compared is the table of the comparison: a section for each network, size and number of cores.
func compared(all []*Result) *table.Table {
	if len(all) == 0 {
		return nil
	}
	t := &table.Table{Head: "who"}
	var names []string
	for _, c := range contestantTitles {
		if slices.ContainsFunc(all, func(r *Result) bool { _, m := r.latest(c.name); return m != nil }) {
			t.Rows, names = append(t.Rows, c.title), append(names, c.name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b *Result) int {
		network := func(c Case) int { return slices.Index(Networks(), c.Network) }
		return cmp.Or(network(a.Case)-network(b.Case), a.Case.Size-b.Case.Size, strings.Compare(coresOf(b.Case), coresOf(a.Case)),
			slices.Index(Whats(), a.Case.What)-slices.Index(Whats(), b.Case.What))
	})
	for first := 0; first < len(all); {
		c, end := all[first].Case, first
		for end < len(all) && all[end].Case.Network == c.Network && all[end].Case.Size == c.Size && coresOf(all[end].Case) == coresOf(c) {
			end++
		}
		title := fmt.Sprintf("%s, %d×%d×%d, %s", c.Network, c.Size, c.Size, c.Channels, coresOf(c))
		speed, cost := table.Section{Title: title}, table.Section{Title: title + ": processor time and peak memory"}
		for _, r := range all[first:end] {
			head := fmt.Sprintf("%s (%d rows)", whatTitles[r.Case.What], r.Case.Rows)
			var wall, cpu durations
			ratio, memory := table.Column{Head: "× PyTorch", Arrow: "↑"}, table.Column{Head: "peak", Unit: "MiB", Arrow: "↓"}
			for _, name := range names {
				s, m := r.latest(name)
				if m == nil {
					wall.add(nil)
					cpu.add(nil)
					ratio.Cells, memory.Cells = append(ratio.Cells, missing()), append(memory.Cells, missing())
					continue
				}
				wall.add(m.Wall)
				cpu.add(m.CPU)
				ratio.Cells = append(ratio.Cells, cellOf(ratios(s, m), 1, "%.2f"))
				memory.Cells = append(memory.Cells, memoryOf(m))
			}
			speed.Columns = append(speed.Columns, wall.column(head), ratio)
			cost.Columns = append(cost.Columns, cpu.column(whatTitles[r.Case.What]), memory)
		}
		t.Sections = append(t.Sections, speed, cost)
		first = end
	}
	t.Notes = []string{
		"Time of a call: the median over rounds [quartiles]. × PyTorch: how many times as fast as PyTorch as it comes (eager), round by round, both measured in turn in the same sitting.",
		"Rows: images in a step or call, images drawn, or rows that the bound is computed from. Train step: noise, loss, gradient, clipping, Adam, averaged weights. Peers implement step, forward and sampling, no bound; each was checked to have our parameters and to return our network's output.",
		"Processor time: user and system, of all threads, a call. Peak: the most memory the process held, compilation included.",
	}
	return t
}

// grown is the table of how cost grows.
func grown(all []*Result) *table.Table {
	order := func(r *Result) int {
		for i, a := range growthAxes {
			if a.title == r.Case.Grows {
				return i
			}
		}
		return len(growthAxes)
	}
	slices.SortStableFunc(all, func(a, b *Result) int { return order(a) - order(b) })
	t := &table.Table{Head: "a step with"}
	var wall, cpu, outside durations
	memory := table.Column{Head: "peak", Unit: "MiB", Arrow: "↓"}
	for _, r := range all {
		var names []string
		for _, s := range r.Sittings {
			for _, m := range s.Measured {
				names = append(names, m.Name)
			}
		}
		slices.SortFunc(names, func(a, b string) int {
			x, _ := strconv.Atoi(a) // names of another kind come first
			y, _ := strconv.Atoi(b)
			return x - y
		})
		for _, name := range slices.Compact(names) {
			_, m := r.latest(name)
			if m == nil {
				continue
			}
			t.Rows = append(t.Rows, name+" "+r.Case.Grows)
			wall.add(m.Wall)
			cpu.add(m.CPU)
			outside.add(m.Outside)
			memory.Cells = append(memory.Cells, memoryOf(m))
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	t.Sections = []table.Section{{Title: "How the cost of a training step grows", Columns: []table.Column{
		wall.column("time"), cpu.column("processor time"), outside.column("outside the network's step"), memory}}}
	t.Notes = []string{
		"One thing grows at a time, from a step of tiny at 16×16 pixels, 16 feature channels, on all cores: experience replay from 200 images of one earlier task, half of the rows replayed. Median over rounds [quartiles].",
		"Outside the network's step: drawing and scaling images, the strategy's own work. Images and penalties are made up; those of earlier tasks lie in memory beside the buffer, as in any run.",
		"Rank-1 penalties: a network without replay.",
	}
	return t
}

// ratios are how many times as fast as the reference a contestant was in each round of a sitting; none without a reference.
func ratios(s *Sitting, m *Measured) []float64 {
	reference := s.of(torch)
	if reference == nil {
		return nil
	}
	out := make([]float64, len(m.Wall))
	for i := range out {
		out[i] = reference.Wall[i] / m.Wall[i]
	}
	return out
}

// durations are those of a column, which share a unit; nil stands for one that is missing.
type durations [][]float64

func (d *durations) add(seconds []float64) { *d = append(*d, seconds) }

func (d durations) column(head string) table.Column {
	c := table.Column{Head: head, Unit: "ms", Arrow: "↓"}
	most, scale, format := 0.0, 1e3, "%.1f"
	for _, r := range d {
		if len(r) > 0 {
			most = max(most, quantile(r, 0.5))
		}
	}
	switch {
	case most >= 10:
		c.Unit, scale, format = "s", 1, "%.2f"
	case most >= 1:
		format = "%.0f"
	}
	for _, r := range d {
		c.Cells = append(c.Cells, cellOf(r, scale, format))
	}
	return c
}

// cellOf is the median of values, with their quartiles.
func cellOf(values []float64, scale float64, format string) table.Cell {
	if len(values) == 0 {
		return missing()
	}
	text := func(q float64) string { return fmt.Sprintf(format, scale*quantile(values, q)) }
	return table.Cell{Text: fmt.Sprintf("%s [%s, %s]", text(0.5), text(0.25), text(0.75)), Sort: quantile(values, 0.5)}
}

func memoryOf(m *Measured) table.Cell {
	return table.Cell{Text: strconv.FormatInt(m.Peak>>20, 10), Sort: float64(m.Peak)}
}

func missing() table.Cell { return table.Cell{Text: "–", Sort: math.NaN()} }

// quantile is a quantile of values, between neighbours linearly.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// provenance says on what machine, when and with which versions the results were made.
func provenance(all []*Result) []string {
	versions := map[string]bool{}
	var machines []string
	for _, r := range all {
		for _, s := range r.Sittings {
			commit := s.Commit
			if len(commit) > 12 {
				commit = commit[:12]
			}
			if s.Dirty {
				commit += " with changes"
			}
			machines = append(machines, fmt.Sprintf("%s, %d cores, %.0f GiB, %s; %d rounds on %s, commit %s", s.Machine.CPU, s.Machine.Cores,
				float64(s.Machine.Memory)/(1<<30), s.Machine.OS, s.Rounds, s.Started.Format("2006-01-02"), commit))
			for _, m := range s.Measured {
				for name, version := range m.Versions {
					if name != "threads" {
						versions[name+" "+version] = true
					}
				}
			}
		}
	}
	slices.Sort(machines)
	var names []string
	for v := range versions {
		names = append(names, v)
	}
	slices.Sort(names)
	notes := []string{"Machine: " + strings.Join(slices.Compact(machines), "; ") + "."}
	if len(names) > 0 {
		notes = append(notes, "Versions: "+strings.Join(names, ", ")+".")
	}
	return notes
}

// failures say who could not be measured.
func failures(all []*Result) []string {
	var out []string
	for _, r := range all {
		for _, s := range r.Sittings {
			for _, m := range s.Measured {
				if _, done := r.latest(m.Name); m.Failed != "" && done == nil {
					out = append(out, fmt.Sprintf("Not measured in %s: %s (%s).", r.Case.Name, m.Name, m.Failed))
				}
			}
		}
	}
	return out
}

// disturbed warns of results from a machine that did other things at the same time.
func disturbed(all []*Result) []string {
	worst, n := 0.0, 0
	for _, r := range all {
		if slices.ContainsFunc(r.Sittings, func(s Sitting) bool { return s.Load > quiet }) {
			n++
		}
		for _, s := range r.Sittings {
			worst = max(worst, s.Load)
		}
	}
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("the machine was not quiet at %d of %d measurements (load up to %.1f).", n, len(all), worst)}
}

// seconds writes a duration for a line of progress.
func seconds(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.1f ms", 1e3*s)
	}
	return fmt.Sprintf("%.2f s", s)
}
