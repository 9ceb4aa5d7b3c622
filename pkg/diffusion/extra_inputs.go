package diffusion

import (
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

// columns of what the extended step graph takes of each row.
const (
	markGiven     = iota // 1: noise is given
	markPure             // 1: x_t is the noise alone
	markReference        // 1: of the reference loss
	markDistil           // weight of the distance to the teacher
	markTarget           // weight of the distance to the given prediction
	numMarks
)

// extraInputs are the step graph's inputs after the first six, none without extensions: marks [R, numMarks], the
// strengths of both penalties [2], the teacher's labels [R] where there is a teacher, noise and target [R, H, W, C]
// where they may be given. It fails where b does not fit the network, or asks for what it was not extended by.
func (n *Network) extraInputs(b Batch) ([]any, error) {
	if err := n.checkExtra(b); err != nil {
		return nil, err
	}
	if !n.extra.any() {
		return nil, nil
	}
	rows, u := len(b.T), n.Shape
	marks := make([]float32, rows*numMarks)
	for i := range rows {
		m := marks[i*numMarks:]
		for col, marked := range map[int][]bool{markGiven: b.GivenNoise, markPure: b.PureNoise, markReference: b.Reference} {
			if marked != nil && marked[i] {
				m[col] = 1
			}
		}
		for col, weight := range map[int][]float32{markDistil: b.Distil, markTarget: b.TargetW} {
			if weight != nil {
				m[col] = weight[i]
			}
		}
	}
	inputs := []any{
		tensors.FromFlatDataAndDimensions(marks, rows, numMarks),
		tensors.FromFlatDataAndDimensions([]float32{float32(b.PenaltyStrength), float32(b.DirectionStrength)}, 2),
	}
	if n.extra.Teacher {
		labels := b.TeacherY
		if labels == nil {
			labels = b.Y
		}
		inputs = append(inputs, tensors.FromFlatDataAndDimensions(labels, rows))
	}
	if n.extra.Given {
		for _, values := range [][]float32{b.Noise, b.Target} {
			if values == nil {
				values = make([]float32, len(b.X))
			}
			inputs = append(inputs, tensors.FromFlatDataAndDimensions(values, rows, u.H, u.W, u.Channels))
		}
	}
	return inputs, nil
}

// checkExtra reports the first field beyond the plain batch that does not fit.
func (n *Network) checkExtra(b Batch) error {
	e, rows := n.extra, len(b.T)
	for _, f := range []struct {
		name           string
		have, want     int
		declared       bool
		extension, use string
	}{
		{"Distil", len(b.Distil), rows, e.Teacher, "Teacher", "Batch.Distil"},
		{"TeacherY", len(b.TeacherY), rows, e.Teacher, "Teacher", "Batch.TeacherY"},
		{"Noise", len(b.Noise), len(b.X), e.Given, "Given", "Batch.Noise"},
		{"GivenNoise", len(b.GivenNoise), rows, e.Given, "Given", "Batch.GivenNoise"},
		{"Target", len(b.Target), len(b.X), e.Given, "Given", "Batch.Target"},
		{"TargetW", len(b.TargetW), rows, e.Given, "Given", "Batch.TargetW"},
		{"PureNoise", len(b.PureNoise), rows, e.any(), "anything", "Batch.PureNoise"},
		{"Reference", len(b.Reference), rows, e.Projection, "Projection", "Batch.Reference"},
	} {
		if f.have == 0 {
			continue
		}
		if err := needs(f.declared, f.extension, f.use); err != nil {
			return err
		}
		if f.have != f.want {
			return errors.Errorf("diffusion: a batch of %d rows has %d values in %s; need %d, or none", rows, f.have, f.name, f.want)
		}
	}
	for _, f := range []struct {
		strength       float64
		declared       bool
		extension, use string
	}{
		{b.PenaltyStrength, e.Penalty, "Penalty", "Batch.PenaltyStrength"},
		{b.DirectionStrength, e.Directions > 0, "Directions", "Batch.DirectionStrength"},
	} {
		if f.strength == 0 {
			continue
		}
		if err := needs(f.declared, f.extension, f.use); err != nil {
			return err
		}
		if !(f.strength >= 0) || math.IsInf(f.strength, 0) {
			return errors.Errorf("diffusion: %s is %g; need a number >= 0", f.use, f.strength)
		}
	}
	if slices.Contains(b.GivenNoise, true) && b.Noise == nil {
		return errors.New("diffusion: GivenNoise marks rows, but Noise is nil; give [R, H, W, C]")
	}
	if b.Target == nil && slices.ContainsFunc(b.TargetW, func(w float32) bool { return w != 0 }) {
		return errors.New("diffusion: TargetW weighs rows, but Target is nil; give [R, H, W, C]")
	}
	for i, pure := range b.PureNoise {
		if pure && b.W[i] != 0 {
			return errors.Errorf("diffusion: row %d is of pure noise and has weight %g in the denoising loss; need 0", i, b.W[i])
		}
	}
	if b.TeacherY != nil {
		return errors.WithMessage(n.labelsInRange(b.TeacherY), "TeacherY")
	}
	return nil
}
