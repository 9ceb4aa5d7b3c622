package resultstest

import (
	"fmt"
	"math"

	"palimpsest/pkg/results"
)

// Swept is a run of er in a sweep. Tasks end at fid, except for little that the seed does to each λ its way, so that paired
// differences have a spread; copies is the share of samples that copy a buffer image, likewise where the buffer is 20.
func Swept(lambda float64, buffer, rows, tasks int, seed uint64, fid, copies float64) *results.Run {
	off := []float64{1, -2, 1}[seed] * lambda
	fid += 0.02 * off * float64(1+buffer/200)
	if buffer == 20 {
		copies += 0.0005 * off
	}
	fids := make([]float64, tasks)
	for j := range fids {
		fids[j] = fid + float64(j) - float64(tasks-1)/2 // fid on average
	}
	label := fmt.Sprintf("er λ=%g buffer=%d", lambda, buffer)
	r := Finals("er", label, seed, fids...)
	r.Strategy.Settings = map[string]any{"lambda": lambda, "buffer": buffer, "rows": 0, "draw": "uniform"}
	r.Cost.ReplayRows = rows
	if rows != 16 {
		r.Strategy.Settings["rows"] = rows
		r.Strategy.Label += fmt.Sprintf(" rows=%d", rows)
	}
	if tasks != 2 {
		r.Config["variant"] = fmt.Sprintf("%d tasks", tasks)
		r.Strategy.Label += fmt.Sprintf(" %d tasks", tasks)
	}
	for i := range r.Evaluations {
		for j := range r.Evaluations[i].Tasks {
			r.Evaluations[i].Tasks[j].MemorisedBuffer = Float(copies)
		}
	}
	return r
}

// Parabola is a FID with its least value at λ = best, in log10 λ.
func Parabola(lambda, best float64) float64 { return 10 + 20*math.Pow(math.Log10(lambda/best), 2) }

// MadeUpSweep has the best λ at 0.3 with a buffer of 20 and at 1 with one of 200, on 2 and on 3 tasks, fewer copies the
// smaller λ is, and a finetune.
func MadeUpSweep() []*results.Run {
	var runs []*results.Run
	for seed := range uint64(3) {
		d := float64(seed) / 10
		for _, tasks := range []int{2, 3} {
			for _, lambda := range Lambdas {
				runs = append(runs, Swept(lambda, 20, 16, tasks, seed, Parabola(lambda, 0.3)+d, 0.1*lambda+d/100),
					Swept(lambda, 200, 16, tasks, seed, Parabola(lambda, 1)+d, 0.01))
			}
			base := Finals("finetune", "finetune", seed, make([]float64, tasks)...)
			for i := range base.Evaluations {
				for j := range base.Evaluations[i].Tasks {
					base.Evaluations[i].Tasks[j].FID = Float(60 + d)
				}
			}
			if tasks == 3 {
				base.Strategy.Label, base.Config["variant"] = "finetune 3 tasks", "3 tasks"
			}
			runs = append(runs, base)
		}
	}
	return runs
}

// Lambdas are those of [MadeUpSweep].
var Lambdas = []float64{0.1, 0.3, 1, 3}
