package cl

import (
	"math/rand/v2"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"

	"palimpsest/datasets"
	"palimpsest/pkg/memory"
)

// Replay is what methods with a buffer of old images share: its settings and its bookkeeping. Embed it with the tag
// `yaml:",inline"`. A strategy that embeds it lacks Info, Label and BeforeStep, no more.
//
// The policies high-loss and low-loss compare the images of a finished task by their denoising loss under the network's averaged weights,
// as they are when the task ends: the mean over eight timesteps, evenly spread, each with one noise that all images meet. That takes eight
// rows an image, rounded up to whole calls of 100, which are counted among the extra evaluations. An online stream is refused: without
// borders there would be no such moment but every step, at many times a step's cost.
type Replay struct {
	Buffer int    `yaml:"buffer"` // images kept, >= 1; default 200
	Rows   int    `yaml:"rows"`   // images replayed a step, >= 0; default 0, the loop's replay_rows
	Policy string `yaml:"policy"` // which are kept: "reservoir", "class-balanced" (default), "herding", "high-loss" or "low-loss" ([memory.NewPolicy])

	Base `yaml:"-"`

	memory    *memory.Buffer
	setup     Setup
	evaluated int64 // rows besides those of the step
}

// NewReplay returns a buffer with the default settings, to embed in a strategy.
func NewReplay() Replay { return Replay{Buffer: 200, Policy: memory.NameClassBalanced} }

// Memory is the buffer of old images, empty during the first task. It panics before Begin, which makes it.
func (r *Replay) Memory() *memory.Buffer {
	if r.memory == nil {
		panic("there is no buffer yet: Replay.Begin makes it, which a Begin of the strategy's own must call")
	}
	return r.memory
}

// Validate implements [Strategy].
func (r *Replay) Validate() error { return r.validate("replay") }

// validate reports the first setting that no run can use.
func (r *Replay) validate(name string) error {
	return firstError(within(name+": buffer", r.Buffer, 1, mostImages), within(name+": rows", r.Rows, 0, mostRows),
		oneOf(name+": policy", r.Policy, memory.PolicyNames()))
}

// ReplayRows implements [Strategy], for a method without a weight.
func (r *Replay) ReplayRows(loop int) int { return rowsFor(1, r.Rows, loop) }

// needOldRows reports that there are no rows for old images, which a method needs unless its weight is 0.
func needOldRows(weight float64, s Setup) error {
	return needRows("a method that replays old images", weight, s)
}

// Check implements [Strategy], for a method without a weight.
func (r *Replay) Check(s Setup) error { return needOldRows(1, s) }

// Begin implements [Strategy]: it makes an empty buffer, for a method without a weight.
func (r *Replay) Begin(s Setup) error { return firstError(r.Check(s), r.begin(s)) }

// begin makes an empty buffer.
func (r *Replay) begin(s Setup) error {
	if s.Online && r.byLoss() {
		return errors.Errorf("cl: policy %q compares the images of a task when it ends, and an online stream has no borders between tasks; choose %q or %q, or leave out benchmark.stream",
			r.Policy, memory.NameReservoir, memory.NameClassBalanced)
	}
	var by memory.Measures
	if s.Features != nil {
		by.Features = func(im *datasets.Images) (*mat.Dense, error) {
			r.evaluated += int64(im.N)
			return s.Features(im)
		}
	}
	if s.Network != nil {
		by.Losses = func(im *datasets.Images) ([]float64, error) {
			losses, rows, err := s.imageLosses(s.Network.Denoiser(true), im)
			r.evaluated += int64(rows)
			return losses, err
		}
	}
	policy, err := memory.NewPolicy(r.Policy, by)
	if err != nil {
		return err
	}
	r.setup, r.evaluated = s, 0
	r.memory, err = memory.New(r.Buffer, policy, rand.New(rand.NewPCG(s.Seed, drawMemory)).Uint64())
	return err
}

// EndTask implements [Strategy]: it offers the task's images to the buffer.
func (r *Replay) EndTask(task int, train *datasets.Images) error { return r.Memory().Add(task, train) }

// Arrive implements [Strategy]: it offers the images to the buffer.
func (r *Replay) Arrive(images *datasets.Images) error { return r.Memory().Add(0, images) }

// grouped says that the buffer keeps images by their classes.
func (r *Replay) grouped() bool { return r.Policy != memory.NameReservoir }

// byLoss says that the buffer keeps images by the network's loss.
func (r *Replay) byLoss() bool {
	return r.Policy == memory.NameHighLoss || r.Policy == memory.NameLowLoss
}

// borders is what the buffer makes of the borders between tasks, where the method around it does without.
func (r *Replay) borders() Borders {
	if r.byLoss() {
		return NeedsBorders
	}
	return UsesBorders
}

// Stored implements [Strategy].
func (r *Replay) Stored() Stored {
	if r.memory == nil {
		return Stored{}
	}
	return Stored{Images: r.memory.Images(), Bytes: r.memory.Bytes(), ExtraEvaluations: r.evaluated}
}

// Buffers implements [Strategy].
func (r *Replay) Buffers() []*memory.Buffer {
	if r.memory == nil {
		return nil
	}
	return []*memory.Buffer{r.memory}
}

// State implements [Strategy].
func (r *Replay) State() ([]byte, error) {
	if r.memory == nil {
		return nil, errors.New("cl: a buffer has no state before Begin")
	}
	kept, err := r.memory.MarshalBinary()
	return append(appendCount(nil, r.evaluated), kept...), err
}

// Restore implements [Strategy].
func (r *Replay) Restore(state []byte) error {
	if r.memory == nil {
		return errors.New("cl: a buffer is restored after Begin")
	}
	count, kept, err := readCount(state)
	if err != nil {
		return err
	}
	if err := r.memory.UnmarshalBinary(kept); err != nil {
		return err
	}
	r.evaluated = count
	return nil
}
