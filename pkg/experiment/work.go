package experiment

import (
	"fmt"
	"math"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
)

// Work is what a run has its network compute, in rows run forwards; a row of a training step, forwards and backwards, counts
// as [backwardRows]. What a strategy evaluates besides its steps is not in it.
type Work struct {
	Train   int // steps × rows a step × backwardRows
	Measure int // sampling after each task, and what else is measured
}

// backwardRows is what a row costs forwards and backwards, in rows forwards: the backward pass takes about two.
const backwardRows = 3

// Work counts the work of a run of c without loading any images.
func (c Config) Work() (Work, error) {
	tasks, err := c.tasks()
	if err != nil {
		return Work{}, err
	}
	rows, err := c.stepRows()
	if err != nil {
		return Work{}, err
	}
	s, err := cl.New(c.Strategy)
	if err != nil {
		return Work{}, err
	}
	steps, err := c.steps(tasks)
	if err != nil {
		return Work{}, err
	}
	phases := tasks
	all := s.Info().Stream == cl.AllTasks
	if all {
		phases = 1
	}
	w := Work{Train: steps * rows * backwardRows}
	w.Measure = c.samplingRows(tasks, 0, phases) + phases*c.BPD.rows(tasks) + c.BPD.extraRows(tasks, len(bpdWays(c.Diffusion.Variance))) +
		c.Probe.count(0, evenly(steps, phases))*c.Probe.rows(tasks)
	if c.Autopsy.Images > 0 && !all && tasks > 1 {
		w.Measure += c.Autopsy.rows(tasks, c.Evaluate)
	}
	return w, nil
}

// evenly are the ends of phases that share the steps alike.
func evenly(steps, phases int) []int {
	ends := make([]int, phases)
	for i := range ends {
		ends[i] = steps * (i + 1) / phases
	}
	return ends
}

// steps is the number of steps of a run. Of an online stream it follows from how many images there are, of which it is known without
// loading them how many the sets have: where classes are left out, as many of each are taken.
func (c Config) steps(tasks int) (int, error) {
	b := c.Benchmark
	if b.Stream != StreamOnline {
		return tasks * c.Loop.StepsPerTask, nil
	}
	images := 0.0
	for i, name := range b.Datasets {
		set, err := datasets.Describe(name)
		if err != nil {
			return 0, err
		}
		if i > 0 && b.Scenario == ClassIncremental { // it follows whole
			images += float64(set.Train) * (1 - b.ValFraction)
			continue
		}
		listed := len(b.Classes)
		for _, names := range b.Tasks {
			listed += len(names)
		}
		if listed == 0 {
			listed = len(set.Classes)
		}
		images += float64(set.Train) * float64(listed) / float64(len(set.Classes)) * (1 - b.ValFraction)
	}
	return int(math.Ceil(images / float64(c.Loop.FreshRows))), nil
}

// measuredTasks is how many of the tasks, from the first on, are sampled and measured after one of them: those learned by then, with
// evaluate.ahead all. The samples of an unconditional network are of no task: it draws as many at any time.
func (c Config) measuredTasks(after, tasks int) int {
	if c.Evaluate.Ahead || !c.Network.Conditional {
		return tasks
	}
	return after + 1
}

// samplingRows is how many rows the samples take that are drawn at the ends of a run's phases, without those of the first done. A
// phase learns a task, or a single one learns all.
func (c Config) samplingRows(tasks, done, phases int) int {
	measured := 0
	for phase := done; phase < phases; phase++ {
		measured += c.measuredTasks(tasks-phases+phase, tasks)
	}
	e := c.Evaluate
	return measured * e.SamplesPerTask * e.Sampler.Calls() * e.calls()
}

// stepRows is how many rows a step trains on.
func (c Config) stepRows() (int, error) {
	replayed, err := c.ReplayRows()
	return c.Loop.FreshRows + replayed, err
}

// tasks is the number of tasks.
func (c Config) tasks() (int, error) {
	b := c.Benchmark
	switch b.Scenario {
	case ClassIncremental:
	case DomainIncremental:
		return len(b.Datasets), nil
	default:
		return 0, noScenario(b.Scenario)
	}
	then := len(b.Datasets) - len(b.parted()) // sets that follow, a task each
	if len(b.Tasks) > 0 {
		return len(b.Tasks) + then, nil
	}
	if b.ClassesPerTask < 1 {
		return 0, errors.Errorf("benchmark.classes_per_task is %d; need at least 1", b.ClassesPerTask)
	}
	tasks := then
	for _, name := range b.parted() {
		classes := len(b.Classes)
		if b.ClassOrder != "given" {
			set, err := datasets.Describe(name)
			if err != nil {
				return 0, err
			}
			classes = len(set.Classes)
		}
		tasks += (classes + b.ClassesPerTask - 1) / b.ClassesPerTask
	}
	return tasks, nil
}

// networkKind is what the cost of a network depends on: equal kinds run a row equally fast on one machine.
func (c Config) networkKind() (string, error) {
	h, w, channels, err := datasets.PreparedShape(c.Benchmark.Prep, c.Benchmark.Datasets[0])
	return fmt.Sprintf("%+v of %d×%d pixels, %d channels", c.Network, h, w, channels), err
}
