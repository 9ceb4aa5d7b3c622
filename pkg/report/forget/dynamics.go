package forget

import (
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// AllOld, in place of a task, asks for the mean over the old tasks: all but the last.
const AllOld = -1

// Dynamics is a study read for how its runs forgot: with the losses by timestep that a probe measured along training
// (series), and with what was measured on the networks kept after each task (autopsies), of the runs that have them.
//
// Losses are mean square errors of the noise, as in DDPM (arXiv:2006.11239) eq. 14, whatever the networks predict. Figures by timestep
// run from clean images, at the left, to noise, along [dynamics.AxisT] or [dynamics.AxisLogSNR]. Tasks count from 0;
// [AllOld] is the mean over the old ones, taken seed by seed.
type Dynamics struct {
	Methods []study.Method
	Without []string // sentences on runs that are left out, or whose losses along training are: why

	series    map[*results.Run]*dynamics.Series
	autopsies map[*results.Run]*dynamics.Autopsy
	from      string      // the folders
	alike     []*Dynamics // the studies of [OpenAlike], d among them; nil: d alone
}

// What makes the files, for errors.
const (
	seriesCommand  = "`go run . bench --set probe.every=50`"
	autopsyCommand = "`go run . bench --set probe.every=50 --set autopsy.images=32`"
)

// Open reads the runs of folders as [study.Open] does, stored studies or run folders, each with its series and its
// autopsy where it has them. Runs of another number of tasks than most have are left out. It is an error if no run has either, or if
// they were measured at different timesteps.
func Open(dirs ...string) (*Dynamics, error) {
	set, err := study.Open(dirs...)
	if err != nil {
		return nil, err
	}
	without := keepSameTasks(set)
	d := &Dynamics{
		Methods: set.Group(), Without: without, from: strings.Join(dirs, ", "),
		series: map[*results.Run]*dynamics.Series{}, autopsies: map[*results.Run]*dynamics.Autopsy{},
	}
	for i, r := range set.Runs {
		s, err := dynamics.LoadSeries(results.BesideRun(set.Dirs[i], r.Name, results.DynamicsFile))
		if err == nil {
			// Training on all tasks at once has no moment before forgetting.
			if s.LearnedAt(0) >= 0 {
				s.TaskWeights = r.Protocol.TaskWeights
				d.series[r] = s
			} else if len(r.Evaluations) > 1 {
				d.Without = append(d.Without, fmt.Sprintf("run %s is left out: its %s %s", r.Name, results.DynamicsFile, s.Late()))
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		a, err := dynamics.LoadAutopsy(results.BesideRun(set.Dirs[i], r.Name, results.AutopsyFile))
		if err == nil {
			a.TaskWeights = r.Protocol.TaskWeights
			d.autopsies[r] = a
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if len(d.series)+len(d.autopsies) == 0 {
		return nil, errors.Errorf("no run in %s was probed along training; %s makes such runs, and `--store DIR` keeps them as a study", d.from, autopsyCommand)
	}
	return d, d.validate()
}

// keepSameTasks takes out of a set the runs that learned another number of tasks than most do, or than the first where as many do, as
// one that was extended did, which lies in the folder of its study. It returns a sentence on each.
func keepSameTasks(set *study.Set) (without []string) {
	count := map[int]int{}
	for _, r := range set.Runs {
		count[len(r.Benchmark.Tasks)]++
	}
	most := len(set.Runs[0].Benchmark.Tasks)
	for _, r := range set.Runs {
		if n := len(r.Benchmark.Tasks); count[n] > count[most] {
			most = n
		}
	}
	var runs []*results.Run
	var dirs []string
	for i, r := range set.Runs {
		if n := len(r.Benchmark.Tasks); n != most {
			without = append(without, fmt.Sprintf("run %s is left out: it learned %s, the others %d", r.Name, words.Count(n, "task"), most))
			continue
		}
		runs, dirs = append(runs, r), append(dirs, set.Dirs[i])
	}
	set.Runs, set.Dirs = runs, dirs
	return without
}

// OpenAlike reads studies whose numbers do not compare, such as those of images of two sizes, each by [Open], and has their figures
// compare by eye: a strategy has one look in all of them, and one scale serves the maps, another [Dynamics.ForgettingByTimestep].
func OpenAlike(dirs ...string) ([]*Dynamics, error) {
	all := make([]*Dynamics, len(dirs))
	for i, dir := range dirs {
		d, err := Open(dir)
		if err != nil {
			return nil, err
		}
		all[i] = d
	}
	for _, d := range all {
		d.alike = all
	}
	return all, nil
}

// together are the studies that are drawn alike.
func (d *Dynamics) together() []*Dynamics {
	if d.alike == nil {
		return []*Dynamics{d}
	}
	return d.alike
}

// validate reports runs whose measurements cannot be averaged or compared place by place.
func (d *Dynamics) validate() error {
	var series, autopsy string
	for _, g := range d.Methods {
		for _, r := range g.Runs {
			if s := d.series[r]; s != nil {
				if len(s.Tasks) != g.Tasks() {
					return errors.Errorf("run %s learned %d tasks, its probe looked at %d; remove the file that is not its own", r.Name, g.Tasks(), len(s.Tasks))
				}
				// Seeds differ in the probe's images and noise; what must agree is where it looks.
				where := fmt.Sprint(len(s.Tasks), s.Timesteps, s.LogSNR)
				if series != "" && where != series {
					return errors.Errorf("run %s was probed at other tasks or timesteps than those before it; compare runs of one study", r.Name)
				}
				series = where
			}
			if a := d.autopsies[r]; a != nil {
				where := fmt.Sprint(len(a.Tasks), a.T, a.Timesteps, a.LogSNR)
				for _, s := range a.Stitches {
					where += fmt.Sprint(s.Task, s.Thresholds)
				}
				if autopsy != "" && where != autopsy {
					return errors.Errorf("the autopsy of run %s looked at other tasks, timesteps or thresholds than those before it; compare runs of one study", r.Name)
				}
				autopsy = where
			}
		}
	}
	return nil
}

// Strategies returns the labels of the strategies of which any run has a series, in the order of a report.
func (d *Dynamics) Strategies() []string {
	return d.labels(func(r *results.Run) bool { return d.series[r] != nil })
}

// Dissected returns the labels of the strategies of which any run has an autopsy.
func (d *Dynamics) Dissected() []string {
	return d.labels(func(r *results.Run) bool { return d.autopsies[r] != nil })
}

// dissected is [Dynamics.Dissected], and an error where there are none.
func (d *Dynamics) dissected() ([]string, error) {
	labels := d.Dissected()
	if len(labels) == 0 {
		return nil, errors.Errorf("no run in %s has an autopsy; %s makes them", d.from, autopsyCommand)
	}
	return labels, nil
}

// eachDissected calls of for each strategy that has autopsies, with those of its runs.
func (d *Dynamics) eachDissected(of func(label string, runs []*dynamics.Autopsy) error) error {
	labels, err := d.dissected()
	if err != nil {
		return err
	}
	for _, label := range labels {
		runs, err := d.autopsiesOf(label)
		if err != nil {
			return err
		}
		if err := of(label, runs); err != nil {
			return err
		}
	}
	return nil
}

// findings are what of says of each strategy that has autopsies, from those of its runs.
func (d *Dynamics) findings(of func(label string, runs []*dynamics.Autopsy) (string, error)) (all []string, err error) {
	err = d.eachDissected(func(label string, runs []*dynamics.Autopsy) error {
		text, err := of(label, runs)
		all = append(all, text)
		return err
	})
	return all, err
}

func (d *Dynamics) labels(has func(*results.Run) bool) (labels []string) {
	for _, g := range d.Methods {
		if slices.ContainsFunc(g.Runs, has) {
			labels = append(labels, g.Label)
		}
	}
	return labels
}

// Tasks names the tasks for readers: "1: Trouser + Coat", or "task 1" where seeds learned them in different orders.
func (d *Dynamics) Tasks() []string {
	first := d.Methods[0].Runs[0].Benchmark.Tasks
	names := make([]string, len(first))
	for i := range first {
		names[i] = fmt.Sprintf("%d: %s", i+1, first[i].Name)
		for _, g := range d.Methods {
			if slices.ContainsFunc(g.Runs, func(r *results.Run) bool {
				return i >= len(r.Benchmark.Tasks) || r.Benchmark.Tasks[i].Name != first[i].Name
			}) {
				names[i] = words.Task(i)
			}
		}
	}
	return names
}

// OldTasks names the tasks that another follows.
func (d *Dynamics) OldTasks() []string {
	names := d.Tasks()
	return names[:len(names)-1]
}

// look is the look of a strategy: the same in all figures of a study, and of those that are drawn alike.
func (d *Dynamics) look(label string) figure.Look {
	var methods []study.Method
	for _, o := range d.together() {
		for _, g := range o.Methods {
			if _, seen := study.Labelled(methods, g.Label); !seen {
				methods = append(methods, g)
			}
		}
	}
	i := slices.IndexFunc(methods, func(g study.Method) bool { return g.Label == label })
	return figure.Looks(methods)[i]
}

// runsWith are the runs of a strategy that have a series or an autopsy, by seed.
func runsWith[T any](d *Dynamics, label string, have map[*results.Run]T, what, command string) ([]T, error) {
	i := slices.IndexFunc(d.Methods, func(g study.Method) bool { return g.Label == label })
	if i < 0 {
		var all []string
		for _, g := range d.Methods {
			all = append(all, g.Label)
		}
		return nil, errors.Errorf("no strategy %q in %s; there are %s", label, d.from, strings.Join(all, ", "))
	}
	var out []T
	for _, r := range d.Methods[i].Runs {
		if v, ok := have[r]; ok {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return nil, errors.Errorf("no run of %s in %s has %s; %s makes them", label, d.from, what, command)
	}
	return out, nil
}

// seriesOf are the series of a strategy's runs, by seed.
func (d *Dynamics) seriesOf(label string) ([]*dynamics.Series, error) {
	return runsWith(d, label, d.series, "losses measured along training", seriesCommand)
}

// autopsiesOf are the autopsies of a strategy's runs, by seed.
func (d *Dynamics) autopsiesOf(label string) ([]*dynamics.Autopsy, error) {
	return runsWith(d, label, d.autopsies, "an autopsy", autopsyCommand)
}

// anySeries is one of the series, for what all have in common.
func (d *Dynamics) anySeries() (*dynamics.Series, error) {
	for _, g := range d.Methods {
		for _, r := range g.Runs {
			if s := d.series[r]; s != nil {
				return s, nil
			}
		}
	}
	return nil, errors.Errorf("no run in %s has losses measured along training; %s makes them", d.from, seriesCommand)
}

// old checks a task that must have been followed by another, or [AllOld].
func (d *Dynamics) old(task int) error {
	if n := d.Methods[0].Tasks(); task != AllOld && (task < 0 || task >= n-1) {
		return errors.Errorf("task %d (counted from 0) of %d; need 0 .. %d, which another follows, or forget.AllOld", task, n, n-2)
	}
	return nil
}

// title names a task, or the mean over the old ones, inside a title.
func (d *Dynamics) title(task int) string {
	if task == AllOld {
		return "mean over old tasks"
	}
	return "task " + d.Tasks()[task]
}

// overSeeds summarises, place by place, what is measured of each seed.
func overSeeds[T any](seeds []T, of func(T) ([]float64, error)) ([]study.Stat, error) {
	var all [][]float64
	for _, s := range seeds {
		values, err := of(s)
		if err != nil {
			return nil, err
		}
		if len(all) > 0 && len(values) != len(all[0]) {
			return nil, errors.Errorf("forget: seeds have %d and %d values; compare runs of one study", len(all[0]), len(values))
		}
		all = append(all, values)
	}
	places := make([]uint64, len(all)) // the values of one place are of one run, so they pair
	for k := range places {
		places[k] = uint64(k)
	}
	out := make([]study.Stat, len(all[0]))
	for i := range out {
		column := make([]float64, len(all))
		for k := range all {
			column[k] = all[k][i]
		}
		out[i] = study.SeedStat(places, column)
	}
	return out, nil
}

// mapAfter is the forgetting map of a series when task after had been learned, in the noise's loss.
func mapAfter(s *dynamics.Series, after int) (*dynamics.Map, error) {
	at := s.LearnedAt(after)
	if at < 0 {
		return nil, errors.Errorf("the losses after %s were not measured; let the run finish", words.Task(after))
	}
	m, err := s.Map(diffusion.PredictNoise, at)
	if err != nil {
		return nil, err
	}
	if len(m.Old) != after {
		return nil, errors.Errorf("%d of the %d tasks before %s were measured when they had been learned; probe more often", len(m.Old), after, words.Task(after))
	}
	return m, nil
}

// finalMap is the forgetting map at the end of training.
func finalMap(s *dynamics.Series) (*dynamics.Map, error) {
	if len(s.Tasks) < 2 {
		return nil, errors.New("there is one task only; nothing could be forgotten")
	}
	return mapAfter(s, len(s.Tasks)-1)
}

// ofTask picks a task's values from an array [old task, n], or averages over the old tasks what is known, by their weights.
func ofTask(values []float64, task, n int, weights []float64) []float64 {
	if task != AllOld {
		return values[task*n : (task+1)*n]
	}
	out := make([]float64, n)
	for k := range out {
		var column []float64
		for i := k; i < len(values); i += n {
			column = append(column, values[i])
		}
		out[k] = metrics.WeightedMeanOfKnown(column, weights)
	}
	return out
}

// tColours are those of [okabe] in an order from cold to hot, for what has an order itself: later tasks, larger
// timesteps.
var tColours = []string{"56b4e9", "0072b2", "009e73", "e69f00", "d55e00"}

// graded are the looks of n things in order, from cold to hot.
func graded(n int) []figure.Look {
	out := make([]figure.Look, n)
	for i := range out {
		at := 0.0
		if n > 1 {
			at = float64(i) / float64(n-1) * float64(len(tColours)-1)
		}
		k := min(int(at), len(tColours)-2)
		out[i] = figure.Look{Colour: blend(rgb(tColours[k]), rgb(tColours[k+1]), at-float64(k)), Glyph: figure.Glyphs[i%len(figure.Glyphs)], Dash: figure.Dashes[i/len(figure.Glyphs)%len(figure.Dashes)]}
	}
	return out
}

// percentOf turns shares into per cent.
func percentOf(stats []study.Stat) []study.Stat {
	out := make([]study.Stat, len(stats))
	for i, s := range stats {
		out[i] = s.Times(100)
	}
	return out
}

// seedsBand says what bands are where n seeds were measured.
func seedsBand(n int) string {
	if n > 1 {
		return fmt.Sprintf("Mean over %d seeds; bands: ± one standard deviation.", n)
	}
	return "One seed."
}

// signed writes a share as a change in per cent, "+35 ± 4 %".
func signed(s study.Stat) string {
	text := s.Times(100).Format(0)
	if s.Mean >= 0 && s.Known() && !strings.HasPrefix(text, "−") {
		text = "+" + text
	}
	return text + " %"
}

// stepText writes a number of optimiser steps.
func stepText(v float64) string { return strconv.Itoa(int(math.Round(v))) }
