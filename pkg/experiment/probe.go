package experiment

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/results"
)

// ProbeConfig says how often the loss of every task is measured at many timesteps along training.
type ProbeConfig struct {
	Every     int `yaml:"every"`     // optimiser steps between measurements; each task's end has one too; 0: none at all
	Images    int `yaml:"images"`    // test images (or validation ones, as evaluate.reference says) of each task
	Timesteps int `yaml:"timesteps"` // middles of as many equal strata of the timesteps
}

// validate reports settings no probe can be made from; total is the number of timesteps.
func (c ProbeConfig) validate(total int) error {
	if c.Every > 0 && (c.Images < 2 || c.Timesteps < 1 || c.Timesteps > total) {
		return errors.Errorf("probe.images %d, timesteps %d; need at least 2, and 1 to %d", c.Images, c.Timesteps, total)
	}
	return nil
}

// openProbe prepares the probe and, where the run goes on, reads what it had measured by then.
func (r *run) openProbe() error {
	c := r.config
	if c.Probe.Every == 0 {
		return nil
	}
	timesteps, err := dynamics.Strata(c.Diffusion.T, c.Probe.Timesteps)
	if err != nil {
		return err
	}
	var tasks []dynamics.Task
	for _, t := range r.loop.Benchmark.Tasks {
		tasks = append(tasks, dynamics.Task{Name: t.Name, Data: firstImages(c.Evaluate.Images(t), t.Classes, c.Probe.Images)})
	}
	r.probe, err = dynamics.NewProbe(r.loop.Network.Process, tasks, dynamics.Options{Timesteps: timesteps,
		Batch: c.Evaluate.rows(), Seed: c.Seed})
	if err != nil {
		return err
	}
	r.series = dynamics.NewSeries(r.probe)
	if r.loop.Position.Total == 0 {
		return nil
	}
	s, err := dynamics.LoadSeries(filepath.Join(r.dir, results.DynamicsFile))
	if err == nil && !s.Axes.Equal(r.probe.Axes) {
		err = errors.New("it was measured by another probe")
	}
	if err == nil {
		s.Truncate(r.loop.Position.Total)
		r.series = s
	} else if !os.IsNotExist(errors.Cause(err)) {
		if !isDamage(err) {
			return err
		}
		r.damagedSeries = err
	}
	return nil
}

// checkSeries sets a series aside that is not, up to the checkpoint, what the run had measured by then, and begins another: the losses
// before are lost, nothing that is trained or measured else depends on them.
func (r *run) checkSeries() error {
	if r.probe == nil {
		return nil
	}
	why, want := r.damagedSeries, r.state.Dynamics // "" where nothing was measured, or an earlier version kept no sum
	if why == nil && want != "" {
		got, err := sumOfSeries(r.series)
		if err != nil {
			return err
		}
		if got != want {
			why = errors.New("it is not what the run had measured by then")
		}
	}
	if why == nil {
		return nil
	}
	path, kept := filepath.Join(r.dir, results.DynamicsFile), "it is gone"
	if _, err := os.Lstat(path); err == nil {
		to, err := freeName(filepath.Join(r.dir, damaged+results.DynamicsFile))
		if err != nil {
			return err
		}
		if err := r.home.write(func() error { return os.Rename(path, to) }); err != nil {
			return errors.WithStack(err)
		}
		kept = fmt.Sprintf("%v; it is kept as %s", why, to)
	}
	r.warn("the losses by timestep in %s are lost up to step %d (%s): they are measured from there on, and nothing is known of how tasks learned before were forgotten by timestep",
		path, r.loop.Position.Total, kept)
	r.state.lacks(results.MissingDynamics, fmt.Sprintf("those up to step %d were gone or damaged when the run went on there", r.loop.Position.Total))
	r.series, r.damagedSeries = dynamics.NewSeries(r.probe), nil
	return nil
}

// sumOfSeries is the SHA-256 of a series, "" of one without measurements.
func sumOfSeries(s *dynamics.Series) (string, error) {
	if len(s.Checkpoints) == 0 {
		return "", nil
	}
	text, err := json.Marshal(s)
	return fmt.Sprintf("%x", sha256.Sum256(text)), errors.WithStack(err)
}

// probeRows is how many rows one measurement of the probe runs through the network.
func (r *run) probeRows() int { return r.config.Probe.rows(len(r.loop.Benchmark.Tasks)) }

// rows is probeRows for a number of tasks.
func (c ProbeConfig) rows(tasks int) int { return tasks * c.Images * c.Timesteps }

// probesLeft is how many measurements of the probe are still to come.
func (r *run) probesLeft() int {
	return r.config.Probe.count(r.loop.Position.Total, r.loop.Plan().Ends())
}

// count is how many measurements there are after step done, in phases that end after the given steps.
func (c ProbeConfig) count(done int, ends []int) int {
	if c.Every == 0 {
		return 0
	}
	n := 0
	for step, end := done+1, 0; end < len(ends); step++ {
		for end < len(ends) && ends[end] < step { // gone by, or a phase without a step
			end++
		}
		if end < len(ends) && (step%c.Every == 0 || step == ends[end]) {
			n++
		}
	}
	return n
}

// measureDynamics adds a measurement of the probe where the step just done asks for one.
func (r *run) measureDynamics(ctx context.Context) error {
	l := r.loop
	if r.probe == nil || (l.Position.Total%r.config.Probe.Every != 0 && !l.PhaseDone()) {
		return nil
	}
	r.report("measure", false)
	start := time.Now()
	at := l.AtTask
	if !l.Switches() {
		at = nil
	}
	snapshot, err := r.probe.Measure(ctx, l.Network.Denoiser(r.config.Evaluate.EMA), at)
	if err != nil {
		return err
	}
	if err := r.series.Append(dynamics.Checkpoint{Step: l.Position.Total, Task: l.LastTask()}, snapshot); err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	r.state.Cost.EvalSeconds += seconds
	r.clock.rows(r.probeRows(), seconds, backend.Building())
	// Saved before the checkpoint that counts on it; what a killed run measured beyond its checkpoint is dropped.
	return r.home.write(func() error { return r.series.Save(filepath.Join(r.dir, results.DynamicsFile)) })
}
