package diffusion

import (
	"strings"
	"testing"

	"github.com/gomlx/gomlx/support/exceptions"
)

// TestUnknownOptions: what is none of the named options is refused by its name wherever it is asked for, even in a process that
// [NewProcess] has not made, and is never taken for another.
func TestUnknownOptions(t *testing.T) {
	s, err := NewSchedule("linear", 10)
	if err != nil {
		t.Fatal(err)
	}
	prediction, variance := &Process{Schedule: s, Prediction: "score", Variance: FixedLarge}, &Process{Schedule: s, Prediction: PredictNoise, Variance: "free"}
	objective := &Network{Process: &Process{Schedule: s, Prediction: PredictNoise, Variance: FixedLarge}, Train: TrainConfig{Objective: "gan"}}
	sampler := SamplerConfig{Name: "leapfrog", Steps: 2}
	for name, tc := range map[string]struct {
		of   func() error // panics or returns an error
		want string
	}{
		"schedule":              {func() error { _, err := NewSchedule("square", 10); return err }, `"square"`},
		"new, prediction":       {func() error { _, err := NewProcess(s, "score", FixedLarge); return err }, `"score"`},
		"new, variance":         {func() error { _, err := NewProcess(s, PredictNoise, "free"); return err }, `"free"`},
		"X0":                    {func() error { prediction.X0(1, 1, 3); return nil }, `"score"`},
		"Target":                {func() error { prediction.Target(1, 1, 3); return nil }, `"score"`},
		"target's graph":        {func() error { prediction.target(nil, nil, nil, nil); return nil }, `"score"`},
		"LossWeights":           {func() error { _, err := prediction.LossWeights("min-snr:5"); return err }, `"score"`},
		"name of loss weights":  {func() error { _, err := prediction.LossWeights("p2"); return err }, `"p2"`},
		"ReverseLogVar":         {func() error { variance.ReverseLogVar(3, 0); return nil }, `"free"`},
		"OutChannels":           {func() error { variance.OutChannels(1); return nil }, `"free"`},
		"split":                 {func() error { variance.split([]float32{1}, 1, 0); return nil }, `"free"`},
		"sampler":               {func() error { return sampler.Validate() }, `"leapfrog"`},
		"timesteps of sampling": {func() error { _, err := sampler.Timesteps(s); return err }, `"leapfrog"`},
		"solver":                {func() error { _, err := sampler.solver(objective.Process); return err }, `"leapfrog"`},
		"objective":             {func() error { c := objective.Train; c.LearningRate = 1; return c.Validate() }, `"gan"`},
		"row losses":            {func() error { objective.rowLosses(nil, nil, nil, nil, nil); return nil }, `"gan"`},
	} {
		var err error
		if panicked := exceptions.TryCatch[error](func() { err = tc.of() }); panicked != nil {
			err = panicked
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want an error that names %s", name, err, tc.want)
		}
	}
}
