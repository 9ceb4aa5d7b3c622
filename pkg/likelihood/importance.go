package likelihood

import (
	"math"
	"math/rand/v2"

	"github.com/pkg/errors"
)

// Importance remembers the last losses of every timestep and draws timesteps in proportion to their root mean square,
// which minimises the variance of a sum over timesteps ([iddpm] section 3.3, LossSecondMomentResampler of its code):
//
//	p_t ∝ sqrt(E[L_t²])
//
// mixed with a little of the uniform distribution. Until every timestep has a full history the draws are uniform.
// It serves training on the bound and [EstimateBPD] alike.
type Importance struct {
	history [][]float64 // [T][up to memory], oldest overwritten first
	seen    []int
	memory  int
	short   int // timesteps whose history is not full
}

// uniformShare of every draw is uniform, so that no timestep's probability vanishes; as in [iddpm]'s code.
const uniformShare = 0.001

// NewImportance remembers the last memory losses ([iddpm]: 10) of each of T timesteps.
func NewImportance(T, memory int) (*Importance, error) {
	if T < 1 || memory < 1 {
		return nil, errors.Errorf("likelihood: a history of %d losses for %d timesteps; need at least 1 of each", memory, T)
	}
	return &Importance{history: make([][]float64, T), seen: make([]int, T), memory: memory, short: T}, nil
}

// Update remembers that a term at timestep t had the given loss, which must be finite.
func (m *Importance) Update(t int, loss float64) error {
	if t < 0 || t >= len(m.history) || math.IsNaN(loss) || math.IsInf(loss, 0) {
		return errors.Errorf("likelihood: loss %g at timestep %d; need a finite loss at 0 .. %d", loss, t, len(m.history)-1)
	}
	if len(m.history[t]) < m.memory {
		m.history[t] = append(m.history[t], loss)
		if len(m.history[t]) == m.memory {
			m.short--
		}
	} else {
		m.history[t][m.seen[t]%m.memory] = loss
	}
	m.seen[t]++
	return nil
}

// Ready tells whether every history is full.
func (m *Importance) Ready() bool { return m.short == 0 }

// Weights are the probabilities of the timesteps, [T], uniform until Ready.
func (m *Importance) Weights() []float64 {
	w := make([]float64, len(m.history))
	sum := 0.0
	if m.Ready() {
		for t, losses := range m.history {
			for _, l := range losses {
				w[t] += l * l
			}
			w[t] = math.Sqrt(w[t] / float64(m.memory))
			sum += w[t]
		}
	}
	for t := range w {
		if sum == 0 {
			w[t] = 1 / float64(len(w))
		} else {
			w[t] = w[t]/sum*(1-uniformShare) + uniformShare/float64(len(w))
		}
	}
	return w
}

// Draw returns n timesteps and for each the factor 1/(T·p_t) that keeps the mean of factor·L_t the mean over timesteps.
func (m *Importance) Draw(random *rand.Rand, n int) (t []int32, factor []float64) {
	w := m.Weights()
	cumulative := cumulate(w)
	t, factor = make([]int32, n), make([]float64, n)
	for i := range n {
		k := pick(cumulative, random)
		t[i], factor[i] = int32(k), 1/(float64(len(w))*w[k])
	}
	return t, factor
}

// WeightsOf are probabilities in proportion to the root mean square over images of a whole bound's terms, [T], mixed
// with the uniform: where to look when a similar model's bound is estimated from few terms.
func WeightsOf(b *Terms) ([]float64, error) {
	if !b.Whole() {
		return nil, errors.Errorf("likelihood: %d of %d timesteps; weights need all", len(b.Timesteps), b.T)
	}
	m, err := NewImportance(b.T, b.N)
	if err != nil {
		return nil, err
	}
	for i := range b.N {
		for t, l := range b.row(i) {
			if err := m.Update(t, float64(l)); err != nil {
				return nil, err
			}
		}
	}
	return m.Weights(), nil
}
