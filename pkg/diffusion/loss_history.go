package diffusion

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/pkg/errors"
)

// LossHistory remembers the last losses of every timestep and draws timesteps in proportion to their root mean square,
// which minimises the variance of a sum over timesteps ([iddpm] section 3.3, LossSecondMomentResampler of its code):
//
//	p_t ∝ sqrt(E[L_t²])
//
// mixed with a little of the uniform distribution. Until every timestep has a full history the draws are uniform.
type LossHistory struct {
	history [][]float64 // [T][up to memory], oldest overwritten first
	seen    []int
	memory  int
	short   int // timesteps whose history is not full
}

// uniformShare of every draw is uniform, so that no timestep's probability vanishes; as in [iddpm]'s code.
const uniformShare = 0.001

// NewLossHistory remembers the last memory losses ([iddpm]: 10) of each of T timesteps.
func NewLossHistory(T, memory int) (*LossHistory, error) {
	if T < 1 || T > maxTimesteps || memory < 1 {
		return nil, errors.Errorf("diffusion: a history of %d losses for %d timesteps; need at least 1 of each, and at most %d timesteps", memory, T, maxTimesteps)
	}
	return &LossHistory{history: make([][]float64, T), seen: make([]int, T), memory: memory, short: T}, nil
}

// Update remembers that a term at timestep t had the given loss, which must be finite.
func (m *LossHistory) Update(t int, loss float64) error {
	if t < 0 || t >= len(m.history) || math.IsNaN(loss) || math.IsInf(loss, 0) {
		return errors.Errorf("diffusion: loss %g at timestep %d; need a finite loss at 0 .. %d", loss, t, len(m.history)-1)
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

// Ready says whether every history is full.
func (m *LossHistory) Ready() bool { return m.short == 0 }

// Weights are the probabilities of the timesteps, [T], uniform until Ready.
func (m *LossHistory) Weights() []float64 {
	w := make([]float64, len(m.history))
	sum := 0.0
	if m.Ready() {
		scale := m.scale()
		for t, losses := range m.history {
			for _, l := range losses {
				l *= scale
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

// scale is a factor under which squares of the losses do not overflow: 1 for all but absurd ones.
func (m *LossHistory) scale() float64 {
	most := 0.0
	for _, losses := range m.history {
		for _, l := range losses {
			most = max(most, math.Abs(l))
		}
	}
	if most < 1e140 {
		return 1
	}
	return 1 / most
}

// Draw returns n timesteps and for each the factor 1/(T·p_t) that keeps the mean of factor·L_t the mean over timesteps.
// It panics if n is negative, or if there are no timesteps, as in the zero value.
func (m *LossHistory) Draw(random *rand.Rand, n int) (t []int32, factor []float64) {
	if n < 0 || len(m.history) == 0 {
		panic(errors.Errorf("diffusion: drawing %d timesteps of %d; need 0 or more, of a history from NewLossHistory", n, len(m.history)))
	}
	w := m.Weights()
	draw := timestepDraw(w)
	t, factor = make([]int32, n), make([]float64, n)
	for i := range n {
		k := draw.Draw(random)
		t[i], factor[i] = int32(k), 1/(float64(len(w))*w[k])
	}
	return t, factor
}

// importanceMagic begins the stored form of a [LossHistory]; a form that reads otherwise gets another number.
const importanceMagic = "palimpsest importance 1\n"

// MarshalBinary returns all that is remembered, little-endian: timesteps and memory as uint32, for each timestep the
// number of losses seen as uint64 and then those remembered as float64 in the order of their places, and a SHA-256 of it
// all. Equal histories give equal bytes.
func (m *LossHistory) MarshalBinary() ([]byte, error) {
	out := []byte(importanceMagic)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(m.history)))
	out = binary.LittleEndian.AppendUint32(out, uint32(m.memory))
	for t, losses := range m.history {
		out = binary.LittleEndian.AppendUint64(out, uint64(m.seen[t]))
		for _, l := range losses {
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(l))
		}
	}
	sum := sha256.Sum256(out)
	return append(out, sum[:]...), nil
}

// UnmarshalBinary replaces what is remembered by what MarshalBinary wrote for as many timesteps and as long a memory.
// Anything else is an error and changes nothing. The receiver must come from [NewLossHistory].
func (m *LossHistory) UnmarshalBinary(data []byte) error {
	const header = len(importanceMagic) + 8
	if len(data) < header+sha256.Size || !bytes.HasPrefix(data, []byte(importanceMagic)) {
		return errors.Errorf("diffusion: %d bytes that do not begin with %q are not the stored losses of timesteps", len(data), importanceMagic)
	}
	content := data[:len(data)-sha256.Size]
	if sum := sha256.Sum256(content); !bytes.Equal(sum[:], data[len(content):]) {
		return errors.New("diffusion: the stored losses of timesteps are damaged: their SHA-256 does not match; restore an earlier checkpoint")
	}
	T, memory := binary.LittleEndian.Uint32(content[header-8:]), binary.LittleEndian.Uint32(content[header-4:])
	if int(T) != len(m.history) || int(memory) != m.memory {
		return errors.Errorf("diffusion: the stored losses are %d each of %d timesteps; this run keeps %d each of %d", memory, T, m.memory, len(m.history))
	}
	restored, err := NewLossHistory(int(T), int(memory))
	if err != nil {
		return err
	}
	words := content[header:]
	word := func() (uint64, bool) {
		if len(words) < 8 {
			return 0, false
		}
		w := binary.LittleEndian.Uint64(words)
		words = words[8:]
		return w, true
	}
	for t := range restored.history {
		seen, ok := word()
		if !ok || seen > math.MaxInt64 {
			return errors.Errorf("diffusion: the stored losses of timestep %d of %d cannot be read", t, T)
		}
		for range min(seen, uint64(memory)) {
			bits, ok := word()
			if !ok {
				return errors.Errorf("diffusion: the stored losses end within timestep %d of %d", t, T)
			}
			if err := restored.Update(t, math.Float64frombits(bits)); err != nil {
				return err
			}
		}
		restored.seen[t] = int(seen)
	}
	if len(words) > 0 {
		return errors.Errorf("diffusion: %d bytes follow the stored losses of %d timesteps", len(words), T)
	}
	*m = *restored
	return nil
}
