package cl

import (
	"context"

	"github.com/pkg/errors"

	"palimpsest/datasets"
)

// Ensemble trains a model of its own on each task, [clog]: none forgets, and none learns from another task.
//
//	L = mean(loss_fresh), from new weights at each task; task j is sampled with the weights of task j
//
// Every task starts at the initial weights of the run, as in [FromScratch]. The finished weights and averages of every task
// but the last, whose model is the network itself, are kept. It has no settings.
type Ensemble struct {
	Base   `yaml:"-"`
	setup  Setup
	models []float32 // of finished tasks, one after the other: weights [P], then averages [P]
}

// Info implements [Strategy].
func (*Ensemble) Info() Info {
	return Info{Name: "ensemble", Title: "a model for each task",
		Paper:    "baseline, Ensemble in CLoG (Zhang et al. 2024, arXiv:2406.04584)",
		Equation: "L = mean(loss_fresh), from new weights at each task; task j is sampled with the weights of task j",
		Stores:   "weights and averages of every task but the last", Stream: CurrentTask, Restarts: true, TaskAtSampling: true}
}

// Label implements [Strategy].
func (*Ensemble) Label() string { return "ensemble" }

// Begin implements [Strategy].
func (e *Ensemble) Begin(s Setup) error {
	*e = Ensemble{setup: s}
	return nil
}

// Consolidate implements [Strategy]: it keeps the task's model.
func (e *Ensemble) Consolidate(context.Context, int, *datasets.Images) error {
	weights, err := e.setup.Network.Weights(false)
	averages, err2 := e.setup.Network.Weights(true)
	e.models = append(append(e.models, weights...), averages...)
	return firstError(err, err2)
}

// UseTask implements [Strategy]. The task at work, and those to come, have the network as it is.
func (e *Ensemble) UseTask(task int) error {
	n, p := e.setup.Network, e.setup.Network.Parameters()
	if task < 0 || task >= len(e.models)/(2*p) {
		return nil
	}
	model := e.models[2*p*task:]
	return firstError(n.SetWeights(model[:p], false), n.SetWeights(model[p:2*p], true))
}

// Stored implements [Strategy].
func (e *Ensemble) Stored() Stored {
	return Stored{Parameters: len(e.models), Bytes: 4 * int64(len(e.models))}
}

// State implements [Strategy]: all kept values, and before them their number.
func (e *Ensemble) State() ([]byte, error) {
	return appendFloats(appendCount(nil, int64(len(e.models))), e.models), nil
}

// Restore implements [Strategy].
func (e *Ensemble) Restore(state []byte) error {
	if err := needNetwork("ensemble", e.setup); err != nil {
		return err
	}
	count, rest, err := readCount(state)
	if p := int64(e.setup.Network.Parameters()); err != nil || int64(len(rest)) != 4*count || count%(2*p) != 0 {
		return errors.Errorf("cl: ensemble: %d bytes of state; need 8 of a number, and %d for each model", len(state), 8*p)
	}
	e.models = readFloats(rest)
	return nil
}
