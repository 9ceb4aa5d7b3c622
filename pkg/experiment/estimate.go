package experiment

import (
	"context"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/host"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// Rates say how fast a machine is.
type Rates struct {
	Train   float64 `json:"train"`   // seconds a row of [Work.Train]
	Measure float64 `json:"measure"` // seconds a row of [Work.Measure]
	Fixed   float64 `json:"fixed"`   // seconds a run besides these: compiling, and what a strategy does between tasks
	Times   int     `json:"times"`   // how many times more pixels images have than those that were timed
}

// RunEstimate is what one run of a study takes.
type RunEstimate struct {
	Name    string
	Fresh   int // rows a step
	Replay  int // rows a step
	Work    Work
	Done    float64 // share of its steps that is done; 1: finished
	Seconds float64 // left; 0 where it is finished
	Told    bool    // known from finished runs of the same strategy, so what it evaluates besides its steps is included
}

// Estimate is what a study takes.
type Estimate struct {
	Runs     []RunEstimate
	Finished int
	Workers  int
	Seconds  float64  // of all runs left, one after another
	Wall     float64  // seconds until the last one ends, Workers at a time
	Basis    string   // what the rates were measured on
	Without  []string // strategies whose evaluations besides their steps, should they have any, are not included
}

// finishedRun is what one finished run shows about rates.
type finishedRun struct {
	kind, strategy, spec string
	work                 Work
	train, measure       float64 // seconds
	fixed                float64
}

// Estimate says what the runs of the study that are not finished will take, Workers at a time. The rates of a network are
// those of finished runs in Dir that were made on this kind of machine: of the same strategy where there are such, else of
// the strategy that was fastest, which has least to do besides its steps. calibrate measures them where no run with
// such a network is finished; nil: the estimate then has no seconds. Nothing is started otherwise.
func (s Study) Estimate(ctx context.Context, workers int, calibrate func(context.Context, Config) (Rates, error)) (*Estimate, error) {
	finished, err := finishedRuns(s.Dir)
	if err != nil {
		return nil, err
	}
	e := &Estimate{Workers: max(1, workers)}
	calibrated, used, times := map[string]Rates{}, 0, 1
	var left []float64
	without := map[string]bool{}
	for _, c := range s.Runs {
		r := RunEstimate{Name: c.RunName(), Fresh: c.Loop.FreshRows, Done: progressOf(c, filepath.Join(s.Dir, c.RunName()))}
		if r.Replay, err = c.ReplayRows(); err != nil {
			return nil, err
		}
		if r.Work, err = c.Work(); err != nil {
			return nil, err
		}
		if r.Done == 1 {
			e.Finished++
			e.Runs = append(e.Runs, r)
			continue
		}
		kind, err := c.networkKind()
		if err != nil {
			return nil, err
		}
		rates, told, ok := ratesFrom(finished, kind, c.Strategy)
		switch have, known := calibrated[kind]; {
		case ok:
			used++
		case known:
			rates = have
		case calibrate != nil:
			if rates, err = calibrate(ctx, s.widest(kind)); err != nil {
				return nil, err
			}
			calibrated[kind], times = rates, max(times, rates.Times)
		default:
			rates = Rates{Train: math.NaN(), Measure: math.NaN(), Fixed: math.NaN()}
			calibrated[kind] = rates
		}
		r.Told = told
		if !told && !plain(c.Strategy) {
			without[c.Strategy.Name] = true
		}
		r.Seconds = rates.Fixed + (1-r.Done)*(rates.Train*float64(r.Work.Train)+rates.Measure*float64(r.Work.Measure))
		left = append(left, r.Seconds)
		e.Seconds += r.Seconds
		e.Runs = append(e.Runs, r)
	}
	e.Wall = wall(left, e.Workers)
	var basis []string
	if used > 0 {
		basis = append(basis, fmt.Sprintf("%s in %s", words.Count(len(finished), "finished run"), s.Dir))
	}
	if len(calibrated) > 0 && calibrate != nil {
		timed := "some steps of training and sampling timed now"
		if times > 1 {
			timed += fmt.Sprintf(" on images of %d times fewer pixels", times)
		}
		basis = append(basis, timed+", without measuring beyond sampling")
	}
	e.Basis = strings.Join(basis, " and ")
	e.Without = slices.Sorted(maps.Keys(without))
	return e, nil
}

// widest is the run of a kind of network with the most rows a step.
func (s Study) widest(kind string) (widest Config) {
	most := 0
	for _, c := range s.Runs {
		if k, err := c.networkKind(); err != nil || k != kind {
			continue
		}
		if rows, err := c.stepRows(); err == nil && rows > most {
			most, widest = rows, c
		}
	}
	return widest
}

// plain says that a strategy evaluates nothing besides its steps: it has no settings.
func plain(spec cl.Spec) bool {
	s, err := cl.New(spec)
	if err != nil {
		return false
	}
	settings, err := cl.Settings(s)
	return err == nil && len(settings) == 0
}

// wall is when the last of some runs ends that are taken in order by workers as they become free.
func wall(seconds []float64, workers int) float64 {
	free := make([]float64, workers)
	for _, s := range seconds {
		i := slices.Index(free, slices.Min(free))
		if i < 0 { // not a number
			return math.NaN()
		}
		free[i] += s
	}
	return slices.Max(free)
}

// ratesFrom are the rates for a strategy on a kind of network by finished runs, whether runs of the strategy showed them, and
// whether there are any.
func ratesFrom(finished []finishedRun, kind string, spec cl.Spec) (rates Rates, told, ok bool) {
	own, exact := []finishedRun{}, []finishedRun{}
	others := map[string][]finishedRun{}
	for _, f := range finished {
		if f.kind != kind {
			continue
		}
		others[f.strategy] = append(others[f.strategy], f)
		if f.strategy == spec.Name {
			own = append(own, f)
			if f.spec == fmt.Sprint(spec) {
				exact = append(exact, f)
			}
		}
	}
	switch {
	case len(exact) > 0:
		return meanRates(exact), true, true
	case len(own) > 0:
		return meanRates(own), true, true
	}
	for _, runs := range others {
		if r := meanRates(runs); !ok || r.Train < rates.Train {
			rates, ok = r, true
		}
	}
	return rates, false, ok
}

// meanRates are seconds over rows of some runs together; of the other seconds, the least: a run that was interrupted has
// too many.
func meanRates(runs []finishedRun) Rates {
	var r Rates
	var train, measure int
	r.Fixed = math.Inf(1)
	for _, f := range runs {
		r.Train, r.Measure, r.Fixed = r.Train+f.train, r.Measure+f.measure, min(r.Fixed, f.fixed)
		train, measure = train+f.work.Train, measure+f.work.Measure
	}
	r.Train /= float64(max(1, train))
	r.Measure /= float64(max(1, measure))
	return r
}

// finishedRuns reads the finished runs in a study's folder that were made on a processor and GPU as here. Folders that
// hold no such run, or one of another version, tell nothing.
func finishedRuns(dir string) ([]finishedRun, error) {
	files, err := atomicfile.Glob(dir, "*/result.json")
	if err != nil {
		return nil, err
	}
	here := host.Machine()
	var all []finishedRun
	for _, file := range files {
		r, err := results.Load(file)
		if err != nil || r.Provenance.Machine.CPU != here.CPU || r.Provenance.Machine.GPU != here.GPU {
			continue
		}
		c, err := StoredConfig(filepath.Dir(file))
		if err != nil {
			continue
		}
		f := finishedRun{strategy: c.Strategy.Name, spec: fmt.Sprint(c.Strategy), train: r.Cost.TrainSeconds, measure: r.Cost.EvalSeconds}
		if f.work, err = c.Work(); err != nil {
			continue
		}
		if f.kind, err = c.networkKind(); err != nil {
			continue
		}
		f.work.Train = r.Cost.Steps * (r.Cost.FreshRows + r.Cost.ReplayRows) * backwardRows // as it was then
		f.fixed = r.Cost.CompileSeconds
		// Beside what was timed there is what the strategy does between tasks, unless the run lay still in between.
		timed := f.train + f.measure + f.fixed
		if beside := r.Provenance.Finished.Sub(r.Provenance.Started).Seconds() - timed; beside > 0 && beside < timed {
			f.fixed += beside
		}
		all = append(all, f)
	}
	return all, nil
}

// progressOf is the share of a run's steps that is done, by its folder: 1 only where it is finished.
func progressOf(c Config, dir string) float64 {
	if isFinished(dir) {
		return 1
	}
	step, of, ok := stepOf(c, dir)
	if !ok {
		return 0
	}
	return min(float64(step)/float64(of), 0.99)
}

// stepOf is the step of the newest checkpoint in a run's folder and how many there are; ok is false where it has none.
func stepOf(c Config, dir string) (step, of int, ok bool) {
	names, err := checkpoints(dir)
	if err != nil || len(names) == 0 {
		return 0, 0, false
	}
	tasks, err := c.tasks()
	if err != nil {
		return 0, 0, false
	}
	s, err := cl.New(c.Strategy)
	if err != nil {
		return 0, 0, false
	}
	if c.Benchmark.Stream == StreamOnline { // phases have steps by their images, which are not loaded
		return 0, 0, false
	}
	of, phase := tasks*c.Loop.StepsPerTask, c.Loop.StepsPerTask
	if s.Info().Stream == cl.AllTasks {
		phase = of
	}
	done, step, _ := parseCheckpointName(names[len(names)-1])
	return done*phase + step, of, of > 0
}

// SayUnfinished returns err with how far the run is, and whether it is being worked at, where err is of a folder whose run is
// not finished ([study.Unfinished]); any other error, and nil, as it is.
func SayUnfinished(err error) error {
	var unfinished *study.Unfinished
	if !errors.As(err, &unfinished) {
		return err
	}
	if c, readErr := StoredConfig(unfinished.Dir); readErr == nil {
		if step, of, ok := stepOf(c, unfinished.Dir); ok {
			unfinished.Reached = fmt.Sprintf("saved at step %d of %d", step, of)
		}
	}
	unfinished.AtWork = AtWork(unfinished.Dir)
	return err
}

// String is the estimate on one line: "about 52 min for 78 runs, 2 at a time".
func (e *Estimate) String() string {
	left := len(e.Runs) - e.Finished
	what := words.Count(left, "run")
	switch {
	case e.Finished == 1:
		what += " (1 more is finished)"
	case e.Finished > 1:
		what += fmt.Sprintf(" (%d more are finished)", e.Finished)
	}
	if left == 0 {
		if e.Finished == 1 {
			return "the one run is finished"
		}
		return fmt.Sprintf("all %d runs are finished", e.Finished)
	}
	if math.IsNaN(e.Wall) {
		return what + ", for an unknown time"
	}
	text := fmt.Sprintf("about %s for %s", Minutes(e.Wall), what)
	if e.Workers > 1 && left > 1 {
		text += fmt.Sprintf(", %d at a time", min(e.Workers, left))
	}
	return text
}

// Minutes writes a number of seconds to two digits or so: "40 s", "52 min", "3.5 h".
func Minutes(seconds float64) string {
	switch d := time.Duration(seconds * float64(time.Second)); {
	case d < 100*time.Second:
		return fmt.Sprintf("%.0f s", seconds)
	case d < 100*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", seconds/3600)
}

// Table lists the runs: rows a step, the work of training and of measuring in rows of the network run forwards, and the
// time left.
func (e *Estimate) Table() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "run\trows a step\ttraining, 1000 rows\tmeasuring, 1000 rows\ttime\t")
	for _, r := range e.Runs {
		left := "done"
		if r.Done < 1 {
			if left = "?"; !math.IsNaN(r.Seconds) {
				left = Minutes(r.Seconds)
			}
			if r.Done > 0 {
				left += fmt.Sprintf(" (%.0f%% done)", 100*r.Done)
			}
		}
		fmt.Fprintf(w, "%s\t%d+%d\t%d\t%d\t%s\t\n", r.Name, r.Fresh, r.Replay, r.Work.Train/1000, r.Work.Measure/1000, left)
	}
	w.Flush()
	return out.String()
}
