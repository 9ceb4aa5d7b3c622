package cl

import (
	"github.com/pkg/errors"

	"palimpsest/pkg/diffusion"
)

// prepared is a step that was made ready to be done.
type prepared struct {
	step     *Step
	ready    *diffusion.Prepared
	position Position
}

// drop frees what was prepared and will not be used.
func (p *prepared) drop() {
	if p != nil {
		p.ready.Drop()
	}
}

// ready prepares the step of the loop's position.
func (l *Loop) ready() (*prepared, error) {
	s, err := l.batch()
	if err != nil {
		return nil, err
	}
	r, err := l.Network.Prepare(s.Batch, l.Position.Optimiser, l.rng(drawNoise).Uint64())
	if err != nil {
		return nil, errors.WithMessagef(err, "strategy %s, task %d, step %d", l.Strategy.Info().Name, s.Task, s.Index)
	}
	return &prepared{step: s, ready: r, position: l.Position}, nil
}

// next takes the step of the loop's position, from what was prepared if it is that.
func (l *Loop) next() (*prepared, error) {
	p := l.ahead
	l.ahead = nil
	if p != nil && p.position == l.Position {
		return p, nil
	}
	p.drop()
	return l.ready()
}

// foresees says whether the step after the one at hand can be prepared before that is done. In an online stream it waits for what
// arrives with that.
func (l *Loop) foresees() bool {
	return !l.online() && l.Strategy.Foresees() && l.losses == nil && l.Position.Step+1 < l.PhaseSteps()
}

// after moves a position by one step of its phase.
func (p Position) after() Position {
	p.Step++
	p.Total++
	p.Optimiser++
	return p
}

// done is a step and what became of it.
type done struct {
	step   *Step
	result diffusion.StepResult
}

// do has the network do the step prepared in first and up to n-1 after it, as long as each can be foreseen, and returns those done.
// While the device is at a step, the one after it is prepared and the numbers of the one before it are read: the device waits
// for the host no longer than it takes to say "go on". What fails in preparing ends the row; it fails again, and is reported,
// when that step's turn comes.
func (l *Loop) do(first *prepared, n int) (row []done, err error) {
	coming, stop := make(chan *prepared, 1), make(chan struct{})
	later := *l
	go func() { // prepares what follows first: while one is done, one is ready and another on its way, for which the device may have to be free
		defer close(coming)
		for range n {
			if !later.foresees() {
				return
			}
			later.Position = later.Position.after()
			p, err := later.ready()
			if err != nil {
				return
			}
			select {
			case coming <- p:
			case <-stop:
				p.drop()
				return
			}
		}
	}()
	type launched struct {
		step    *Step
		outcome *diffusion.Outcome
	}
	outcomes, read := make(chan launched, n), make(chan error, 1)
	go func() { // reads
		var failed error
		for o := range outcomes {
			result, err := o.outcome.Result()
			if failed == nil && err == nil {
				row = append(row, done{o.step, result})
			} else if failed == nil {
				failed = err
			}
		}
		read <- failed
	}()
	p := first
	for k := 0; p != nil; k++ {
		var o *diffusion.Outcome
		if o, err = l.Network.Launch(p.ready); err != nil {
			p = nil
			break
		}
		outcomes <- launched{p.step, o}
		p = <-coming // the one after the row too: it begins the next
		if k == n-1 {
			break
		}
	}
	close(stop)
	close(outcomes)
	if failed := <-read; failed != nil {
		err = failed // of an earlier step than one that could not be launched
	}
	for left := range coming {
		left.drop()
	}
	l.ahead, l.order, l.orderEpoch = p, later.order, later.orderEpoch
	return row, err
}
