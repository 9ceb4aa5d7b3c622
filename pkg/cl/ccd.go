package cl

import (
	"context"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// CCD is continual consistency diffusion, [ccd]: besides rehearsal from a buffer, three losses keep the network consistent
// with the one before the task, its teacher.
//
//	L = mean(loss_fresh) + Lambda·mean(loss_replay) + IKC·mean d(x_t, y) + UKC·mean d(x_t, none) + PKC·mean d(ε, y)
//
// with d(x, y) = mean (prediction(x, t, y) - teacher's)². The paper names inter-task, unconditional and prior (in its second
// version: label) knowledge consistency of what the buffer holds; its formulas are not those here, which are our reading:
//
//   - inter-task: old images under their own label;
//   - unconditional: old images without a label (an unconditional network never sees one: the loss is then the first);
//   - prior: pure noise, which shows no image, under labels as frequent as in the buffer, so that only the prior speaks.
//
// Weights of 1 are ours too. Each kind of row that has a weight gets an even share of the replay rows, the first ones one
// more where it does not come out even; rehearsal and the inter-task loss look at the same rows. Without consistency it is
// plain er, bit for bit.
type CCD struct {
	Replay  `yaml:",inline"`
	Lambda  float64 `yaml:"lambda"`  // rehearsal coefficient, >= 0; default 1
	IKC     float64 `yaml:"ikc"`     // weight of inter-task knowledge consistency, >= 0; default 1
	UKC     float64 `yaml:"ukc"`     // weight of unconditional knowledge consistency, >= 0; default 1
	PKC     float64 `yaml:"pkc"`     // weight of prior knowledge consistency, >= 0; default 1
	Teacher string  `yaml:"teacher"` // which weights teach: TeachAverage (default) or TeachTrained
}

// NewCCD returns continual consistency diffusion with its default settings.
func NewCCD() *CCD {
	return &CCD{Replay: NewReplay(), Lambda: 1, IKC: 1, UKC: 1, PKC: 1, Teacher: TeachAverage}
}

// Info implements [Strategy].
func (c *CCD) Info() Info {
	return Info{Name: "ccd", Title: "continual consistency diffusion (losses in our reading)",
		Paper:    "Liu et al. 2025, arXiv:2505.11936",
		Equation: "L = mean(loss_fresh) + λ·mean(loss_replay) + ikc·‖Δ(x_t,y)‖² + ukc·‖Δ(x_t,no label)‖² + pkc·‖Δ(noise,y)‖², Δ = prediction-teacher",
		Stores:   "a buffer of old images and the network after the last task, as teacher",
		Stream:   CurrentTask, Labels: c.grouped(), Teacher: c.Teacher}
}

// Label implements [Strategy].
func (c *CCD) Label() string { return LabelOf(c, NewCCD()) }

// Validate implements [Strategy].
func (c *CCD) Validate() error {
	return firstError(c.validate("ccd"), weight("ccd: lambda", c.Lambda), weight("ccd: ikc", c.IKC),
		weight("ccd: ukc", c.UKC), weight("ccd: pkc", c.PKC),
		oneOf("ccd: teacher", c.Teacher, teachers))
}

// consistency is the sum of the weights that need a teacher.
func (c *CCD) consistency() float64 { return c.IKC + c.UKC + c.PKC }

// Needs implements [Strategy].
func (c *CCD) Needs(s Setup) diffusion.Extra {
	return diffusion.Extra{Teacher: c.consistency() > 0 && s.Tasks > 1}
}

// ReplayRows implements [Strategy].
func (c *CCD) ReplayRows(loop int) int { return rowsFor(c.Lambda+c.consistency(), c.Rows, loop) }

// shares divides replay rows: old images under their label, without, and pure noise.
func (c *CCD) shares(rows int) (shares [3]int) {
	var used []int
	for kind, weight := range []float64{c.Lambda + c.IKC, c.UKC, c.PKC} {
		if weight > 0 {
			used = append(used, kind)
		}
	}
	for i := range rows {
		if len(used) > 0 {
			shares[used[i%len(used)]]++
		}
	}
	return shares
}

// Check implements [Strategy].
func (c *CCD) Check(s Setup) error {
	for kind, weight := range []float64{c.Lambda + c.IKC, c.UKC, c.PKC} {
		if weight > 0 && c.shares(s.ReplayRows)[kind] == 0 {
			return errors.Errorf("cl: ccd has %d replay rows, too few for a row of each of its losses; set replay_rows, or the strategy's rows, to 3 or more", s.ReplayRows)
		}
	}
	return needOldRows(c.Lambda+c.consistency(), s)
}

// Begin implements [Strategy].
func (c *CCD) Begin(s Setup) error { return firstError(c.Check(s), c.Replay.begin(s)) }

// BeforeStep implements [Strategy].
func (c *CCD) BeforeStep(s *Step) error {
	if c.memory.Len() == 0 || c.Lambda+c.consistency() == 0 {
		return nil
	}
	shares, images := c.shares(s.Replay), c.memory.Images()
	labelled := shares[0]
	for i, j := range c.memory.Draw(s.RNG, labelled+shares[1]) {
		if i < labelled {
			s.SetReplay(i, images.Image(j), images.Labels[j], c.Lambda/float64(labelled))
			c.consistent(s, i, c.IKC, labelled)
			continue
		}
		s.SetReplay(i, images.Image(j), images.Labels[j], 0)
		s.Batch.Y[s.Row(i)] = int32(c.setup.Network.Shape.Classes)
		c.consistent(s, i, c.UKC, shares[1])
	}
	for i := labelled + shares[1]; i < s.Replay; i++ {
		s.SetPureNoise(i, images.Labels[s.RNG.IntN(images.N)])
		c.consistent(s, i, c.PKC, shares[2])
	}
	return nil
}

// consistent weighs replay row i, one of a number, by its share of a loss.
func (c *CCD) consistent(s *Step, i int, weight float64, rows int) {
	if weight > 0 {
		s.SetDistil(s.Row(i), weight/float64(rows))
	}
}

// Consolidate implements [Strategy]: the network as it is becomes the teacher.
func (c *CCD) Consolidate(context.Context, int, *datasets.Images) error {
	if c.consistency() == 0 {
		return nil
	}
	return setTeacher(c.setup.Network, c.Teacher)
}
