package study

import (
	"palimpsest/pkg/results"
)

// ReplayedRows is how many old images a step of a method looks at: none where it keeps none.
func ReplayedRows(g Method) Stat {
	return g.Over(func(r *results.Run) float64 {
		if r.Cost.StoredImages == 0 { // its rows for rehearsal weigh nothing, or are fresh ones
			return 0
		}
		return float64(r.Cost.ReplayRows)
	})
}

// RehearsalTimesteps says at which timesteps a method rehearses: "" for all alike.
func RehearsalTimesteps(g Method) string {
	settings := g.Runs[0].Strategy.Settings
	at, _ := settings["timesteps"].(string)
	if at == "uniform" {
		at = ""
	}
	if weights, _ := settings["timestep_weights"].([]any); at == "" && len(weights) > 0 {
		at = "measured weights"
	}
	return at
}
