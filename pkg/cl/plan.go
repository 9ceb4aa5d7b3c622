package cl

import "github.com/pkg/errors"

// Plan is all that a [Position] of a run can be measured against.
type Plan struct {
	Phases     int
	PhaseSteps int  // of each phase
	Restarts   bool // the optimiser starts anew with each phase
}

// Plan is that of the loop's whole run.
func (l *Loop) Plan() Plan {
	return Plan{Phases: l.Phases(), PhaseSteps: l.PhaseSteps(), Restarts: l.Config.ResetOptimizer || l.Strategy.Info().Restarts}
}

// Check reports a position that no run of the plan passes through.
func (p Plan) Check(at Position) error {
	switch {
	case at.Phase < 0 || at.Phase > p.Phases || at.Phase == p.Phases && at.Step != 0:
		return errors.Errorf("cl: the position is phase %d, step %d; the run has phases 0 to %d, and is over at step 0 of phase %d",
			at.Phase, at.Step, p.Phases-1, p.Phases)
	case at.Step < 0 || at.Step > p.PhaseSteps:
		return errors.Errorf("cl: the position is step %d of phase %d; a phase has %d steps", at.Step, at.Phase, p.PhaseSteps)
	}
	total := at.Phase*p.PhaseSteps + at.Step
	optimiser := total
	if p.Restarts {
		optimiser = at.Step
		if at.Phase == p.Phases { // nothing starts after the last phase
			optimiser = p.PhaseSteps
		}
	}
	if at.Total != total || at.Optimiser != optimiser {
		return errors.Errorf("cl: step %d of phase %d says it is step %d in all and %d of the optimiser; need %d and %d",
			at.Step, at.Phase, at.Total, at.Optimiser, total, optimiser)
	}
	return nil
}
