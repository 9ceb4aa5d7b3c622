package metrics

import (
	"encoding/json"
	"math"

	"github.com/pkg/errors"
)

// Direction says which way a metric improves.
type Direction int

const (
	LowerIsBetter  Direction = iota // FID, KID, label KL, copies
	HigherIsBetter                  // accuracy, precision, recall, density, coverage
)

// String returns "lower is better" or "higher is better".
func (d Direction) String() string {
	if d == HigherIsBetter {
		return "higher is better"
	}
	return "lower is better"
}

// MarshalText returns "lower" or "higher".
func (d Direction) MarshalText() ([]byte, error) {
	if d == HigherIsBetter {
		return []byte("higher"), nil
	}
	return []byte("lower"), nil
}

// UnmarshalText reads "lower" or "higher".
func (d *Direction) UnmarshalText(text []byte) error {
	switch string(text) {
	case "lower":
		*d = LowerIsBetter
	case "higher":
		*d = HigherIsBetter
	default:
		return errors.Errorf("metrics.Direction: found %q; need \"lower\" or \"higher\"", text)
	}
	return nil
}

// worse returns by how much now is worse than before: positive is worse in either direction.
func (d Direction) worse(now, before float64) float64 {
	if d == HigherIsBetter {
		return before - now
	}
	return now - before
}

// Matrix holds R[i][j], a metric measured after learning task i on task j, for T tasks, [gem].
// NaN is not measured, and so is a cell that a shorter row lacks. Row i may be measured for tasks to come, j > i. A model trained on all
// tasks at once has its last row only.
//
// All summaries below are NaN as soon as one of the cells they need was not measured: an average
// over what happens to be there would not compare.
type Matrix struct {
	Name      string    `json:"name"`
	Direction Direction `json:"direction"`
	R         Cells     `json:"r"`
	// Weights say what each task counts in averages over tasks, [T], as [TaskWeights] has them; nil: all alike.
	Weights []float64 `json:"weights,omitempty"`
}

// Cells is a table of numbers that writes NaN, not measured, as JSON null, and reads it so.
type Cells [][]float64

// NewMatrix returns a matrix for the given number of tasks, nothing measured. It panics if that is negative.
func NewMatrix(name string, direction Direction, tasks int) *Matrix {
	if tasks < 0 {
		panic(errors.Errorf("metrics.NewMatrix: %d tasks; need 0 or more", tasks))
	}
	m := &Matrix{Name: name, Direction: direction, R: make(Cells, tasks)}
	for i := range m.R {
		m.R[i] = make([]float64, tasks)
		for j := range m.R[i] {
			m.R[i][j] = math.NaN()
		}
	}
	return m
}

// Tasks returns T.
func (m *Matrix) Tasks() int { return len(m.R) }

// at returns R[i][j], NaN where row i is too short to have it.
func (m *Matrix) at(i, j int) float64 {
	if j >= len(m.R[i]) {
		return math.NaN()
	}
	return m.R[i][j]
}

// Final returns R[T-1][j] averaged over all tasks by their weights: how good the model is on everything at the
// end, [gem] eq. 2.
func (m *Matrix) Final() float64 {
	return m.rowAverage(m.Tasks() - 1)
}

// AverageIncremental returns the average over i of the average of R[i][j] over the tasks seen by
// then, j <= i: how good the model was all along.
func (m *Matrix) AverageIncremental() float64 {
	sum := 0.0
	for i := range m.R {
		sum += m.rowAverage(i)
	}
	return sum / float64(m.Tasks())
}

// rowAverage averages R[i][j] over j <= i.
func (m *Matrix) rowAverage(i int) float64 {
	if i < 0 || i >= len(m.R[i]) {
		return math.NaN()
	}
	return WeightedMean(m.R[i][:i+1], m.Weights)
}

// Forgetting says how far each task but the last has become worse at the end, on average. It is
// positive where the model got worse, whichever way the metric improves.
type Forgetting struct {
	SinceLearned float64 // against R[j][j], just after task j was learned: the negative of BWT
	SinceBest    float64 // against the best of R[i][j], j <= i < T-1, [rwalk] eq. 3; at least SinceLearned
}

// Forgetting averages [Matrix.TaskForgetting] over the tasks but the last, which could not yet be
// forgotten. It is NaN for fewer than two tasks.
func (m *Matrix) Forgetting() Forgetting {
	tasks := m.Tasks() - 1
	if tasks < 1 {
		return Forgetting{math.NaN(), math.NaN()}
	}
	learned, best := make([]float64, tasks), make([]float64, tasks)
	for j := range tasks {
		f := m.TaskForgetting(j)
		learned[j], best[j] = f.SinceLearned, f.SinceBest
	}
	return Forgetting{WeightedMean(learned, m.Weights), WeightedMean(best, m.Weights)}
}

// TaskForgetting says how much worse task j is after the last task. It is NaN for the last task.
func (m *Matrix) TaskForgetting(j int) Forgetting {
	last := m.Tasks() - 1
	if j < 0 || j >= last {
		return Forgetting{math.NaN(), math.NaN()}
	}
	final := m.at(last, j)
	f := Forgetting{SinceLearned: m.Direction.worse(final, m.at(j, j)), SinceBest: math.Inf(-1)}
	for i := j; i < last; i++ {
		f.SinceBest = math.Max(f.SinceBest, m.Direction.worse(final, m.at(i, j))) // NaN stays
	}
	return f
}

// MarshalJSON writes the rows with null for NaN. An infinite value is an error.
func (g Cells) MarshalJSON() ([]byte, error) {
	rows := make([][]*float64, len(g))
	for i, row := range g {
		rows[i] = make([]*float64, len(row))
		for j, v := range row {
			if !math.IsNaN(v) {
				rows[i][j] = &v
			}
		}
	}
	return json.Marshal(rows)
}

// UnmarshalJSON reads rows with null for NaN.
func (g *Cells) UnmarshalJSON(data []byte) error {
	var rows [][]*float64
	if err := json.Unmarshal(data, &rows); err != nil {
		return errors.Wrap(err, "metrics.Cells: need rows of numbers or null")
	}
	*g = make(Cells, len(rows))
	for i, row := range rows {
		(*g)[i] = make([]float64, len(row))
		for j, v := range row {
			(*g)[i][j] = math.NaN()
			if v != nil {
				(*g)[i][j] = *v
			}
		}
	}
	return nil
}

// Measured returns a pointer to v, or nil if v is NaN or infinite, which JSON has no number for: not measured is null.
func Measured(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
