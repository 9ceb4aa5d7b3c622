package cl

import "testing"

func TestPlanKnowsItsPositions(t *testing.T) {
	unequal := Plan{Steps: []int{3, 0, 2}}
	through, anew := Plan{Steps: []int{10, 10, 10}}, Plan{Steps: []int{10, 10, 10}, Restarts: true}
	known, knownAnew := Plan{Steps: []int{10, 10, 10}, Known: true}, Plan{Steps: []int{10, 10, 10}, Known: true, Restarts: true}
	for _, c := range []struct {
		plan Plan
		at   Position
		good bool
	}{
		{through, Position{}, true},
		{through, Position{Phase: 1, Step: 10, Total: 20, Optimiser: 20}, true},
		{through, Position{Phase: 3, Total: 30, Optimiser: 30}, true},
		{anew, Position{Phase: 1, Step: 4, Total: 14, Optimiser: 4}, true},
		{anew, Position{Phase: 3, Total: 30, Optimiser: 10}, true},
		{unequal, Position{Phase: 1, Total: 3, Optimiser: 3}, true},
		{unequal, Position{Phase: 2, Step: 2, Total: 5, Optimiser: 5}, true},
		{unequal, Position{Phase: 3, Total: 5, Optimiser: 5}, true},
		{unequal, Position{Phase: 1, Step: 1, Total: 4, Optimiser: 4}, false},
		{known, Position{Step: 10, Total: 10}, true},
		{known, Position{Phase: 1, Step: 4, Total: 14, Optimiser: 4}, true},
		{knownAnew, Position{Step: 10, Total: 10}, true},
		{knownAnew, Position{Phase: 2, Step: 4, Total: 24, Optimiser: 4}, true},
		{known, Position{}, false},
		{known, Position{Step: 4, Total: 4, Optimiser: 4}, false},
		{known, Position{Phase: 1, Step: 4, Total: 14, Optimiser: 14}, false},
		{through, Position{Phase: -1}, false},
		{through, Position{Phase: 4, Total: 40, Optimiser: 40}, false},
		{through, Position{Phase: 3, Step: 1, Total: 31, Optimiser: 31}, false},
		{through, Position{Step: -1, Total: -1, Optimiser: -1}, false},
		{through, Position{Step: 11, Total: 11, Optimiser: 11}, false},
		{through, Position{Phase: 1, Step: 4, Total: 15, Optimiser: 15}, false},
		{through, Position{Phase: 1, Step: 4, Total: 14, Optimiser: 4}, false},
		{anew, Position{Phase: 1, Step: 4, Total: 14, Optimiser: 14}, false},
	} {
		if err := c.plan.Check(c.at); (err == nil) != c.good {
			t.Errorf("%+v in %+v: %v", c.at, c.plan, err)
		}
	}
}
