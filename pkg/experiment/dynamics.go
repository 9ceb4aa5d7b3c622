package experiment

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/interp"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// DynamicsRow is the forgetting of one strategy in one range of timesteps, over all tasks but the last and all seeds.
type DynamicsRow struct {
	Label    string
	Seeds    int
	Relative []float64 // increase of the noise-prediction loss at the end over its level just learned, a share of that level, by bin
	Std      []float64 // over seeds; NaN with one
}

// DynamicsTable compares how the strategies of stored runs forget by timestep.
type DynamicsTable struct {
	Edges  []float64 // of the bins, in timesteps
	LogSNR []float64 // mean of each bin, nats
	Rows   []DynamicsRow

	Without  []string // runs that are left out, and why
	Warnings []string // what forbids comparing the rows, as [study.Warnings] has it
}

// ForgettingByTimestep reads the probes' series of the runs stored in the folder dir, or of a study's run folders, and
// bins the forgetting of each strategy by timestep: for each run the mean over the old tasks of the loss at the end of
// training less the loss just after the task was learned, divided by the latter.
func ForgettingByTimestep(dir string, bins int) (*DynamicsTable, error) {
	set, err := study.Open(dir)
	if err != nil {
		return nil, errors.WithMessage(err, "reading a study made with --set probe.every=50")
	}
	table := &DynamicsTable{}
	byRun := map[*results.Run][]float64{}
	var probe string
	for i, r := range set.Runs {
		s, err := dynamics.LoadSeries(results.BesideRun(set.Dirs[i], r.Name, results.DynamicsFile))
		if os.IsNotExist(errors.Cause(err)) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if s.LearnedAt(0) < 0 { // trained on all tasks at once, there is no moment before forgetting
			if len(r.Evaluations) > 1 {
				table.Without = append(table.Without, beginsLate(r, s))
			}
			continue
		}
		// Seeds differ in the probe's noise as in all else; what must agree is where it looks.
		where := fmt.Sprint(s.Tasks, s.Timesteps, s.Prediction)
		if probe == "" {
			probe = where
		} else if where != probe {
			return nil, errors.Errorf("run %s was probed at other tasks or timesteps than the runs before; compare runs of one study", r.Name)
		}
		s.TaskWeights = r.Protocol.TaskWeights
		relative, edges, logSNR, err := binnedForgetting(s, bins)
		if err != nil {
			return nil, errors.WithMessagef(err, "run %s", r.Name)
		}
		table.Edges, table.LogSNR = edges, logSNR
		byRun[r] = relative
	}
	if len(byRun) == 0 && len(table.Without) > 0 {
		return nil, errors.Errorf("%s; make a run that is probed from its first task on", table.Without[0])
	}
	if len(byRun) == 0 {
		return nil, errors.Errorf("no run in %s has a %s; run with --set probe.every=50", dir, results.DynamicsFile)
	}
	var probed []*results.Run
	for _, r := range set.Runs {
		if byRun[r] != nil {
			probed = append(probed, r)
		}
	}
	methods := study.Group(probed)
	table.Warnings = study.Warnings(methods)
	for _, g := range methods {
		row := DynamicsRow{Label: g.Label}
		for bin := range bins {
			over := g.Over(func(r *results.Run) float64 { return byRun[r][bin] })
			row.Seeds = over.N
			row.Relative, row.Std = append(row.Relative, over.Mean), append(row.Std, over.Std)
		}
		table.Rows = append(table.Rows, row)
	}
	return table, nil
}

// beginsLate says of a run that the losses of its first task as it was learned are not there.
func beginsLate(r *results.Run, s *dynamics.Series) string {
	return fmt.Sprintf("run %s: its %s %s", r.Name, results.DynamicsFile, s.Late())
}

// binnedForgetting is the relative increase at a series' last checkpoint, averaged over old tasks, by bin of timesteps.
func binnedForgetting(s *dynamics.Series, bins int) (relative, edges, logSNR []float64, err error) {
	m, err := s.Map(diffusion.PredictNoise, len(s.Checkpoints)-1)
	if err != nil {
		return nil, nil, nil, err
	}
	if len(m.Old) == 0 {
		return nil, nil, nil, errors.New("there is one task only; nothing could be forgotten")
	}
	b, err := s.EvenBins(dynamics.AxisT, bins)
	if err != nil {
		return nil, nil, nil, err
	}
	byTask, count, err := s.Bin(m.Relative, b)
	if err != nil {
		return nil, nil, nil, err
	}
	for bin, n := range count {
		if n == 0 {
			return nil, nil, nil, Refusef("bin %d of %d holds none of the %d probed timesteps; ask for fewer bins", bin, bins, len(s.Timesteps))
		}
	}
	relative = make([]float64, bins)
	for bin := range bins {
		relative[bin] = metrics.WeightedMean(column(byTask, bin, bins), m.Weights)
	}
	logSNR, _, err = s.Bin(s.LogSNR, b)
	return relative, b.Edges, logSNR, err
}

// column is column k of values, [rows, n].
func column(values []float64, k, n int) []float64 {
	var out []float64
	for i := k; i < len(values); i += n {
		out = append(out, values[i])
	}
	return out
}

// Markdown is the table in Markdown, a column a range of timesteps.
func (d *DynamicsTable) Markdown() string {
	var b strings.Builder
	b.WriteString("| strategy |")
	for i := range d.LogSNR {
		fmt.Fprintf(&b, " t %.0f–%.0f |", d.Edges[i], d.Edges[i+1])
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(d.LogSNR)) + "\n| *log-SNR, nats* |")
	for _, v := range d.LogSNR {
		fmt.Fprintf(&b, " *%s* |", words.Number(v, 1))
	}
	b.WriteString("\n")
	for _, r := range d.Rows {
		fmt.Fprintf(&b, "| %s |", r.Label)
		for i, v := range r.Relative {
			b.WriteString(" " + percent(v))
			if !math.IsNaN(r.Std[i]) {
				b.WriteString(" ± " + words.Number(100*r.Std[i], 0))
			}
			b.WriteString(" |")
		}
		b.WriteString("\n")
	}
	if len(d.Without)+len(d.Warnings) > 0 {
		b.WriteString("\n")
	}
	for _, w := range d.Without {
		b.WriteString("- LEFT OUT: " + w + "\n")
	}
	for _, w := range d.Warnings {
		b.WriteString("- NOT COMPARABLE: " + w + "\n")
	}
	return b.String()
}

// percent writes a share with its sign, "+12 %"; 0 has none.
func percent(v float64) string {
	text := words.Number(100*v, 0)
	if v > 0 && text != "0" {
		text = "+" + text
	}
	return text + " %"
}

// measuredKnots is how many values a measured weight function has.
const measuredKnots = 21

// MeasuredTimesteps is the forgetting map of the fine-tuning runs stored in the folder dir as a weight function over
// timesteps for rehearsal: the relative rise of the noise-prediction loss of old tasks since they were learned, 0 where
// it fell, averaged over tasks and seeds, at evenly spaced timesteps from 0 to T-1 and with 1 as its largest value.
// Measure it on validation images (evaluate.reference=validation) if the runs that use it are judged on test images.
func MeasuredTimesteps(dir string) ([]float64, error) {
	set, err := study.Open(dir)
	if err != nil {
		return nil, errors.WithMessage(err, "reading the study whose forgetting says where to rehearse")
	}
	var place, rise []float64
	last, runs := 0.0, 0
	for i, r := range set.Runs {
		if r.Strategy.Name != study.Finetune {
			continue
		}
		s, err := dynamics.LoadSeries(results.BesideRun(set.Dirs[i], r.Name, results.DynamicsFile))
		if err != nil {
			return nil, errors.WithMessagef(err, "run %s; make it with --set probe.every=50", r.Name)
		}
		if s.LearnedAt(0) < 0 {
			return nil, errors.Errorf("%s; make a run that is probed from its first task on", beginsLate(r, s))
		}
		s.TaskWeights = r.Protocol.TaskWeights
		m, err := s.Map(diffusion.PredictNoise, len(s.Checkpoints)-1)
		if err != nil {
			return nil, err
		}
		if place == nil {
			rise = make([]float64, len(s.Timesteps))
			for _, t := range s.Timesteps {
				place = append(place, float64(t))
			}
			// Strata are as wide as their middles are apart, so the process ends half a stratum after the last one.
			last = place[len(place)-1] + place[0] - 1
		}
		if len(s.Timesteps) != len(place) || len(m.Old) == 0 || len(place) < 2 {
			return nil, errors.Errorf("run %s was probed at %d timesteps with %d old tasks; need one probe of at least 2 timesteps for all runs, and an old task",
				r.Name, len(s.Timesteps), len(m.Old))
		}
		risen := make([]float64, len(m.Relative))
		for k, v := range m.Relative {
			risen[k] = math.Max(v, 0)
		}
		for k := range rise {
			rise[k] += metrics.WeightedMean(column(risen, k, len(place)), m.Weights)
		}
		runs++
	}
	if runs == 0 {
		return nil, errors.Errorf("no fine-tuning run in %s; make one with `go run . bench --strategies finetune --set probe.every=50 --store %s`", dir, words.Shell(dir))
	}
	var line interp.PiecewiseLinear
	if err := line.Fit(place, rise); err != nil {
		return nil, errors.Wrap(err, "forgetting map")
	}
	highest := slices.Max(rise)
	if !(highest > 0) {
		return nil, errors.Errorf("fine-tuning in %s forgot at no timestep; there is nothing to aim rehearsal at", dir)
	}
	weights := make([]float64, measuredKnots)
	for k := range weights {
		weights[k] = math.Round(1000*line.Predict(last*float64(k)/(measuredKnots-1))/highest) / 1000
	}
	return weights, nil
}
