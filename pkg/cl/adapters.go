package cl

import (
	"slices"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// Adapters keeps, for each finished task, the values of the weights that belong to the task alone: its adapter and its
// labels' embeddings, as trained and averaged. Embed it with the tag `yaml:"-"`.
type Adapters struct {
	Base
	setup    Setup
	adapters []bool // [P] weights that belong to adapters
	kept     []ownWeights
}

// ownWeights is what a finished task keeps.
type ownWeights struct {
	classes []int32
	values  [2][]float32 // trained and averaged, in the order of the network's weights
}

// Begin implements [Strategy].
func (a *Adapters) Begin(s Setup) (err error) {
	if err := needNetwork("a method with adapters", s); err != nil {
		return err
	}
	a.setup, a.kept = s, nil
	a.adapters, err = s.Network.LoRAWeights()
	return err
}

// classesOf lists the classes that have images.
func classesOf(im *datasets.Images) (classes []int32) {
	for _, class := range im.Present() {
		classes = append(classes, int32(class))
	}
	return classes
}

// labelWeights marks the weights that are embeddings of the classes' labels.
func labelWeights(n *diffusion.Network, classes []int32) ([]bool, error) {
	labels := make([]int, len(classes))
	for i, c := range classes {
		labels[i] = int(c)
	}
	return n.LabelWeights(labels)
}

// own marks the weights that belong to a task alone: its labels' embeddings and, except for the first task, the adapters.
func (a *Adapters) own(task int, classes []int32) ([]bool, error) {
	marks, err := labelWeights(a.setup.Network, classes)
	for i := range marks {
		marks[i] = marks[i] || task > 0 && a.adapters[i]
	}
	return marks, err
}

// trained marks the weights that a task trains: the first task all but adapters, a later one those of its own.
func (a *Adapters) trained(task int, classes []int32) ([]bool, error) {
	if task > 0 {
		return a.own(task, classes)
	}
	marks := slices.Clone(a.adapters)
	for i := range marks {
		marks[i] = !marks[i]
	}
	return marks, nil
}

// keep takes a copy of the weights of the task that has just ended.
func (a *Adapters) keep(task int, train *datasets.Images) error {
	ended := ownWeights{classes: classesOf(train)}
	marks, err := a.own(task, ended.classes)
	if err != nil {
		return err
	}
	for k, ema := range []bool{false, true} {
		all, err := a.setup.Network.Weights(ema)
		if err != nil {
			return err
		}
		for i, own := range marks {
			if own {
				ended.values[k] = append(ended.values[k], all[i])
			}
		}
	}
	a.kept = append(a.kept, ended)
	return nil
}

// put puts what a finished task has kept into the network. The first task has no adapter, so B becomes zero. Of a task that
// has not ended nothing is kept, and the network stays as it is.
func (a *Adapters) put(task int) error {
	if task < 0 || task >= len(a.kept) {
		return nil
	}
	kept := a.kept[task]
	marks, err := a.own(task, kept.classes)
	if err != nil {
		return err
	}
	if task == 0 {
		if err := a.setup.Network.ResetLoRA(0); err != nil {
			return err
		}
	}
	for k, ema := range []bool{false, true} {
		all, err := a.setup.Network.Weights(ema)
		if err != nil {
			return err
		}
		next := 0
		for i, own := range marks {
			if own {
				all[i] = kept.values[k][next]
				next++
			}
		}
		if err := a.setup.Network.SetWeights(all, ema); err != nil {
			return err
		}
	}
	return nil
}

// Stored implements [Strategy].
func (a *Adapters) Stored() (s Stored) {
	for _, kept := range a.kept {
		s.Parameters += len(kept.values[0]) + len(kept.values[1])
		s.Bytes += int64(len(kept.classes) * datasets.LabelBytes(kept.classes))
	}
	s.Bytes += 4 * int64(s.Parameters)
	return s
}

// State implements [Strategy]: the number of finished tasks and, of each, the number of its classes, these, and its weights
// as trained and averaged.
func (a *Adapters) State() ([]byte, error) {
	state := appendCount(nil, int64(len(a.kept)))
	for _, kept := range a.kept {
		state = appendClasses(state, kept.classes)
		for _, values := range kept.values {
			state = appendFloats(state, values)
		}
	}
	return state, nil
}

// Restore implements [Strategy].
func (a *Adapters) Restore(state []byte) error {
	count, rest, err := readCount(state)
	if err != nil {
		return err
	}
	if count > int64(a.setup.Tasks) {
		return errors.Errorf("cl: the stored state has adapters of %d tasks; the run has %d", count, a.setup.Tasks)
	}
	a.kept = nil
	for task := range int(count) {
		var kept ownWeights
		if kept.classes, rest, err = readClasses(rest); err != nil {
			return errors.WithMessagef(err, "cl: task %d of %d", task, count)
		}
		marks, err := a.own(task, kept.classes)
		if err != nil {
			return err
		}
		size := 0
		for _, own := range marks {
			if own {
				size += 4
			}
		}
		if len(rest) < 2*size {
			return errors.Errorf("cl: the stored state ends within the adapter of task %d of %d", task, count)
		}
		kept.values = [2][]float32{readFloats(rest[:size]), readFloats(rest[size : 2*size])}
		rest = rest[2*size:]
		a.kept = append(a.kept, kept)
	}
	if len(rest) > 0 {
		return errors.Errorf("cl: %d bytes of state after the last adapter; need none", len(rest))
	}
	return nil
}
