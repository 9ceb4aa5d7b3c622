package dynamics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// seriesFormat is the version that a stored series names.
const seriesFormat = "palimpsest-dynamics-1"

// Checkpoint says when along training losses were measured.
type Checkpoint struct {
	Step int `json:"step"` // optimiser steps done in all
	Task int `json:"task"` // index of the task being learned, or just learned
}

// Series is the losses of one network along its training.
type Series struct {
	Axes
	Checkpoints []Checkpoint `json:"checkpoints"` // of ascending steps and tasks
	Loss        []float32    `json:"loss"`        // [checkpoint, task, t] mean over images, in what the network predicts
	SE          []float32    `json:"se"`          // its standard error over images

	// TaskWeights say what each task counts in means over tasks; nil: all alike. They are the run's, from whose stored
	// form whoever reads both sets them.
	TaskWeights []float64 `json:"-"`
}

// NewSeries starts an empty series of measurements by p.
func NewSeries(p *Probe) *Series { return &Series{Axes: p.Axes} }

// Append adds a snapshot taken after step optimiser steps while task was learned, or when it ended. Steps must ascend
// and tasks must not fall.
func (s *Series) Append(c Checkpoint, snapshot *Snapshot) error {
	if !s.Axes.Equal(snapshot.Axes) {
		return errors.Errorf("dynamics: a snapshot of probe %s in a series of probe %s; use one probe along a series", snapshot.Probe, s.Probe)
	}
	mean, se := meanSE(snapshot.Rows, s.Images)
	grown := *s
	grown.Checkpoints = append(s.Checkpoints[:len(s.Checkpoints):len(s.Checkpoints)], c)
	for i := range mean {
		grown.Loss, grown.SE = append(grown.Loss, float32(mean[i])), append(grown.SE, float32(se[i]))
	}
	if err := grown.Validate(); err != nil {
		return err
	}
	*s = grown
	return nil
}

// Truncate drops the checkpoints after step, as resuming from there needs.
func (s *Series) Truncate(step int) {
	n := len(s.Checkpoints)
	for n > 0 && s.Checkpoints[n-1].Step > step {
		n--
	}
	size := n * s.size()
	s.Checkpoints, s.Loss, s.SE = s.Checkpoints[:n], s.Loss[:size], s.SE[:size]
}

// Validate reports arrays that do not fit, checkpoints out of order, and losses that are no losses.
func (s *Series) Validate() error {
	if err := s.Axes.validate(); err != nil {
		return err
	}
	if need := len(s.Checkpoints) * s.size(); len(s.Loss) != need || len(s.SE) != need {
		return errors.Errorf("dynamics: %d losses and %d errors; %d checkpoints of %d tasks at %d timesteps need %d",
			len(s.Loss), len(s.SE), len(s.Checkpoints), len(s.Tasks), len(s.Timesteps), need)
	}
	before := Checkpoint{Step: -1}
	for i, c := range s.Checkpoints {
		if c.Step <= before.Step || c.Task < before.Task || c.Task >= len(s.Tasks) {
			return errors.Errorf("dynamics: checkpoint %d is at step %d of task %d, after step %d of task %d; need ascending steps and tasks 0 .. %d",
				i, c.Step, c.Task, before.Step, before.Task, len(s.Tasks)-1)
		}
		before = c
	}
	for i := range s.Loss {
		for _, v := range []float64{float64(s.Loss[i]), float64(s.SE[i])} {
			if !(v >= 0 && v <= math.MaxFloat32) {
				return errors.Errorf("dynamics: loss %g ± %g at place %d; need finite values >= 0", s.Loss[i], s.SE[i], i)
			}
		}
	}
	return nil
}

// size is the number of losses of one checkpoint.
func (s *Series) size() int { return len(s.Tasks) * len(s.Timesteps) }

// Mean is the loss in what ("eps", "x0" or "v"), [checkpoint, task, t], with its standard error over images.
func (s *Series) Mean(what string) (mean, se []float64, err error) {
	mean, se = make([]float64, len(s.Loss)), make([]float64, len(s.SE))
	for i := range s.Loss {
		mean[i], se[i] = float64(s.Loss[i]), float64(s.SE[i])
	}
	if mean, err = s.Convert(mean, what); err != nil {
		return nil, nil, err
	}
	se, err = s.Convert(se, what)
	return mean, se, err
}

// LearnedAt is the last checkpoint at which a task was being learned, or -1 where there is none.
func (s *Series) LearnedAt(task int) int {
	for i := len(s.Checkpoints) - 1; i >= 0; i-- {
		if s.Checkpoints[i].Task == task {
			return i
		}
	}
	return -1
}

// Late says in words what is lost of a series that begins after its first task, as that of a run does which lost its measurements, or which
// goes on with another.
func (s *Series) Late() string {
	if len(s.Checkpoints) == 0 {
		return "has no measurement"
	}
	c := s.Checkpoints[0]
	return fmt.Sprintf("begins at step %d, in %s, so that how the tasks before were forgotten is not known by timestep", c.Step, words.Task(c.Task))
}

// storedSeries is a series with its format, as a file holds it.
type storedSeries struct {
	Format string `json:"format"`
	*Series
}

// Save writes the series to path as one JSON object, whole or not at all.
func (s *Series) Save(path string) error {
	text, err := s.encode()
	if err != nil {
		return err
	}
	return errors.WithMessage(atomicfile.Write(path, text), "dynamics")
}

// encode is the content of the file.
func (s *Series) encode() ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(storedSeries{seriesFormat, s})
	if err != nil {
		return nil, errors.WithStack(err)
	}
	return results.Seal(text)
}

// LoadSeries reads what [Series.Save] wrote. Another format, unknown fields, arrays that do not fit, anything after
// the object and a content that is not as it was written are refused.
func LoadSeries(path string) (*Series, error) {
	text, err := atomicfile.Read(path, atomicfile.Large)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	s, err := parseSeries(text)
	return s, errors.WithMessagef(err, "dynamics: %s", path)
}

func parseSeries(text []byte) (s *Series, err error) {
	defer func() { err = oneline.Error(err) }()
	stored := storedSeries{Series: &Series{}}
	if err := decodeStrictly(text, &stored); err != nil {
		return nil, errors.WithMessage(err, "no stored losses")
	}
	if stored.Format != seriesFormat {
		return nil, errors.Errorf("format %q; need %q: measure anew", stored.Format, seriesFormat)
	}
	return stored.Series, stored.Series.Validate()
}

// decodeStrictly reads one JSON object that has no field but those of into and the sum of the rest, and nothing after it.
func decodeStrictly(text []byte, into any) error {
	text, err := results.Unseal(text)
	if err != nil {
		return err
	}
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(into); err != nil {
		return errors.WithStack(err)
	}
	if _, err := in.Token(); err != io.EOF {
		return errors.New("more than one JSON object")
	}
	return nil
}
