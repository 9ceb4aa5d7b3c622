package cl

import (
	"cmp"
	"slices"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// MIR is maximally interfered retrieval, [mir]: of Candidates old images drawn from the buffer, a step replays those whose
// loss a step on the fresh rows alone would raise most.
//
//	L = mean(loss_fresh) + Lambda·mean(loss_replay)        replayed: the largest loss(θ - Rate·g) - loss(θ)
//
// g is the gradient of mean(loss_fresh). Both losses of a candidate are at one timestep, drawn uniformly, and one noise; a
// row replayed keeps the timestep, so that interfered noise levels are chosen along with images, which is our reading. A
// step costs a gradient of the fresh rows and two evaluations a candidate more, and the weights are exchanged twice.
type MIR struct {
	Replay     `yaml:",inline"`
	Lambda     float64 `yaml:"lambda"`       // weight of the replayed rows, >= 0; default 1
	Candidates int     `yaml:"candidates"`   // old images compared a step, >= 1; default 16, at least the replay rows are
	Rate       float64 `yaml:"virtual_rate"` // length of the step tried, >= 0; default 0.1, as for plain gradient descent

	gradient *diffusion.LossGradient
}

// NewMIR returns maximally interfered retrieval with its default settings, chosen by us.
func NewMIR() *MIR { return &MIR{Replay: NewReplay(), Lambda: 1, Candidates: 16, Rate: 0.1} }

// Info implements [Strategy].
func (m *MIR) Info() Info {
	return Info{Name: "mir", Title: "maximally interfered retrieval",
		Paper:    "Aljundi et al. 2019, arXiv:1908.04742",
		Equation: "L = mean(loss_fresh) + λ·mean(loss_replay), replayed: largest loss(θ-η·g)-loss(θ) of the candidates",
		Stores:   "a buffer of old images",
		Stream:   CurrentTask, Borders: UsesBorders, Labels: m.grouped()}
}

// Label implements [Strategy].
func (m *MIR) Label() string { return LabelOf(m, NewMIR()) }

// Validate implements [Strategy].
func (m *MIR) Validate() error {
	return firstError(m.validate("mir"), weight("mir: lambda", m.Lambda), within("mir: candidates", m.Candidates, 1, mostRows),
		weight("mir: virtual_rate", m.Rate))
}

// Close implements [Strategy].
func (m *MIR) Close() {
	if m.gradient != nil {
		m.gradient.Close()
		m.gradient = nil
	}
}

// Check implements [Strategy].
func (m *MIR) Check(s Setup) error { return needOldRows(m.Lambda, s) }

// Begin implements [Strategy].
func (m *MIR) Begin(s Setup) error {
	m.Close()
	return firstError(m.Check(s), m.Replay.begin(s))
}

// ReplayRows implements [Strategy].
func (m *MIR) ReplayRows(loop int) int { return rowsFor(m.Lambda, m.Rows, loop) }

// candidate is one old image at one noise level.
type candidate struct {
	image  int
	t      int32
	change float64 // of its loss
}

// BeforeStep implements [Strategy].
func (m *MIR) BeforeStep(s *Step) error {
	if m.memory.Len() == 0 || m.Lambda == 0 {
		return nil
	}
	list, err := m.candidates(s)
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(b.change, a.change) })
	images := m.memory.Images()
	for i, c := range list[:s.Replay] {
		s.SetReplay(i, images.Image(c.image), images.Labels[c.image], m.Lambda/float64(s.Replay))
		s.SetTimestep(i, c.t)
	}
	return nil
}

// candidates draws images and finds how their losses would change.
func (m *MIR) candidates(s *Step) ([]candidate, error) {
	images, size := m.memory.Images(), m.memory.Images().ImageSize()
	drawn := m.memory.Draw(s.RNG, max(m.Candidates, s.Replay))
	list, x, y, t := make([]candidate, len(drawn)), make([]float32, len(drawn)*size), make([]int32, len(drawn)), make([]int32, len(drawn))
	for i, j := range drawn {
		t[i], y[i] = s.RNG.Int32N(int32(m.setup.Timesteps)), images.Labels[j]
		datasets.Scale(x[i*size:(i+1)*size], images.Image(j))
		list[i] = candidate{image: j, t: t[i]}
	}
	noise, fresh := normals(s.RNG, len(x)), s.Batch.X[:s.Fresh*size]
	g, err := m.freshGradient(fresh, normals(s.RNG, len(fresh)), s.Batch.T[:s.Fresh], s.Batch.Y[:s.Fresh])
	if err != nil {
		return nil, err
	}
	change, err := m.setup.interference(g, m.Rate, x, noise, t, y)
	for i := range change {
		list[i].change = change[i]
	}
	m.evaluated += int64(s.Fresh + 2*len(list))
	return list, err
}

// freshGradient is the gradient of the mean loss of fresh rows.
func (m *MIR) freshGradient(x, noise []float32, t, y []int32) ([]float32, error) {
	if m.gradient == nil {
		var err error
		if m.gradient, err = m.setup.Network.LossGradient(false, len(t)); err != nil {
			return nil, err
		}
	}
	return m.gradient.Mean(x, noise, t, y)
}
