package dynamics

import (
	"math"

	"github.com/pkg/errors"
)

// Map is how much was forgotten by one checkpoint: the loss of old tasks over its level when they had just been learned,
// in one kind of loss. Arrays are [old task, t].
type Map struct {
	Axes
	What       string     // "eps", "x0" or "v"
	Old        []int      // tasks whose learning ended before the checkpoint
	Weights    []float64  // what each of them counts in a mean over old tasks; nil: all alike
	Learned    []int      // checkpoint that ended the learning of each, as an index
	At         Checkpoint // the map's own
	Before     []float64  // loss just learned
	After      []float64  // loss at the checkpoint
	Increase   []float64  // After - Before
	Relative   []float64  // Increase/Before; NaN where Before is 0
	IncreaseSE []float64  // of Increase from both losses' standard errors as if independent: an upper bound where, with images and noise the same, they rise and fall together; [Snapshot.Increase] has the paired one
}

// Map compares checkpoint i with the levels just learned, in losses of what ("eps", "x0" or "v"). Before the second task
// there is no old task, and the map is empty.
func (s *Series) Map(what string, i int) (*Map, error) {
	if i < 0 || i >= len(s.Checkpoints) {
		return nil, errors.Errorf("dynamics: checkpoint %d; the series has %d", i, len(s.Checkpoints))
	}
	mean, se, err := s.Mean(what)
	if err != nil {
		return nil, err
	}
	m := &Map{Axes: s.Axes, What: what, At: s.Checkpoints[i]}
	for task := range s.Checkpoints[i].Task {
		learned := s.LearnedAt(task)
		if learned < 0 {
			continue // never measured while it was learned
		}
		m.Old, m.Learned = append(m.Old, task), append(m.Learned, learned)
		for k := range s.Timesteps {
			b, a := s.index(learned, task, k), s.index(i, task, k)
			m.Before, m.After = append(m.Before, mean[b]), append(m.After, mean[a])
			increase, relative := mean[a]-mean[b], math.NaN()
			if mean[b] > 0 {
				relative = increase / mean[b]
			}
			m.Increase, m.Relative = append(m.Increase, increase), append(m.Relative, relative)
			m.IncreaseSE = append(m.IncreaseSE, math.Hypot(se[a], se[b]))
		}
	}
	m.Weights = weightsOf(s.TaskWeights, m.Old)
	return m, nil
}

// index is the place of a task's loss at timestep number k.
func (s *Series) index(checkpoint, task, k int) int {
	return (checkpoint*len(s.Tasks)+task)*len(s.Timesteps) + k
}

// Course says when along training forgetting happened, up to a map's checkpoint. Arrays are [old task, t]. An increase
// between checkpoints is interpolated linearly.
type Course struct {
	Map       *Map
	HalfStep  []float64 // first step at which half of the map's increase is reached; NaN where the map's is not positive
	Peak      []float64 // largest increase at any checkpoint since the task was learned, at least 0
	PeakStep  []int     // step of that checkpoint
	Recovered []float64 // share of Peak that is gone at the map's checkpoint, at most 1 unless the loss fell below the level just learned; NaN where Peak is 0
}

// Course follows the increases that lead to checkpoint i, in losses of what.
func (s *Series) Course(what string, i int) (*Course, error) {
	m, err := s.Map(what, i)
	if err != nil {
		return nil, err
	}
	mean, _, err := s.Mean(what)
	if err != nil {
		return nil, err
	}
	c := &Course{Map: m}
	for j, task := range m.Old {
		for k := range s.Timesteps {
			place := j*len(s.Timesteps) + k
			learned, final := m.Learned[j], m.Increase[place]
			half, peak, peakStep := math.NaN(), 0.0, s.Checkpoints[learned].Step
			before := 0.0
			for n := learned + 1; n <= i; n++ {
				increase := mean[s.index(n, task, k)] - m.Before[place]
				if final > 0 && math.IsNaN(half) && increase >= final/2 {
					from, to := float64(s.Checkpoints[n-1].Step), float64(s.Checkpoints[n].Step)
					half = from + (to-from)*(final/2-before)/(increase-before)
				}
				if increase > peak {
					peak, peakStep = increase, s.Checkpoints[n].Step
				}
				before = increase
			}
			recovered := math.NaN()
			if peak > 0 {
				recovered = 1 - final/peak
			}
			c.HalfStep, c.Peak = append(c.HalfStep, half), append(c.Peak, peak)
			c.PeakStep, c.Recovered = append(c.PeakStep, peakStep), append(c.Recovered, recovered)
		}
	}
	return c, nil
}

// Spared is the share of a reference's forgetting that m does without, 1 - m.Increase/reference.Increase, [old task, t]:
// which timesteps recover under rehearsal, the reference being fine-tuning. 1 is no forgetting, 0 as much, below 0 more.
// It is NaN where the reference's increase is not above z of its standard errors. Both maps must be of one probe, one
// loss and the same old tasks.
func (m *Map) Spared(reference *Map, z float64) ([]float64, error) {
	if !m.Axes.Equal(reference.Axes) || m.What != reference.What || len(m.Increase) != len(reference.Increase) {
		return nil, errors.New("dynamics: the maps are of different probes, losses or tasks; measure both runs with one probe at the same tasks")
	}
	for j := range m.Old {
		if m.Old[j] != reference.Old[j] {
			return nil, errors.Errorf("dynamics: the maps have old tasks %d and %d; need the same", m.Old, reference.Old)
		}
	}
	spared := make([]float64, len(m.Increase))
	for i, r := range reference.Increase {
		spared[i] = math.NaN()
		if r > z*reference.IncreaseSE[i] && r > 0 {
			spared[i] = 1 - m.Increase[i]/r
		}
	}
	return spared, nil
}
