package cl

import "github.com/pkg/errors"

// Switcher is what a strategy whose network depends on the task at sampling also is, and says of itself by
// [Info].TaskAtSampling: the task whose classes are asked for, or whose images are measured, is then told. A strategy
// that says so by some of its settings alone is told under those alone.
//
// UseTask puts into the network, weights and averages alike, what generates a task's classes, and -1 what training goes on
// from. A task that has not been learned has the network as it is. The loop puts weights and averages back itself
// ([Loop.AtTask]), so a strategy that changes nothing else has nothing to do at -1. UseTask is no part of training: it must
// leave the strategy's State as it is.
//
// In class-incremental runs of a class-conditional network the label implies the task, so that being told it is no
// advantage over a method that only sees the label; elsewhere it is one.
type Switcher interface {
	UseTask(task int) error
}

// switcher is the strategy that is told the task at sampling; nil: it is not.
func (l *Loop) switcher() Switcher {
	if !l.Strategy.Info().TaskAtSampling {
		return nil
	}
	return l.Strategy.(Switcher) // NewLoop has seen to it
}

// Switches says whether the network depends on the task at sampling.
func (l *Loop) Switches() bool { return l.switcher() != nil }

// UseTask puts into the network what generates a task's classes, until the network is loaded anew; [Loop.AtTask] is for all
// other uses. For a task of -1 the strategy puts back what it changed beside weights and averages. It does nothing for a
// strategy whose network is the same for all tasks.
func (l *Loop) UseTask(task int) error {
	s := l.switcher()
	if s == nil {
		return nil
	}
	if task < -1 || task >= len(l.Benchmark.Tasks) {
		return errors.Errorf("cl: task %d of %d; need 0 to %d, or -1 for none", task, len(l.Benchmark.Tasks), len(l.Benchmark.Tasks)-1)
	}
	return errors.WithMessagef(s.UseTask(task), "strategy %s for task %d", l.Strategy.Info().Name, task)
}

// AtTask calls f while the network is the one that generates a task's classes: for most strategies as it is, for a
// [Switcher] as it makes it. Whatever f returns, and if it panics, the network is put back bit for bit. f must neither
// train nor call AtTask.
func (l *Loop) AtTask(task int, f func() error) (err error) {
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
