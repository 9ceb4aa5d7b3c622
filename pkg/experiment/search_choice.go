package experiment

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/pkg/errors"

	"palimpsest/pkg/cards"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// searchMetric names the score of a trial.
const searchMetric = "mean over tasks of the FID against validation images after the last task, mean over seeds; lower is better"

// SearchChoice is what a search has chosen for a strategy.
type SearchChoice struct {
	Strategy string
	Tuning   cards.Tuning
	Best     int // index of the chosen trial
}

// SearchStudy is the study that makes all runs of some trials in the folder dir.
func SearchStudy(dir string, trials []SearchTrial) Study {
	s := Study{Dir: dir}
	for _, t := range trials {
		s.Runs = append(s.Runs, t.Runs...)
	}
	return s
}

// Choose picks the best candidate of each strategy: runs are the results of [SearchStudy]'s runs in order, nil where one
// diverged, as those do whose loss stayed finite but left all learning, or whose samples collapsed; command is what the user typed.
func (s Search) Choose(trials []SearchTrial, runs []*results.Run, command string) ([]SearchChoice, error) {
	var all []SearchChoice
	for len(trials) > 0 {
		n := 1
		for n < len(trials) && trials[n].Strategy == trials[0].Strategy {
			n++
		}
		size := n * s.Seeds
		if len(runs) < size {
			return nil, errors.Errorf("%d runs for %d trials of %s with %d seeds", len(runs), n, trials[0].Strategy, s.Seeds)
		}
		c, err := s.choose(trials[:n], runs[:size], command)
		if err != nil {
			return nil, errors.WithMessagef(err, "strategy %s", trials[0].Strategy)
		}
		all, trials, runs = append(all, *c), trials[n:], runs[size:]
	}
	return all, nil
}

// choose is Choose for the trials of one strategy.
func (s Search) choose(trials []SearchTrial, runs []*results.Run, command string) (*SearchChoice, error) {
	c := &SearchChoice{Strategy: trials[0].Strategy}
	record := cards.SearchRecord{Metric: searchMetric, Overrides: s.Overrides(), Command: command}
	var candidates []map[string]any
	var commits, machines []string
	for i, trial := range trials {
		score := 0.0
		for _, r := range runs[i*s.Seeds : (i+1)*s.Seeds] {
			if r == nil || unfit(r) {
				score = math.Inf(1)
				continue
			}
			fid, err := finalFID(r)
			if err != nil {
				return nil, err
			}
			score += fid / float64(s.Seeds)
			p := r.Provenance
			commits, machines = append(commits, p.Commit), append(machines, describeMachine(p.Machine))
			record.Dirty = record.Dirty || p.Dirty
			record.Date = max(record.Date, p.Finished.UTC().Format("2006-01-02"))
			record.Budget.Steps = r.Cost.Steps
		}
		candidates = append(candidates, trial.Settings)
		record.Trials = append(record.Trials, cards.Trial{Settings: trial.Settings, Score: score})
		if score < record.Trials[c.Best].Score {
			c.Best = i
		}
	}
	if math.IsInf(record.Trials[c.Best].Score, 1) {
		return nil, errors.New("all candidates diverged; give its card milder ones")
	}
	slices.Sort(commits)
	slices.Sort(machines)
	record.Commit, record.Machine = strings.Join(slices.Compact(commits), ", "), strings.Join(slices.Compact(machines), "; ")
	record.Budget.Trials, record.Budget.Seeds = len(trials), s.Seeds
	c.Tuning = cards.Tuning{Settings: candidates[c.Best], Search: record}
	var err error
	c.Tuning.Edge, err = edges(c.Strategy, candidates, candidates[c.Best])
	return c, err
}

// unfit says whether a run's FID is not that of something learned, though all its numbers are finite.
func unfit(r *results.Run) bool {
	_, diverged := r.Diverged()
	_, collapsed := r.Collapsed()
	return diverged || collapsed
}

// finalFID is the mean over tasks of the FID after the last task.
func finalFID(r *results.Run) (float64, error) {
	if r.Protocol.ReferenceSplit != "validation" {
		return 0, errors.Errorf("run %s was measured on %s images; settings are chosen on validation images", r.Name, r.Protocol.ReferenceSplit)
	}
	if len(r.Evaluations) == 0 {
		return 0, errors.Errorf("run %s has no measurements", r.Name)
	}
	last := r.Evaluations[len(r.Evaluations)-1]
	var fids []float64
	for _, t := range last.Tasks {
		if t.FID == nil {
			return 0, errors.Errorf("run %s has no FID of %s; a search needs a class-conditional network", r.Name, words.Task(t.Task))
		}
		fids = append(fids, *t.FID)
	}
	return metrics.WeightedMean(fids, r.Protocol.TaskWeights), nil
}

// describeMachine is a computer on one line.
func describeMachine(m results.Machine) string {
	if m.GPU != "" {
		return m.GPU
	}
	return fmt.Sprintf("%d × %s", m.Cores, m.CPU)
}

// SearchTable lists all trials with their scores; an asterisk marks the best of each strategy, and "edge" settings whose
// best value is the smallest or largest tried.
func SearchTable(choices []SearchChoice) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "strategy\tcandidate\tFID\t")
	for _, c := range choices {
		for i, t := range c.Tuning.Search.Trials {
			mark, score := "", fmt.Sprintf("%.1f", t.Score)
			if math.IsInf(t.Score, 1) {
				score = "diverged"
			}
			if i == c.Best {
				if mark = "*"; len(c.Tuning.Edge) > 0 {
					mark += " edge: " + strings.Join(c.Tuning.Edge, ", ")
				}
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Strategy, writeSettings(t.Settings), score, mark)
		}
	}
	w.Flush()
	return out.String()
}
