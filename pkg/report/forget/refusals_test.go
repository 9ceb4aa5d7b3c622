package forget

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure/figuretest"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
)

// Means over old tasks are those of what is known, each by its weight, whatever is missing: against a loop over all values.
func TestOfTaskAgainstALoop(t *testing.T) {
	r := rand.New(rand.NewPCG(61, 62))
	for range 300 {
		tasks, n := 1+r.IntN(4), 1+r.IntN(5)
		values, weights := make([]float64, tasks*n), make([]float64, tasks)
		for i := range values {
			if values[i] = r.NormFloat64(); r.IntN(4) == 0 {
				values[i] = math.NaN()
			}
		}
		for i := range weights {
			weights[i] = 0.1 + r.Float64()
		}
		given := weights
		if r.IntN(2) == 0 {
			given = nil
		}
		for k, got := range ofTask(values, AllOld, n, given) {
			sum, total := 0.0, 0.0
			for task := range tasks {
				if v := values[task*n+k]; !math.IsNaN(v) {
					w := 1.0
					if given != nil {
						w = weights[task]
					}
					sum, total = sum+w*v, total+w
				}
			}
			if want := sum / total; math.Abs(got-want) > 1e-12 || math.IsNaN(got) != (total == 0) {
				t.Fatalf("of %v with weights %v: %g at place %d, want %g", values, given, got, k, want)
			}
		}
		task := r.IntN(tasks)
		if one := ofTask(values, task, n, given); len(one) != n || !slices.EqualFunc(one, values[task*n:][:n], func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }) {
			t.Fatalf("task %d of %v is %v", task, values, one)
		}
	}
}

// The mean map's standard errors are those of a mean of independent numbers, by drawing them.
func TestAverageMapErrors(t *testing.T) {
	m := &dynamics.Map{Axes: dynamics.Axes{Timesteps: []int{1, 2}}, Old: []int{0, 1, 2}, Weights: []float64{1, 2, 5},
		Increase: []float64{1, 2, 3, 4, 5, 6}, IncreaseSE: []float64{0.4, 1, 2, 0.1, 0.3, 0.2}}
	got := averageMap(m)
	r := rand.New(rand.NewPCG(63, 64))
	const draws = 1 << 16 // relative standard error of a deviation 1/sqrt(2n), 0.3 %; tolerance five of them
	for k := range 2 {
		var sum, squares float64
		for range draws {
			mean := 0.0
			for task, w := range m.Weights {
				mean += w / 8 * (m.Increase[task*2+k] + m.IncreaseSE[task*2+k]*r.NormFloat64())
			}
			sum, squares = sum+mean, squares+mean*mean
		}
		mean := sum / draws
		sd := math.Sqrt(squares/draws - mean*mean)
		if math.Abs(got.IncreaseSE[k]/sd-1) > 0.015 || math.Abs(got.Increase[k]-mean) > 5*sd/math.Sqrt(draws) {
			t.Errorf("at place %d: %g ± %g, drawn %g ± %g", k, got.Increase[k], got.IncreaseSE[k], mean, sd)
		}
	}
}

// What does not go together is refused, whoever asks, and the error says what to do.
func TestMeasurementsThatDoNotGoTogether(t *testing.T) {
	one := func(d *Dynamics, label string, seed uint64) *results.Run {
		for r := range d.series {
			if r.Strategy.Label == label && r.Seed == seed {
				return r
			}
		}
		t.Fatalf("no run of %s with seed %d", label, seed)
		return nil
	}
	for want, of := range map[string]func(d *Dynamics) error{
		"remove the file that is not its own": func(d *Dynamics) error {
			d.series[one(d, "finetune", 0)].Tasks = []string{"A", "B"}
			return d.validate()
		},
		"other tasks or timesteps than those before it": func(d *Dynamics) error {
			d.series[one(d, "er λ=1", 1)].LogSNR[3] += 1
			return d.validate()
		},
		"other tasks, timesteps or thresholds": func(d *Dynamics) error {
			d.autopsies[one(d, "er λ=1", 1)].Stitches[0].Thresholds[1]++
			return d.validate()
		},
		"probed at different steps": func(d *Dynamics) error {
			d.series[one(d, "finetune", 1)].Checkpoints[11].Step++
			_, err := d.ForgettingCourse("finetune", 0, 2)
			return err
		},
		"gradients of different tasks": func(d *Dynamics) error {
			d.autopsies[one(d, "finetune", 1)].Interference[0].Task = 2
			_, err := d.Interference("finetune", dynamics.AxisT)
			return err
		},
		"the gradients' interference was not measured": func(d *Dynamics) error {
			d.autopsies[one(d, "finetune", 0)].Interference = nil
			_, err := d.InterferenceFindings()
			return err
		},
		"no drift was measured": func(d *Dynamics) error {
			d.autopsies[one(d, "finetune", 0)].Drifts = nil
			_, err := d.DriftFindings()
			return err
		},
		"an autopsy without stitching has nothing to show": func(d *Dynamics) error {
			d.autopsies[one(d, "finetune", 0)].Stitches = nil
			_, err := d.StitchingFindings()
			return err
		},
		"task 2 was not stitched": func(d *Dynamics) error {
			a := d.autopsies[one(d, "finetune", 0)]
			a.Stitches = a.Stitches[:1]
			_, err := d.Stitching("finetune", 1)
			return err
		},
		"let the run finish": func(d *Dynamics) error {
			s := d.series[one(d, "finetune", 0)]
			s.Checkpoints, s.Loss, s.SE = s.Checkpoints[:8], s.Loss[:8*30], s.SE[:8*30]
			_, err := d.ForgettingFindings()
			return err
		},
		"run both with the same seeds": func(d *Dynamics) error {
			for _, g := range d.Methods {
				if g.Name() == study.Finetune {
					for _, r := range g.Runs {
						r.Seed += 100
					}
				}
			}
			_, err := d.RecoveryFindings()
			return err
		},
		"no strategy but finetune": func(d *Dynamics) error {
			d.Methods = d.Methods[:1]
			_, err := d.RecoveryFindings()
			return err
		},
	} {
		if err := of(madeUpDynamics(2)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, have %v", want, err)
		}
	}
}

// A seed without measurements is left out, and the caption says how many there were.
func TestSeedsWithoutMeasurements(t *testing.T) {
	d := madeUpDynamics(3)
	for r := range d.series {
		if r.Strategy.Label == "finetune" && r.Seed == 2 {
			delete(d.series, r)
			delete(d.autopsies, r)
		}
	}
	f, err := d.LossByTimestep("finetune", 0, dynamics.AxisT)
	if err != nil || !strings.Contains(f.Caption, "Mean over 2 seeds") {
		t.Errorf("%q, %v", f.Caption, err)
	}
	y, n, err := d.relative("finetune", AllOld)
	if err != nil || n != 2 {
		t.Fatalf("%d seeds, %v", n, err)
	}
	for k, at := range madeUpAxes(0).Timesteps {
		nearStat(t, fmt.Sprint("t = ", at), y[k], riseOf(at, 2), math.Abs(rise(at, 0)-rise(at, 1))/math.Sqrt2)
	}
	for r := range d.series {
		if r.Strategy.Label == "er λ=1" {
			delete(d.series, r)
		}
	}
	if got := d.Strategies(); !slices.Equal(got, []string{"finetune", "er λ=0.3"}) {
		t.Errorf("probed are %q", got)
	}
	if got := d.Dissected(); !slices.Equal(got, []string{"finetune", "er λ=0.3", "er λ=1"}) {
		t.Errorf("dissected are %q", got)
	}
}

// Where finetune forgets no more than two of its standard errors there is nothing to spare: no point there, and no figure where that
// is everywhere.
func TestNothingToSpare(t *testing.T) {
	d := madeUpDynamics(2)
	for r, s := range d.series {
		if r.Strategy.Label != "finetune" {
			continue
		}
		for i := range s.SE {
			if at := s.Timesteps[i%len(s.Timesteps)]; at < 500 {
				s.SE[i] = 10 // far more than any loss
			}
		}
	}
	p := read(t)(d.Recovery(0, dynamics.AxisT)).Panels[0]
	lines := p.Lines(t, hexOf(d.look("er λ=1").Colour), 1.8)
	if len(lines) != 1 || len(lines[0]) != 5 || lines[0][0].X < 500 {
		t.Errorf("points at %v; want those from t = 550 on", lines)
	}
	for _, s := range d.series {
		for i := range s.SE {
			s.SE[i] = 10
		}
	}
	f, err := d.Recovery(0, dynamics.AxisT)
	if err != nil || !strings.Contains(f.Caption, "forgets nothing here beyond its standard errors") {
		t.Errorf("%q, %v", f.Caption, err)
	}
	sentences, err := d.RecoveryFindings()
	if err != nil || !strings.Contains(sentences[0], "nothing measurable at t = 50–250") || !strings.Contains(sentences[len(sentences)-1], "none of them at t = 50–250") {
		t.Errorf("%q, %v", sentences, err)
	}
}

// Noise beyond what the axis shows is cut off: it goes from -100 to 200 % at most, with rules at 0 and 100.
func TestRecoveryCutsNoiseOff(t *testing.T) {
	d := madeUpDynamics(1)
	for r, s := range d.series {
		if r.Strategy.Label != "er λ=1" {
			continue
		}
		for i := len(s.Loss) - 30; i < len(s.Loss); i++ {
			s.Loss[i] *= []float32{20, 0.01, 1}[i%3]
		}
	}
	p := read(t)(d.Recovery(AllOld, dynamics.AxisT)).Panels[0]
	_, y := p.Axes(t)
	low, high := y.Value(p.Low.Y), y.Value(p.High.Y)
	if low < -190 || high > 220 {
		t.Errorf("the panel goes from %g to %g", low, high)
	}
	var rules []float64
	for _, s := range p.Shapes {
		if len(s.Points) == 2 && s.Points[0].Y == s.Points[1].Y && math.Abs(s.Opacity-0.55) < 0.01 && s.Points[1].X-s.Points[0].X > 200 {
			rules = append(rules, math.Round(y.Value(s.Points[0].Y)))
		}
	}
	if !slices.Contains(rules, 0) || !slices.Contains(rules, 100) {
		t.Errorf("rules at %v", rules)
	}
}

// Tasks that seeds learned in different orders have numbers and no names.
func TestNamesOfTasks(t *testing.T) {
	d := madeUpDynamics(2)
	if got := d.Tasks(); got[0] != "1: T-shirt/top + Trouser" || len(got) != 3 {
		t.Errorf("%q", got)
	}
	d.Methods[1].Runs[1].Benchmark.Tasks[0].Name = "another"
	if got := d.Tasks(); got[0] != "task 1" || got[1] != "2: Pullover + Dress" {
		t.Errorf("of seeds in different orders: %q", got)
	}
	if d.title(AllOld) != "mean over old tasks" || d.title(1) != "task 2: Pullover + Dress" {
		t.Errorf("%q, %q", d.title(AllOld), d.title(1))
	}
}

// The scale above a map is labelled with the changes at its ends, its middle and its quarters.
func TestScaleOfTheMap(t *testing.T) {
	d := madeUpDynamics(2)
	limit, err := d.mapLimit()
	if err != nil {
		t.Fatal(err)
	}
	drawing := read(t)(d.ForgettingMap("finetune", 2, dynamics.AxisT))
	var scale []string
	for _, text := range drawing.Before.Texts {
		if strings.HasSuffix(text.Words, " %") || text.Words == "0" && text.At.Y > drawing.Height-40 {
			scale = append(scale, text.Words)
		}
	}
	var want []string
	for _, at := range []float64{-1, -0.5, 0, 0.5, 1} {
		want = append(want, changeText(math.Exp(limit*at)-1))
	}
	if !slices.Equal(scale, want) {
		t.Errorf("the scale is labelled %q, want %q", scale, want)
	}
	if math.Abs(math.Exp(limit)-4) > 1e-9 { // the largest cell is a factor of 1 + 2.05·0.95, which 4 is the next round ratio to
		t.Errorf("the scale ends at a factor of %g", math.Exp(limit))
	}
	var shades []figuretest.Shape
	for _, s := range drawing.Before.Shapes {
		if s.Area && s.Points[1].X-s.Points[0].X < 10 {
			shades = append(shades, s)
		}
	}
	if len(shades) != 44 || shades[0].Colour == shades[43].Colour {
		t.Errorf("%d shades", len(shades))
	}
}
