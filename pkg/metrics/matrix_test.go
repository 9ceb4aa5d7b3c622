package metrics

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

var nan = math.NaN()

// triangle is a 3-task matrix of a metric where lower is better. Task 0 goes 10, 8, 20 and task 1
// 12, 13; before it was learned task 1 stood at 40 and task 2 at 60 and 50.
func triangle() *Matrix {
	return &Matrix{Name: "fid", Direction: LowerIsBetter, R: Cells{{10, 40, 60}, {8, 12, 50}, {20, 13, 9}}}
}

func TestMatrixLowerIsBetter(t *testing.T) {
	m := triangle()
	near(t, "final", m.Final(), (20+13+9)/3.0, 1e-12)
	near(t, "average incremental", m.AverageIncremental(), (10+(8+12)/2.0+14)/3, 1e-12)
	f := m.Forgetting()
	near(t, "forgetting since learned", f.SinceLearned, ((20-10)+(13-12))/2.0, 1e-12)
	near(t, "forgetting since best", f.SinceBest, ((20-8)+(13-12))/2.0, 1e-12)
}

func TestMatrixHigherIsBetter(t *testing.T) {
	// The same numbers, negated, of a metric where higher is better: all summaries of change agree.
	m, n := triangle(), NewMatrix("accuracy", HigherIsBetter, 3)
	for i, row := range m.R {
		for j, v := range row {
			n.R[i][j] = -v
		}
	}
	near(t, "final", n.Final(), -m.Final(), 1e-12)
	if n.Forgetting() != m.Forgetting() {
		t.Errorf("forgetting %+v, want %+v", n.Forgetting(), m.Forgetting())
	}
	// And in plain numbers: accuracy 0.9 that falls to 0.2 is forgetting of 0.7.
	acc := &Matrix{Direction: HigherIsBetter, R: Cells{{0.9, nan}, {0.2, 0.8}}}
	near(t, "forgetting of accuracy", acc.Forgetting().SinceLearned, 0.7, 1e-12)
}

func TestForgettingCountsFromLearning(t *testing.T) {
	// Task 1 stood at 1 by luck before it was learned: what was not learned cannot be forgotten.
	m := &Matrix{R: Cells{{10, 1, nan}, {10, 12, nan}, {10, 13, 9}}}
	if f := m.TaskForgetting(1); f.SinceBest != 1 || f.SinceLearned != 1 {
		t.Errorf("forgetting %+v, want 1 and 1", f)
	}
}

func TestMatrixImprovement(t *testing.T) {
	// Task 0 gets better later on: negative forgetting since learned.
	m := &Matrix{R: Cells{{10, nan}, {4, 5}}}
	near(t, "forgetting", m.Forgetting().SinceLearned, -6, 1e-12)
}

func TestMatrixNotMeasured(t *testing.T) {
	joint := NewMatrix("fid", LowerIsBetter, 3)
	joint.R[2] = []float64{3, 4, 5}
	near(t, "final of joint", joint.Final(), 4, 1e-12)
	for name, v := range map[string]float64{
		"average incremental": joint.AverageIncremental(), "since learned": joint.Forgetting().SinceLearned,
		"since best": joint.Forgetting().SinceBest,
	} {
		if !math.IsNaN(v) {
			t.Errorf("joint's %s is %g, want not measured", name, v)
		}
	}
	// A skipped middle row hides the best value, but not the value just learned of task 0.
	m := triangle()
	m.R[1][0] = nan
	f := m.TaskForgetting(0)
	near(t, "since learned", f.SinceLearned, 10, 1e-12)
	if !math.IsNaN(f.SinceBest) {
		t.Errorf("since best is %g with a cell not measured, want NaN", f.SinceBest)
	}
	if !math.IsNaN(m.TaskForgetting(2).SinceLearned) {
		t.Error("the last task has a forgetting")
	}
	single := &Matrix{R: Cells{{7}}}
	near(t, "final of one task", single.Final(), 7, 1e-12)
	if !math.IsNaN(single.Forgetting().SinceBest) || !math.IsNaN(NewMatrix("x", LowerIsBetter, 0).Final()) {
		t.Error("one task or none has a forgetting or an average")
	}
}

func TestMatrixJSON(t *testing.T) {
	m := &Matrix{Name: "density", Direction: HigherIsBetter, R: Cells{{1.5, nan}, {0, 2}}}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"density","direction":"higher","r":[[1.5,null],[0,2]]}`
	if string(data) != want {
		t.Errorf("JSON %s, want %s", data, want)
	}
	var back Matrix
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if back.Direction != HigherIsBetter || back.R[0][0] != 1.5 || !math.IsNaN(back.R[0][1]) || back.R[1][0] != 0 {
		t.Errorf("read back %+v", back)
	}
	if err := json.Unmarshal([]byte(strings.Replace(want, "higher", "up", 1)), &back); err == nil {
		t.Error(`direction "up" gave no error`)
	}
}
