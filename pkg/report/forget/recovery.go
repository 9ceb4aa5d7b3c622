package forget

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// sureness is how many standard errors fine-tuning's forgetting must be above 0 for a share of it to be given.
const sureness = 2

// pair is a run's series and that of fine-tuning with the same seed.
type pair struct{ run, finetune *dynamics.Series }

// pairs are the runs of a strategy, each with the run of fine-tuning of the same seed, which had the same probe.
func (d *Dynamics) pairs(label string) ([]pair, error) {
	base, ok := study.Find(d.Methods, study.Finetune)
	if !ok {
		return nil, errors.Errorf("no finetune run in %s, whose forgetting the others' is a share of; add finetune to --strategies", d.from)
	}
	if _, err := d.seriesOf(base.Label); err != nil {
		return nil, err
	}
	if _, err := d.seriesOf(label); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(d.Methods, func(g study.Method) bool { return g.Label == label })
	var out []pair
	for _, r := range d.Methods[i].Runs {
		for _, b := range base.Runs {
			if b.Seed == r.Seed && d.series[r] != nil && d.series[b] != nil {
				out = append(out, pair{d.series[r], d.series[b]})
				break
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.Errorf("no seed of %s in %s has a finetune run with losses measured along training; run both with the same seeds", label, d.from)
	}
	return out, nil
}

// rehearsing are the strategies that are set against fine-tuning.
func (d *Dynamics) rehearsing() ([]string, error) {
	var out []string
	for _, g := range d.Methods {
		if g.Name() != study.Finetune && g.Name() != study.Joint && slices.Contains(d.Strategies(), g.Label) {
			out = append(out, g.Label)
		}
	}
	if len(out) == 0 {
		return nil, errors.Errorf("no strategy but finetune in %s has losses measured along training; add one to --strategies", d.from)
	}
	return out, nil
}

// sparedOf is the share of fine-tuning's forgetting that a run does without ([dynamics.Map.Spared]), of a task or of the
// old tasks' average increase, by timestep.
func sparedOf(p pair, task int) ([]float64, error) {
	m, err := finalMap(p.run)
	if err != nil {
		return nil, err
	}
	reference, err := finalMap(p.finetune)
	if err != nil {
		return nil, err
	}
	n := len(m.Timesteps)
	if task == AllOld {
		// Averaged before the ratio is taken: a task with next to nothing to forget would else weigh as much as any.
		m, reference = averageMap(m), averageMap(reference)
		task = 0
	}
	spared, err := m.Spared(reference, sureness)
	if err != nil {
		return nil, err
	}
	return ofTask(spared, task, n, m.Weights), nil
}

// averageMap is a map of one task: the mean of all.
func averageMap(m *dynamics.Map) *dynamics.Map {
	n := len(m.Timesteps)
	out := *m
	out.Old, out.Weights, out.Increase, out.IncreaseSE = []int{AllOld}, nil, ofTask(m.Increase, AllOld, n, m.Weights), make([]float64, n)
	for task := range m.Old {
		// The share of one task is the mean of a 1 among zeros.
		one := make([]float64, len(m.Old))
		one[task] = 1
		share := metrics.WeightedMean(one, m.Weights)
		for k := range n {
			out.IncreaseSE[k] = math.Hypot(out.IncreaseSE[k], share*m.IncreaseSE[task*n+k])
		}
	}
	return &out
}

// Recovery shows which timesteps recover under rehearsal: the share of fine-tuning's forgetting, with the same seed, that
// each strategy does without at the end of training, of a task or of the old tasks on average ([AllOld]), a line a
// strategy. Where fine-tuning's own increase is not above 2 of its standard errors there is nothing to recover, and no
// point.
func (d *Dynamics) Recovery(task int, axis string) (figure.Figure, error) {
	if err := d.old(task); err != nil {
		return figure.Figure{}, err
	}
	labels, err := d.rehearsing()
	if err != nil {
		return figure.Figure{}, err
	}
	first, err := d.anySeries()
	if err != nil {
		return figure.Figure{}, err
	}
	x, err := newTimeAxis(axis, first.Timesteps, first.LogSNR)
	if err != nil {
		return figure.Figure{}, err
	}
	var curves []figure.Curve
	var items []figure.Entry
	most := 0
	for _, label := range labels {
		pairs, err := d.pairs(label)
		if err != nil {
			return figure.Figure{}, err
		}
		y, err := overSeeds(pairs, func(p pair) ([]float64, error) { return sparedOf(p, task) })
		if err != nil {
			return figure.Figure{}, err
		}
		most = max(most, len(pairs))
		curves = append(curves, figure.Curve{Look: d.look(label), X: x.x, Y: percentOf(y)})
		items = append(items, figure.Entry{Label: label, Look: d.look(label)})
	}
	title := "Forgetting spared by rehearsal, " + d.title(task)
	low, high, ok := figure.Extent(curves)
	if !ok {
		return figure.Absent(title, "Fine-tuning forgets nothing here beyond its standard errors."), nil
	}
	p := figure.NewPanel("", x.label, "finetune's forgetting spared, %")
	figure.SetRange(p, math.Max(math.Min(low, 0), -100), math.Min(math.Max(high, 100), 200))
	x.apply(p)
	addLevel(p, 0)
	addLevel(p, 100)
	low, high = p.Y.Min, p.Y.Max
	for _, c := range curves {
		figure.AddCurve(p, c, 1.8, 2.6)
	}
	p.Y.Min, p.Y.Max = low, high // noise beyond is cut off
	return figure.Chart(title,
		"Share of the increase of finetune's loss, with the same seed, that a strategy does without: 100 forgets nothing, 0 as much as finetune; above 100 the loss fell. "+
			"No point where finetune itself forgets less than 2 standard errors. "+seedsBand(most),
		560, 300, items, [][]*plot.Plot{{p}}), nil
}

// RecoveryFindings says how much of fine-tuning's forgetting each strategy spares at small, middle and large timesteps,
// and which of them spare nearly all of it.
func (d *Dynamics) RecoveryFindings() ([]string, error) {
	labels, err := d.rehearsing()
	if err != nil {
		return nil, err
	}
	first, err := d.anySeries()
	if err != nil {
		return nil, err
	}
	ranges := thirds(first.Timesteps)
	enough := make([][]string, len(ranges))
	var out []string
	for _, label := range labels {
		pairs, err := d.pairs(label)
		if err != nil {
			return nil, err
		}
		by, err := byRange(pairs, ranges, func(p pair) ([]float64, error) { return sparedOf(p, AllOld) })
		if err != nil {
			return nil, err
		}
		text := label + " spares, of what finetune forgets of the old tasks,"
		for i, s := range by {
			if i > 0 {
				text += ","
			}
			text += fmt.Sprintf(" %s at %s", map[bool]string{true: s.Percent(0), false: "nothing measurable"}[s.Known()], ranges[i].name)
			if s.Known() && s.Mean >= 0.895 { // 90 % as it is written
				enough[i] = append(enough[i], label)
			}
		}
		out = append(out, text+".")
	}
	var parts []string
	for i, who := range enough {
		if len(who) == 0 {
			who = []string{"none of them"}
		}
		parts = append(parts, fmt.Sprintf("%s at %s", words.List(who), ranges[i].name))
	}
	return append(out, "At least nine tenths of it are spared by "+strings.Join(parts, "; by ")+"."), nil
}
