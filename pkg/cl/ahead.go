package cl

import "palimpsest/pkg/diffusion"

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
		return nil, err
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

// do has the network do a step and meanwhile prepares the one after it, where that can be foreseen: the device then waits for
// the host no longer than it takes to say "go on". What fails in preparing fails again, and is reported, when that step's turn
// comes.
func (l *Loop) do(p *prepared) (diffusion.StepResult, error) {
	if !l.foresees() {
		return l.Network.Do(p.ready)
	}
	later := *l
	later.Position.Step++
	later.Position.Total++
	later.Position.Optimiser++
	var ahead *prepared
	done := make(chan struct{})
	go func() {
		defer close(done)
		ahead, _ = later.ready()
	}()
	res, err := l.Network.Do(p.ready)
	<-done
	l.ahead, l.order, l.orderEpoch = ahead, later.order, later.orderEpoch
	return res, err
}
