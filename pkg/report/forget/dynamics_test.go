package forget

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/figure/figuretest"
	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// madeUpDynamics is madeUp with invented series and autopsies of all but joint training. The relative increase of an old
// task's loss is (1 - keep)·rise(t) at the end of training, so that a strategy spares finetune's by keep at every t.
func madeUpDynamics(seeds int) *Dynamics {
	d := &Dynamics{from: "made up", series: map[*results.Run]*dynamics.Series{}, autopsies: map[*results.Run]*dynamics.Autopsy{}}
	runs := resultstest.MadeUp(seeds)
	for _, r := range runs {
		if keep, ok := map[string]float64{"finetune": 0, "er λ=1": 0.9, "er λ=0.3": 0.7}[r.Strategy.Label]; ok {
			d.series[r] = madeUpSeries(r.Seed, keep)
			d.autopsies[r] = madeUpAutopsy(r.Seed, keep)
		}
	}
	d.Methods = study.Group(runs)
	return d
}

func madeUpAxes(seed uint64) dynamics.Axes {
	g := dynamics.Axes{Tasks: []string{"A", "B", "C"}, Images: 4, Prediction: "eps", Probe: fmt.Sprint("probe ", seed)}
	for t := 50; t < 1000; t += 100 {
		g.Timesteps = append(g.Timesteps, t)
		g.LogSNR = append(g.LogSNR, 5-float64(t)/100)
	}
	return g
}

// rise is finetune's relative increase at the end, by timestep; it differs by seed.
func rise(t int, seed uint64) float64 { return (2 + 0.1*float64(seed)) * float64(t) / 1000 }

func madeUpSeries(seed uint64, keep float64) *dynamics.Series {
	s := &dynamics.Series{Axes: madeUpAxes(seed)}
	const perTask = 4 // probes
	for i := range 3 * perTask {
		s.Checkpoints = append(s.Checkpoints, dynamics.Checkpoint{Step: 25 * (i + 1), Task: i / perTask})
		for task := range s.Tasks {
			learned := (task+1)*perTask - 1
			for _, t := range s.Timesteps {
				loss := 0.4*math.Exp(-float64(t)/300) + 0.01
				switch {
				case i > learned: // straight to the end
					loss *= 1 + (1-keep)*rise(t, seed)*float64(i-learned)/float64(3*perTask-1-learned)
				case i < learned:
					loss *= 1 + 0.5*float64(learned-i)
				}
				s.Loss, s.SE = append(s.Loss, float32(loss)), append(s.SE, float32(loss/1000))
			}
		}
	}
	return s
}

// madeUpAutopsy has a gap of FID of 100·(1 - keep) + seed for task 0, half of that for task 1, of which the network before
// forgetting undoes (T-τ)/T squared at t >= τ, and what is left below τ.
func madeUpAutopsy(seed uint64, keep float64) *dynamics.Autopsy {
	g := madeUpAxes(seed)
	a := &dynamics.Autopsy{Tasks: g.Tasks, T: 1000, Timesteps: g.Timesteps, LogSNR: g.LogSNR}
	for task := range 2 {
		gap := (100*(1-keep) + float64(seed)) / float64(task+1)
		s := dynamics.Stitching{Task: task, Samples: 100, Thresholds: []int{0, 250, 500, 750, 1000}}
		for _, τ := range s.Thresholds {
			undone := math.Pow(1-float64(τ)/1000, 2)
			s.OldHigh.FID = append(s.OldHigh.FID, 40+gap*(1-undone))
			s.OldLow.FID = append(s.OldLow.FID, 40+gap*undone)
			s.OldHigh.ClassAccuracy = append(s.OldHigh.ClassAccuracy, 0.9-gap/200*(1-undone))
			s.OldLow.ClassAccuracy = append(s.OldLow.ClassAccuracy, 0.9-gap/200*undone)
		}
		a.Stitches = append(a.Stitches, s)
		drift := dynamics.TaskDrift{Task: task}
		cross := dynamics.Interference{Task: task + 1}
		for _, t := range g.Timesteps {
			u := float64(t) / 1000
			drift.CKA, drift.Unbiased = append(drift.CKA, 1-0.5*(1-keep)*u), append(drift.Unbiased, 1-(1-keep)*u+0.01*float64(seed))
			cross.Cosine = append(cross.Cosine, 0.4-u+0.1*float64(task)+0.02*float64(seed))
			cross.HalvesOld, cross.HalvesNew = append(cross.HalvesOld, 0.9-0.2*u), append(cross.HalvesNew, 0.8-0.2*u)
		}
		a.Drifts, a.Interference = append(a.Drifts, drift), append(a.Interference, cross)
	}
	return a
}

func TestMadeUpDynamicsAreValid(t *testing.T) {
	d := madeUpDynamics(2)
	if err := d.validate(); err != nil {
		t.Error(err)
	}
	for _, s := range d.series {
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	}
	for _, a := range d.autopsies {
		if err := a.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func nearStat(t *testing.T, what string, got study.Stat, mean, std float64) {
	t.Helper()
	if math.Abs(got.Mean-mean) > 1e-4*math.Max(1, math.Abs(mean)) || math.Abs(got.Std-std) > 1e-4 { // losses are stored as float32
		t.Errorf("%s is %g ± %g, want %g ± %g", what, got.Mean, got.Std, mean, std)
	}
}

func TestRelativeIsThatOfTheSeeds(t *testing.T) {
	d := madeUpDynamics(2)
	for _, c := range []struct {
		label string
		keep  float64
	}{{"finetune", 0}, {"er λ=1", 0.9}} {
		for _, task := range []int{0, 1, AllOld} {
			y, n, err := d.relative(c.label, task)
			if err != nil || n != 2 {
				t.Fatal(n, err)
			}
			for k, at := range madeUpAxes(0).Timesteps {
				a, b := (1-c.keep)*rise(at, 0), (1-c.keep)*rise(at, 1)
				nearStat(t, fmt.Sprintf("%s, task %d at t = %d", c.label, task, at), y[k], (a+b)/2, math.Abs(a-b)/math.Sqrt2)
			}
		}
	}
}

func TestRehearsalSparesWhatItKeeps(t *testing.T) {
	d := madeUpDynamics(2)
	pairs, err := d.pairs("er λ=0.3")
	if err != nil || len(pairs) != 2 {
		t.Fatal(len(pairs), err)
	}
	for _, p := range pairs {
		for _, task := range []int{0, 1, AllOld} {
			spared, err := sparedOf(p, task)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range spared {
				if math.Abs(v-0.7) > 1e-4 {
					t.Errorf("task %d spares %g at timestep number %d, want 0.7", task, v, k)
				}
			}
		}
	}
}

func TestCourseStartsAtZeroAndEndsAtTheMap(t *testing.T) {
	s := madeUpSeries(0, 0)
	y, err := courseOf(s, 0, split(s.Timesteps, 2)) // 9 moments: just learned, and 8 probes of two tasks
	if err != nil || len(y) != 18 {
		t.Fatal(len(y), err)
	}
	for r, want := range []float64{rise(250, 0), rise(750, 0)} { // rise is linear, so its mean is that of the middle
		if y[9*r] != 0 || math.Abs(y[9*r+4]-want/2) > 1e-5 || math.Abs(y[9*r+8]-want) > 1e-5 {
			t.Errorf("range %d runs over %g, want 0 .. %g evenly", r, y[9*r:9*r+9], want)
		}
	}
}

func TestStitchedEndsAreTheNetworksAlone(t *testing.T) {
	a := madeUpAutopsy(0, 0)
	for task, gap := range map[int]float64{0: 100, 1: 50, AllOld: 75} {
		s, err := stitchingOf(a, task, study.FID)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(s.before()-40) > 1e-9 || math.Abs(s.final()-40-gap) > 1e-9 || math.Abs(s.high[2]-40-0.75*gap) > 1e-9 {
			t.Errorf("task %d: %g before, %g final, %g in the middle", task, s.before(), s.final(), s.high[2])
		}
	}
	a.Stitches[0].Thresholds[0] = 10
	if _, err := stitchingOf(a, 0, study.FID); err == nil || !strings.Contains(err.Error(), "need 0 and 1000") {
		t.Errorf("thresholds without a pure end: %v", err)
	}
	if _, err := stitchingOf(a, 1, study.KID); err == nil || !strings.Contains(err.Error(), "KID") {
		t.Errorf("KID of stitched samples: %v", err)
	}
}

// allDynamics are all figures of d, by name.
func allDynamics(t *testing.T, d *Dynamics) map[string]figure.Figure {
	t.Helper()
	out := map[string]figure.Figure{}
	add := func(name string) func(figure.Figure, error) {
		return func(f figure.Figure, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			out[name] = f
		}
	}
	add("timesteps-loss.svg")(d.LossByTimestep("finetune", 0, dynamics.AxisT))
	add("timesteps-last.svg")(d.LossByTimestep("er λ=1", 2, dynamics.AxisLogSNR))
	add("timesteps-forgetting.svg")(d.ForgettingByTimestep(AllOld, dynamics.AxisLogSNR))
	add("timesteps-forgetting-task.svg")(d.ForgettingByTimestep(1, dynamics.AxisT))
	add("timesteps-map.svg")(d.ForgettingMap("finetune", 2, dynamics.AxisLogSNR))
	add("timesteps-map-first.svg")(d.ForgettingMap("er λ=0.3", 1, dynamics.AxisT))
	add("timesteps-course.svg")(d.ForgettingCourse("finetune", 0, 3))
	add("timesteps-recovery.svg")(d.Recovery(AllOld, dynamics.AxisT))
	add("timesteps-stitching.svg")(d.Stitching("finetune", 0))
	add("timesteps-drift.svg")(d.Drift(AllOld, dynamics.AxisT))
	add("timesteps-interference.svg")(d.Interference("finetune", dynamics.AxisT))
	return out
}

// store writes d as a stored study, or as run folders.
func store(t *testing.T, d *Dynamics, folders bool) string {
	t.Helper()
	dir := t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []string{"dynamics", "autopsy"} {
		check(os.MkdirAll(filepath.Join(dir, kind), 0o755))
	}
	for _, g := range d.Methods {
		for _, r := range g.Runs {
			result := filepath.Join(dir, r.Name+".json")
			at := func(file string) string {
				return filepath.Join(dir, strings.TrimSuffix(file, ".json"), r.Name+".json")
			}
			if folders {
				check(os.MkdirAll(filepath.Join(dir, r.Name), 0o755))
				result = filepath.Join(dir, r.Name, "result.json")
				at = func(file string) string { return filepath.Join(dir, r.Name, file) }
			}
			check(r.Save(result))
			if s := d.series[r]; s != nil {
				check(s.Save(at(results.DynamicsFile)))
			}
			if a := d.autopsies[r]; a != nil {
				check(a.Save(at(results.AutopsyFile)))
			}
		}
	}
	return dir
}

func TestOpenDynamics(t *testing.T) {
	want := madeUpDynamics(2)
	for _, folders := range []bool{false, true} {
		d, err := Open(store(t, want, folders))
		if err != nil {
			t.Fatal(err)
		}
		labels := []string{"finetune", "er λ=0.3", "er λ=1"}
		if !slices.Equal(d.Strategies(), labels) || !slices.Equal(d.Dissected(), labels) || len(d.Methods) != 4 {
			t.Errorf("folders %t: probed %q, dissected %q of %d methods", folders, d.Strategies(), d.Dissected(), len(d.Methods))
		}
		if got := d.OldTasks(); len(got) != 2 || got[0] != "1: T-shirt/top + Trouser" {
			t.Errorf("old tasks %q", got)
		}
		a, err := want.Recovery(AllOld, dynamics.AxisT)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := d.Recovery(AllOld, dynamics.AxisT); err != nil || a.SVG() != b.SVG() {
			t.Errorf("folders %t: a stored study draws another figure than the one kept in memory (%v)", folders, err)
		}
	}
}

// Studies that are drawn alike share looks and scales, which each alone would choose otherwise; their curves stay their own.
func TestStudiesAreDrawnAlike(t *testing.T) {
	first := madeUpDynamics(2)
	second := madeUpDynamics(1)
	second.Methods = slices.DeleteFunc(second.Methods, func(g study.Method) bool { return g.Label != "er λ=1" })
	alone := []string{store(t, first, false), store(t, second, false)}
	all, err := OpenAlike(alone...)
	if err != nil {
		t.Fatal(err)
	}
	small, err := Open(alone[1])
	if err != nil {
		t.Fatal(err)
	}
	const label = "er λ=1"
	if a, b := all[0].look(label), all[1].look(label); a.Colour != b.Colour || a.Colour != first.look(label).Colour || a.Colour == small.look(label).Colour {
		t.Errorf("%s is drawn in %v and %v; alone in %v and %v", label, a.Colour, b.Colour, first.look(label).Colour, small.look(label).Colour)
	}
	limit := func(d *Dynamics) float64 {
		v, err := d.mapLimit()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if a, b := limit(all[0]), limit(all[1]); a != b || a != limit(first) || a <= limit(small) {
		t.Errorf("scales of maps end at %g and %g; alone at %g and %g", a, b, limit(first), limit(small))
	}
	figures := []*figuretest.Drawing{read(t)(all[0].ForgettingByTimestep(AllOld, dynamics.AxisT)), read(t)(all[1].ForgettingByTimestep(AllOld, dynamics.AxisT))}
	ticks := func(d *figuretest.Drawing) []string { return d.Panels[0].Text(figure.TickSize) }
	if !slices.Equal(ticks(figures[0]), ticks(figures[1])) {
		t.Errorf("axes run along %q and %q", ticks(figures[0]), ticks(figures[1]))
	}
	if l := figures[1].Legend(); len(l) != 1 || len(figures[0].Legend()) != 3 {
		t.Errorf("legends of %d and %d", len(figures[0].Legend()), len(l))
	}
	follows(t, label, figures[1].Panels[0], figures[1].Legend()[label], 1.8, timesteps(), func(x float64) float64 { return 100 * (1 - kept[label]) * riseOf(int(x), 1) })
	if _, err := OpenAlike(alone[0], t.TempDir()); err == nil {
		t.Error("a folder without runs is no error")
	}
}

// A run that was extended lies in the folder of its study and learned more tasks: it is left out, by name, and the others are as without it.
func TestExtendedRunIsLeftOut(t *testing.T) {
	d := madeUpDynamics(1)
	dir := store(t, d, true)
	var r results.Run
	var a dynamics.Autopsy
	for _, m := range d.Methods {
		if m.Label == study.Finetune {
			r, a = *m.Runs[0], *d.autopsies[m.Runs[0]]
		}
	}
	longer := len(r.Benchmark.Tasks) + 1
	r.Name += "-extended"
	r.Benchmark.Tasks = append(slices.Clone(r.Benchmark.Tasks), results.Task{Name: "later", Classes: []int{8, 9}})
	a.Tasks = append(slices.Clone(a.Tasks), "later")
	folder := filepath.Join(dir, r.Name)
	if err := errors.Join(os.Mkdir(folder, 0o755), r.Save(filepath.Join(folder, "result.json")), a.Save(filepath.Join(folder, results.AutopsyFile))); err != nil {
		t.Fatal(err)
	}
	got, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("run %s is left out: it learned %d tasks, the others %d", r.Name, longer, longer-1); !slices.Equal(got.Without, []string{want}) {
		t.Errorf("left out: %q, want %q", got.Without, want)
	}
	if len(got.Methods) != len(d.Methods) || len(got.Dissected()) != len(d.Dissected()) {
		t.Errorf("%d methods, dissected %q", len(got.Methods), got.Dissected())
	}
}

func TestOpenDynamicsErrors(t *testing.T) {
	nothing := madeUpDynamics(1)
	clear(nothing.series)
	clear(nothing.autopsies)
	if _, err := Open(store(t, nothing, false)); err == nil || !strings.Contains(err.Error(), "--set probe.every=50 --set autopsy.images=32") {
		t.Errorf("runs that were not probed: %v", err)
	}
	other := madeUpDynamics(1)
	for _, s := range other.series {
		s.Timesteps[0]++
		break
	}
	if _, err := Open(store(t, other, false)); err == nil || !strings.Contains(err.Error(), "other tasks or timesteps") {
		t.Errorf("runs probed at different timesteps: %v", err)
	}
	dir := store(t, madeUpDynamics(1), false)
	if err := os.WriteFile(filepath.Join(dir, "autopsy", "finetune-seed0.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "finetune-seed0.json") {
		t.Errorf("a broken autopsy: %v", err)
	}
}

func TestDynamicsErrorsSayWhatToDo(t *testing.T) {
	d := madeUpDynamics(1)
	unprobed, noFinetune := madeUpDynamics(1), madeUpDynamics(1)
	clear(unprobed.series)
	clear(unprobed.autopsies)
	noFinetune.Methods = noFinetune.Methods[1:]
	for want, of := range map[string]func() (figure.Figure, error){
		`no strategy "er"`:     func() (figure.Figure, error) { return d.LossByTimestep("er", 0, dynamics.AxisT) },
		"need 0 .. 2":          func() (figure.Figure, error) { return d.LossByTimestep("finetune", 3, dynamics.AxisT) },
		`axis "x"`:             func() (figure.Figure, error) { return d.ForgettingByTimestep(AllOld, "x") },
		"need 0 .. 1":          func() (figure.Figure, error) { return d.ForgettingByTimestep(2, dynamics.AxisT) },
		"need 1 .. 2":          func() (figure.Figure, error) { return d.ForgettingMap("finetune", 0, dynamics.AxisT) },
		"one task's":           func() (figure.Figure, error) { return d.ForgettingCourse("finetune", AllOld, 3) },
		"11 ranges":            func() (figure.Figure, error) { return d.ForgettingCourse("finetune", 0, 11) },
		"no run of joint":      func() (figure.Figure, error) { return d.LossByTimestep("joint", 0, dynamics.AxisT) },
		"probe.every":          func() (figure.Figure, error) { return unprobed.ForgettingByTimestep(AllOld, dynamics.AxisT) },
		"autopsy.images":       func() (figure.Figure, error) { return unprobed.Drift(AllOld, dynamics.AxisT) },
		"add finetune":         func() (figure.Figure, error) { return noFinetune.Recovery(AllOld, dynamics.AxisT) },
		"has an autopsy; `go":  func() (figure.Figure, error) { return unprobed.Stitching("finetune", 0) },
		"no run of finetune i": func() (figure.Figure, error) { return unprobed.Interference("finetune", dynamics.AxisT) },
	} {
		if _, err := of(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want one with %q", err, want)
		}
	}
}

// dynamicsFindings are all sentences about d.
func dynamicsFindings(t *testing.T, d *Dynamics) string {
	t.Helper()
	var out []string
	for _, of := range []func() ([]string, error){
		d.ForgettingFindings, d.CourseFindings, d.RecoveryFindings, d.StitchingFindings, d.DriftFindings, d.InterferenceFindings,
	} {
		sentences, err := of()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, append(sentences, "")...)
	}
	return strings.Join(out, "\n")
}

// Findings must follow the numbers, whichever way they come out.
func TestFindingsFollowTheNumbers(t *testing.T) {
	d := madeUpDynamics(3)
	for _, a := range d.autopsies { // exchange the halves: now the cleaner one carries the forgetting
		for i := range a.Stitches {
			s := &a.Stitches[i]
			n := len(s.Thresholds)
			high, low := slices.Clone(s.OldHigh.FID), slices.Clone(s.OldLow.FID)
			for k := range n {
				s.OldHigh.FID[k], s.OldLow.FID[k] = low[n-1-k], high[n-1-k]
			}
		}
	}
	// high[k] is now 40 + gap·(τ/T)², so at τ = 500 the noisier half undoes 3/4.
	sentences, err := d.StitchingFindings()
	if err != nil || !strings.Contains(sentences[0], "back at t ≥ 500, 75 ± 0 %") || !strings.Contains(sentences[0], "noisier half carries more") {
		t.Errorf("noisier half: %q, %v", sentences, err)
	}
	if sentences, err = madeUpDynamics(3).StitchingFindings(); err != nil || !strings.Contains(sentences[0], "back at t ≥ 500, 25 ± 0 %") || !strings.Contains(sentences[0], "cleaner half carries more") {
		t.Errorf("cleaner half: %q, %v", sentences, err)
	}
	none := madeUpDynamics(2)
	for _, a := range none.autopsies {
		for i := range a.Stitches {
			for k := range a.Stitches[i].Thresholds {
				a.Stitches[i].OldHigh.FID[k], a.Stitches[i].OldLow.FID[k] = 40, 40
			}
		}
	}
	if sentences, err = none.StitchingFindings(); err != nil || !strings.Contains(sentences[0], "in the autopsy's samples") || !strings.Contains(sentences[0], "no forgetting to locate in them") {
		t.Errorf("no gap: %q, %v", sentences, err)
	}
}

func TestMeansOverOldTasksTakeWeights(t *testing.T) {
	// Two old tasks at two timesteps, of which the second has three times the images; one value is not known.
	got := ofTask([]float64{1, math.NaN(), 5, 7}, AllOld, 2, []float64{1, 3})
	if got[0] != 4 || got[1] != 7 {
		t.Errorf("%v, want 4 and 7", got)
	}
	m := averageMap(&dynamics.Map{Axes: dynamics.Axes{Timesteps: []int{1}}, Old: []int{0, 1}, Weights: []float64{1, 3},
		Increase: []float64{1, 5}, IncreaseSE: []float64{4, 4}})
	if m.Increase[0] != 4 || math.Abs(m.IncreaseSE[0]-math.Hypot(1, 3)) > 1e-12 {
		t.Errorf("increase %v ± %v, want 4 ± √10", m.Increase, m.IncreaseSE)
	}
}
