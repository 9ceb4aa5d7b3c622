package cl_test

import (
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/memory"
)

func TestFinetuneConforms(t *testing.T) {
	cltest.Conform(t, func() cl.Strategy { return &cl.Finetune{} }, cltest.Options{})
}

func TestJointConforms(t *testing.T) {
	cltest.Conform(t, func() cl.Strategy { return &cl.Joint{} }, cltest.Options{})
}

func TestCumulativeConforms(t *testing.T) {
	cltest.Conform(t, func() cl.Strategy { return &cl.Cumulative{} }, cltest.Options{})
}

func TestERConforms(t *testing.T) {
	for _, tc := range []struct{ policy, draw string }{
		{memory.NameReservoir, cl.DrawUniform},
		{memory.NameClassBalanced, cl.DrawBalanced},
		{memory.NameHerding, cl.DrawUniform},
		{memory.NameHighLoss, cl.DrawUniform},
	} {
		t.Run(tc.policy, func(t *testing.T) {
			er := func(lambda float64) func() cl.Strategy {
				return func() cl.Strategy {
					return made(t, "er", map[string]any{"lambda": lambda, "buffer": 11, "policy": tc.policy, "draw": tc.draw})
				}
			}
			cltest.Conform(t, er(0.3), cltest.Options{ZeroWeight: er(0), MaxImages: 11})
		})
	}
}

func TestERWithRowsConforms(t *testing.T) {
	er := func(lambda float64) func() cl.Strategy {
		return func() cl.Strategy {
			er := cl.NewER()
			er.Lambda, er.Buffer, er.Rows = lambda, 11, 2
			return er
		}
	}
	cltest.Conform(t, er(0.3), cltest.Options{ZeroWeight: er(0), MaxImages: 11})
}

func TestTargetedERConforms(t *testing.T) {
	for name, set := range map[string]func(*cl.ER){
		"formula": func(e *cl.ER) { e.Timesteps = "low:0.25" },
		"weights": func(e *cl.ER) { e.TimestepWeights = []float64{0, 1, 5} },
	} {
		t.Run(name, func(t *testing.T) {
			er := func(lambda float64) func() cl.Strategy {
				return func() cl.Strategy {
					er := cl.NewER()
					er.Lambda, er.Buffer = lambda, 11
					set(er)
					return er
				}
			}
			cltest.Conform(t, er(0.3), cltest.Options{ZeroWeight: er(0), MaxImages: 11})
		})
	}
}
