package resultstest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"palimpsest/pkg/results"
)

// Float is a measured number.
func Float(v float64) *float64 { return &v }

// MadeUp is a small study with invented numbers: finetune, er with two coefficients, joint, each with the given
// seeds, on 3 tasks. The numbers are smooth functions of task and seed, so that golden files do not depend on a
// machine's random numbers.
func MadeUp(seeds int) []*results.Run {
	var runs []*results.Run
	for seed := range seeds {
		wobble := func(k int) float64 { return 3 * math.Sin(float64(7*seed+3*k)) }
		for k, m := range []struct {
			name, label string
			keep        float64 // share of what was learned that stays
			images      int
		}{{"finetune", "finetune", 0, 0}, {"er", "er λ=1", 0.9, 60}, {"er", "er λ=0.3", 0.7, 60}, {"joint", "joint", 1, 0}} {
			r := NewRun(m.name, m.label, uint64(seed), 3)
			for after := range 3 {
				if m.name == "joint" && after < 2 {
					continue
				}
				e := results.Evaluation{AfterTask: after, Step: 100 * (after + 1), Sheet: fmt.Sprintf("samples/after_task_%d.png", after)}
				for j := range 3 {
					fid := 40 + wobble(k+j+2*after)
					switch {
					case j > after:
						fid = 600 + 10*wobble(j+k+after)
					case j < after:
						fid += (1 - m.keep) * 100 * float64(after-j+3)
					}
					t := results.TaskMetrics{Task: j, N: 200, FID: Float(fid), KID: Float(fid / 500), Precision: Float(0.9 - fid/1000), Recall: Float(0.7 - fid/1000),
						Density: Float(1 - fid/1000), Coverage: Float(0.95 - fid/1000), ClassAccuracy: Float(math.Max(0.01, 1-fid/700)), MemorisedTrain: Float(0.01 * (1 + float64(seed)))}
					if m.images > 0 {
						t.MemorisedBuffer, t.MemorisedTrain = Float(0.3*m.keep+0.01*float64(seed)), Float(0.2*m.keep+0.01*float64(seed))
					}
					e.Tasks = append(e.Tasks, t)
				}
				e.Union = results.UnionMetrics{N: 600, FID: Float(50), ClassAccuracy: Float(0.5), LabelKL: Float((1 - m.keep) + 0.02*float64(seed)), LabelARD: Float(0.4 * (1.1 - m.keep))}
				r.Evaluations = append(r.Evaluations, e)
			}
			for step := 10; step <= 300; step += 10 {
				r.Losses = append(r.Losses, results.LossPoint{Step: step, Task: (step - 1) / 100, Loss: 0.05 + 1/float64(1+(step-1)%100) + 0.004*float64(k)})
			}
			r.Cost.StoredImages, r.Cost.StoredBytes = m.images, int64(m.images)*256
			r.Cost.TrainSeconds = 60 + 3*float64(k) + wobble(k)/3
			runs = append(runs, r)
		}
	}
	return runs
}

// NewRun is a run without measurements.
func NewRun(name, label string, seed uint64, tasks int) *results.Run {
	r := &results.Run{
		Schema: results.Schema, Name: fmt.Sprintf("%s-seed%d", label, seed), Seed: seed,
		Strategy: results.Strategy{Name: name, Label: label, Paper: "a paper", Stores: "what it stores"},
		Benchmark: results.Benchmark{Dataset: "fashion-mnist-sample", Scenario: "class-incremental", ImageSize: 4, Channels: 1, Prep: "area 4",
			ClassNames: []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}},
		Protocol: results.Protocol{SamplesPerTask: 200, ReferenceSplit: "test", ReferenceImages: 200, Extractor: "classifier", ExtractorSHA256: "0123456789abcdef",
			FeatureDim: 64, Sampler: "ddim", SamplerSteps: 20, Guidance: 1, EMA: true, NearestK: 5, MemorisedRatio: 1.0 / 3},
		Config: map[string]any{"steps_per_task": 100, "name": "<made up> & small"},
		Provenance: results.Provenance{Command: "go run . bench", Commit: "0123456789abcdef", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			Machine: results.Machine{OS: "linux", CPU: "a processor", Cores: 2, Memory: 4 << 30, Go: "go1.26", Backend: "xla:cpu"}},
		Cost: results.Cost{Steps: 300, FreshRows: 16, ReplayRows: 16, Parameters: 123456, PeakRSS: 900 << 20, EvalSeconds: 30, CompileSeconds: 10},
	}
	names := r.Benchmark.ClassNames
	for i := range tasks {
		r.Benchmark.Tasks = append(r.Benchmark.Tasks, results.Task{Name: names[2*i] + " + " + names[2*i+1], Classes: []int{2 * i, 2*i + 1}, Train: 1200, Test: 200})
	}
	return r
}

// Noise is n values in [-1, 1].
func Noise(n int) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]float32, n)
	for i := range out {
		out[i] = 2*r.Float32() - 1
	}
	return out
}

// WithGaps is madeUp with three seeds, of which one lacks a number, and with one seed, that lacks numbers too.
func WithGaps() (three, one []*results.Run) {
	three, one = MadeUp(3), MadeUp(1)
	for _, r := range three {
		if r.Strategy.Label == "er λ=0.3" && r.Seed == 0 {
			r.Evaluations[1].Tasks[0].FID = nil
		}
	}
	for _, r := range one {
		if r.Strategy.Label == "finetune" { // a cell no seed has
			r.Evaluations[1].Tasks[2].FID = nil
		}
	}
	return three, one
}

// TargetedRuns is [MadeUp] with two more strategies, which rehearse at chosen timesteps.
func TargetedRuns(seeds int) []*results.Run {
	runs := MadeUp(seeds)
	for _, r := range runs {
		r.Strategy.Settings = map[string]any{"lambda": strings.TrimPrefix(r.Strategy.Label, "er λ=")}
	}
	for _, r := range MadeUp(seeds) {
		if r.Strategy.Label != "er λ=1" {
			continue
		}
		for _, v := range []struct {
			at   string
			rows int
			by   float64
		}{{"high:0.5", 4, 1}, {"low:0.5", 16, 30}} {
			c := *r
			c.Strategy.Label += " t=" + v.at
			c.Strategy.Settings = map[string]any{"lambda": "1", "timesteps": v.at}
			c.Cost.ReplayRows = v.rows
			c.Evaluations = slices.Clone(r.Evaluations)
			for i := range c.Evaluations {
				c.Evaluations[i].Tasks = slices.Clone(c.Evaluations[i].Tasks)
				for j := range c.Evaluations[i].Tasks {
					c.Evaluations[i].Tasks[j].FID = Float(*c.Evaluations[i].Tasks[j].FID + v.by)
				}
			}
			runs = append(runs, &c)
		}
	}
	return runs
}

// Finals is a run whose tasks end at the given FID; each was learned at 1 less per place, so that task j forgets j+1.
func Finals(name, label string, seed uint64, fids ...float64) *results.Run {
	r := NewRun(name, label, seed, len(fids))
	for i := range fids {
		e := results.Evaluation{AfterTask: i}
		for j := range i + 1 {
			v := fids[j]
			if i < len(fids)-1 {
				v -= float64(j + 1)
			}
			e.Tasks = append(e.Tasks, results.TaskMetrics{Task: j, FID: Float(v)})
		}
		r.Evaluations = append(r.Evaluations, e)
	}
	return r
}

// ManyClasses is [MadeUp] with one seed, but so many classes in so many tasks, of equal size but for the last, with long names.
// Sheets are those of images of 4×4 pixels.
func ManyClasses(classes, tasks int) []*results.Run {
	per := (classes + tasks - 1) / tasks
	var runs []*results.Run
	for k, name := range []string{"finetune", "er", "joint"} {
		r := NewRun(name, name, 0, 0)
		r.Benchmark.Dataset, r.Benchmark.ClassNames = "flowers", nil
		for c := range classes {
			r.Benchmark.ClassNames = append(r.Benchmark.ClassNames, fmt.Sprintf("%s rose no. %d", []string{"wild", "garden", "climbing"}[c%3], c))
		}
		for from := 0; from < classes; from += per {
			t := results.Task{Train: 12 * per, Test: 3 * per}
			names := r.Benchmark.ClassNames[from:min(from+per, classes)]
			for c := range names {
				t.Classes = append(t.Classes, from+c)
			}
			t.Name = strings.Join(names, " + ")
			r.Benchmark.Tasks = append(r.Benchmark.Tasks, t)
		}
		n := len(r.Benchmark.Tasks)
		for after := range n {
			if name == "joint" && after < n-1 {
				continue
			}
			e := results.Evaluation{AfterTask: after, Step: 100 * (after + 1), Sheet: fmt.Sprintf("samples/after_task_%d.png", after)}
			for j := range n {
				fid := 40 + 5*math.Sin(float64(3*j+k)) + float64(max(after-j, 0))*20/float64(1+k)
				if j > after {
					fid = 600
				}
				e.Tasks = append(e.Tasks, results.TaskMetrics{Task: j, N: 200, FID: Float(fid), ClassAccuracy: Float(math.Max(0.01, 1-fid/700)), Vendi: Float(1 + 500/fid), FLD: Float(fid / 4)})
			}
			e.Union = results.UnionMetrics{N: 600, FID: Float(50), ClassAccuracy: Float(0.5)}
			r.Evaluations = append(r.Evaluations, e)
		}
		for step := 10; step <= 100*n; step += 10 * max(1, n/10) {
			r.Losses = append(r.Losses, results.LossPoint{Step: step, Task: (step - 1) / 100, Loss: 0.05 + 1/float64(1+(step-1)%100)})
		}
		r.Cost.TrainSeconds = 60
		runs = append(runs, r)
	}
	return runs
}
