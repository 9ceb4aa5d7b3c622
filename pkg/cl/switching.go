package cl

import "github.com/pkg/errors"

// Switches says whether the network depends on the task at sampling.
func (l *Loop) Switches() bool { return l.Strategy.Info().TaskAtSampling }

// UseTask puts into the network what generates a task's classes, until the network is loaded again; [Loop.AtTask] is for all
// other uses. For a task of -1 the strategy puts back what it changed besides weights and averages. It does nothing for a
// strategy whose network is the same for all tasks.
func (l *Loop) UseTask(task int) error {
	if !l.Switches() {
		return nil
	}
	if task < -1 || task >= len(l.Benchmark.Tasks) {
		return noTask(task, len(l.Benchmark.Tasks))
	}
	return errors.WithMessagef(Guard(func() error { return l.Strategy.UseTask(task) }), "strategy %s for task %d", l.Strategy.Info().Name, task)
}

// AtTask calls f while the network is the one that generates a task's classes: for most strategies as it is, for one that
// needs the task at sampling, as it makes it. Whatever f returns, and if it panics, the network is put back bit for bit. f must neither
// train nor call AtTask.
func (l *Loop) AtTask(task int, f func() error) (err error) {
	if f == nil {
		return errors.New("cl: AtTask without a function; need what is to be done with the network of the task")
	}
	if task < -1 || task >= len(l.Benchmark.Tasks) {
		return noTask(task, len(l.Benchmark.Tasks))
	}
	if !l.Switches() {
		return f()
	}
	weights, err := l.Network.Weights(false)
	if err != nil {
		return err
	}
	averages, err := l.Network.Weights(true)
	if err != nil {
		return err
	}
	defer func() {
		err = firstError(err, l.UseTask(-1), l.Network.SetWeights(weights, false), l.Network.SetWeights(averages, true))
	}()
	if err := l.UseTask(task); err != nil {
		return err
	}
	return f()
}

func noTask(task, of int) error {
	return errors.Errorf("cl: task %d of %d; need 0 to %d, or -1 for none", task, of, of-1)
}
