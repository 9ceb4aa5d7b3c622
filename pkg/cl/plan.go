package cl

import "github.com/pkg/errors"

// Plan is all that a [Position] of a run can be measured against.
type Plan struct {
	Steps    []int // of each phase, one or more
	Restarts bool  // the optimiser starts again with each phase
	Known    bool  // the first phase is not trained ([Loop.KnowFirst]); its steps count as done
}

// Plan is that of the loop's whole run.
func (l *Loop) Plan() Plan {
	p := Plan{Restarts: l.Config.ResetOptimizer || l.Strategy.Info().Restarts, Known: l.knows}
	for phase := range l.Phases() {
		p.Steps = append(p.Steps, l.phaseSteps(phase))
	}
	return p
}

// Ends are the numbers of steps in all after which each phase ends.
func (p Plan) Ends() []int {
	ends := make([]int, len(p.Steps))
	for i := range ends {
		ends[i] = p.Before(i + 1)
	}
	return ends
}

// Before is the number of steps of all phases before the given one.
func (p Plan) Before(phase int) int {
	total := 0
	for _, steps := range p.Steps[:phase] {
		total += steps
	}
	return total
}

// Trained is how many steps a run of the plan does.
func (p Plan) Trained() int {
	return p.Before(len(p.Steps)) - p.known()
}

// known is the number of steps that count as done before a run begins.
func (p Plan) known() int {
	if p.Known {
		return p.Steps[0]
	}
	return 0
}

// Check reports a position that no run of the plan passes through.
func (p Plan) Check(at Position) error {
	phases := len(p.Steps)
	switch {
	case at.Phase < 0 || at.Phase > phases || at.Phase == phases && at.Step != 0:
		return errors.Errorf("cl: the position is phase %d, step %d; the run has phases 0 to %d, and is over at step 0 of phase %d",
			at.Phase, at.Step, phases-1, phases)
	case at.Step < 0 || at.Phase < phases && at.Step > p.Steps[at.Phase]:
		return errors.Errorf("cl: the position is step %d of phase %d; that phase has %d steps", at.Step, at.Phase, p.Steps[at.Phase])
	}
	if p.Known && at.Phase == 0 && at.Step != p.Steps[0] {
		return errors.Errorf("cl: the position is step %d of the first phase, which is known and begins at its end, step %d", at.Step, p.Steps[0])
	}
	total := p.Before(at.Phase) + at.Step
	optimiser := total - p.known()
	if p.Restarts {
		optimiser = at.Step
		if at.Phase == phases { // nothing starts after the last phase
			optimiser = p.Steps[phases-1]
		}
		if p.Known && at.Phase == 0 {
			optimiser = 0
		}
	}
	if at.Total != total || at.Optimiser != optimiser {
		return errors.Errorf("cl: step %d of phase %d says it is step %d in all and %d of the optimiser; need %d and %d",
			at.Step, at.Phase, at.Total, at.Optimiser, total, optimiser)
	}
	return nil
}
