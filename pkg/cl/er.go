package cl

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// How ER draws from its memory.
const (
	DrawUniform  = "uniform"  // over the images kept
	DrawBalanced = "balanced" // over the classes kept, then over a class's images
)

var draws = []string{DrawUniform, DrawBalanced}

// ER is experience replay, [er]: a step trains on fresh images and on images drawn from a buffer of old ones,
//
//	L = mean(loss_fresh) + Lambda·mean(loss_replay)
//
// Lambda 1 is plain replay, between 0 and 1 the reduced rehearsal of [zajac23] (our definition: Lambda weighs the loss
// and never changes how many images are drawn), 0 is fine-tuning bit for bit, without replay rows. How many old images a step looks at is
// Rows or, where that is 0, the loop's replay_rows: fewer make a step cheaper at the same Lambda. Schedule can make the
// coefficient change from task to task. A finished task's images are offered to the buffer once, at the task's end; during the first
// task the buffer is empty and the replay rows weigh 0.
//
// Replay rows can look at chosen timesteps, "timestep-targeted rehearsal": with p = [ER.TimestepProbabilities] each
// draws its timestep from p, independently, and still weighs Lambda/Replay, so that in expectation
//
//	L = E_uniform[loss_fresh] + Lambda·E_p[loss_replay]
//
// The images replayed are the same whatever p is. Weighing uniform rows by T·p(t) instead has the same expectation, but
// spends rows that count for nothing where p is 0; weighing them by an unnormalised w(t) <= 1 also makes the replay loss
// smaller as a whole, which here is left to Lambda. Nor is this importance sampling, which would divide by T·p(t) and
// leave the expectation as it was. The loss weight that training gives each timestep multiplies all rows as ever.
//
// With Noised, "replay in the middle" after [magd], the buffer keeps noisy images in place of images: of each image that it takes, one
// x_t with what the network is to predict of it, timestep and noise drawn once, when the task ends, as a replay row's would be. They are
// replayed as they are,
//
//	loss_replay = mean (prediction(x_t, t) - target)²
//
// unmirrored. In [magd], by its abstract, the network of the last task draws them; here they are of real images, as in the rest of this
// method. A pair takes two bytes a value, of which the rounding is far below the noise, and so twice what an image does: at
// equal storage Buffer is half of what it is without. Timestep and noise are functions of the seed and the image's number in the stream.
// Pairs are no secret: together with its target, x_t gives the image away, which is what [ER.Stored] shows.
type ER struct {
	Replay `yaml:",inline"`
	Lambda float64 `yaml:"lambda"` // rehearsal coefficient, >= 0; default 1
	Draw   string  `yaml:"draw"`   // which images are replayed: DrawUniform (default) or DrawBalanced

	// Timesteps says at which timesteps, by a formula such as "low:0.25"; default "", as the fresh rows, uniformly.
	Timesteps string `yaml:"timesteps"`
	// TimestepWeights say so by any number of values of a weight function, for instance a measured one; default none.
	// Only one of the two is given, except for Timesteps "measured", which names weights that come from a forgetting map.
	TimestepWeights []float64 `yaml:"timestep_weights"`

	// Schedule says how Lambda goes from task to task: see ScheduleConstant and the others; default "", constant.
	Schedule string `yaml:"schedule"`

	// Noised keeps noisy images with their targets in place of images; default false.
	Noised bool `yaml:"noised"`

	timesteps   diffusion.TimestepDraw // nil: replay rows keep the loop's
	balance     balance                // of the adaptive schedule
	lossWeights []float64              // of training, by timestep; with Noised
}

// NewER returns experience replay with its default settings.
func NewER() *ER {
	return &ER{Replay: NewReplay(), Lambda: 1, Draw: DrawUniform}
}

// Info implements [Strategy].
func (e *ER) Info() Info {
	borders := NeedsBorders // the other schedules count tasks or their images
	if e.Schedule == "" || e.Schedule == ScheduleConstant || e.Schedule == ScheduleAdaptive {
		borders = e.borders()
	}
	stores := "a buffer of old images"
	if e.Noised {
		stores = "a buffer of noisy old images and their targets"
	}
	return Info{Name: "er", Title: "experience replay",
		Paper:    "Chaudhry et al. 2019, arXiv:1902.10486; λ < 1 after Zajac et al. 2023, arXiv:2303.15342",
		Equation: "L = mean(loss_fresh) + λ·mean(loss_replay)",
		Stores:   stores,
		Stream:   CurrentTask, Borders: borders, Labels: e.grouped() || e.Draw == DrawBalanced}
}

// Label implements [Strategy]: "er λ=0.3", followed by the other settings where they are not the default ones.
func (e *ER) Label() string {
	label, usual := fmt.Sprintf("er λ=%g", e.Lambda), NewER()
	if e.Buffer != usual.Buffer {
		label += fmt.Sprintf(" buffer=%d", e.Buffer)
	}
	if e.Rows != usual.Rows {
		label += fmt.Sprintf(" rows=%d", e.Rows)
	}
	if e.Policy != usual.Policy {
		label += " policy=" + e.Policy
	}
	if e.Draw != usual.Draw {
		label += " draw=" + e.Draw
	}
	if len(e.TimestepWeights) > 0 && e.Timesteps != TimestepsMeasured {
		// Too many to list, so a hash stands for the list.
		hash := fnv.New32a()
		for _, w := range e.TimestepWeights {
			hash.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(w)))
		}
		label += fmt.Sprintf(" t=weights:%08x", hash.Sum32())
	} else if e.targeted() {
		label += " t=" + e.Timesteps
	}
	if e.Schedule != "" && e.Schedule != ScheduleConstant {
		label += " schedule=" + e.Schedule
	}
	if e.Noised {
		label += " noised"
	}
	return label
}

// Validate implements [Strategy].
func (e *ER) Validate() error {
	return firstError(weight("er: lambda", e.Lambda), e.validate("er"), oneOf("er: draw", e.Draw, draws),
		e.validateTimesteps(), e.validateSchedule(), e.validateNoised())
}

// validateSchedule reports a schedule that does not exist or does not go with the other settings.
func (e *ER) validateSchedule() error {
	if e.Schedule == "" {
		return nil
	}
	if e.Schedule == ScheduleAdaptive && e.targeted() {
		return errors.New("cl: er: schedule \"adaptive\" compares fresh and replayed losses at the same timesteps; leave timesteps uniform or choose another schedule")
	}
	return oneOf("er: schedule", e.Schedule, schedules)
}

// targeted says that replay rows have timesteps of their own.
func (e *ER) targeted() bool {
	return len(e.TimestepWeights) > 0 || (e.Timesteps != "" && e.Timesteps != TimestepsUniform)
}

// validateTimesteps reports timesteps that no process has.
func (e *ER) validateTimesteps() error {
	if len(e.TimestepWeights) == 0 {
		_, _, err := timestepRange(e.Timesteps)
		return err
	}
	if e.Timesteps != "" && e.Timesteps != TimestepsMeasured {
		return errors.Errorf("cl: er: timesteps are %q and there are %d timestep_weights too; give one of them, or name the weights \"measured\"", e.Timesteps, len(e.TimestepWeights))
	}
	return checkWeights(e.TimestepWeights)
}

// TimestepProbabilities returns p [T], the distribution over the T timesteps of a process that replay rows draw theirs
// from: a weight w(t) >= 0 divided by its sum. w is given by the formula Timesteps,
//
//	"" or "uniform"  1 everywhere
//	"low:F"          1 for the lowest (least noisy) fraction F of all timesteps, else 0; 0 < F <= 1
//	"high:F"         1 for the highest fraction F, else 0; 0 < F <= 1
//	"range:A-B"      1 from fraction A of all timesteps up to fraction B, else 0; 0 <= A < B <= 1
//
// or by the values TimestepWeights, of which the first is w(0), the last w(T-1), and the others lie evenly between
// them with w linear from one to the next; T values are w itself, of more some are read nowhere. Timesteps "measured" is
// the name of such values and needs them.
//
// Fractions are plain decimals, rounded to whole timesteps: "range:A-B" is t = round(A·T) .. round(B·T)-1, so ranges
// that meet share no timestep; "low:F" is "range:0-F" and "high:F" is "range:(1-F)-1". It is an error if T is not
// positive, if Timesteps is none of these or leaves no timestep, if TimestepWeights has a negative or infinite number
// or none that is positive, if there are values and a Timesteps other than "measured", or "measured" without values.
func (e *ER) TimestepProbabilities(T int) ([]float64, error) {
	if T < 1 {
		return nil, errors.Errorf("cl: er: a process of %d timesteps; need at least 1", T)
	}
	if err := e.validateTimesteps(); err != nil {
		return nil, err
	}
	var weights []float64
	var err error
	if len(e.TimestepWeights) > 0 {
		weights, err = knotWeights(e.TimestepWeights, T)
	} else {
		weights, err = formulaWeights(e.Timesteps, T)
	}
	if err != nil {
		return nil, err
	}
	floats.Scale(1/floats.Sum(weights), weights)
	return weights, nil
}

// ReplayRows implements [Strategy].
func (e *ER) ReplayRows(loop int) int { return rowsFor(e.Lambda, e.Rows, loop) }

// Needs implements [Strategy].
func (e *ER) Needs(s Setup) diffusion.Extra {
	return diffusion.Extra{Given: e.Noised && e.Lambda > 0 && s.Tasks > 1}
}

// Check implements [Strategy].
func (e *ER) Check(s Setup) error {
	if err := firstError(e.Validate(), needOldRows(e.Lambda, s)); err != nil || !e.targeted() {
		return err
	}
	_, err := e.TimestepProbabilities(s.Timesteps)
	return err
}

// Begin implements [Strategy]. It returns an error for settings out of range, a loop without replay rows, and herding
// without features.
func (e *ER) Begin(s Setup) error {
	if err := e.Check(s); err != nil {
		return err
	}
	e.timesteps, e.balance = nil, balance{}
	if e.targeted() {
		p, err := e.TimestepProbabilities(s.Timesteps)
		if err != nil {
			return err
		}
		e.timesteps = diffusion.NewTimestepDraw(p)
	}
	if e.Noised {
		var err error
		if e.lossWeights, err = s.Network.Process.LossWeights(s.Network.Train.LossWeight); err != nil {
			return err
		}
	}
	return e.Replay.begin(s)
}

// Foresees implements [Strategy]: the adaptive schedule follows the losses.
func (e *ER) Foresees() bool { return e.Schedule != ScheduleAdaptive }

// BeforeStep implements [Strategy].
func (e *ER) BeforeStep(s *Step) error {
	if e.memory.Len() == 0 {
		return nil
	}
	draw := e.memory.Draw
	switch e.Draw {
	case DrawUniform:
	case DrawBalanced:
		draw = e.memory.DrawBalanced
	default:
		return oneOf("er: draw", e.Draw, draws)
	}
	fresh, replay, err := e.coefficients(s)
	if err != nil {
		return err
	}
	s.scaleFresh(fresh)
	images, weight := e.memory.Images(), replay/float64(s.Replay)
	for row, i := range draw(s.RNG, s.Replay) {
		if e.Noised {
			xt, target, t := e.pair(i)
			s.SetNoisy(row, xt, target, int32(t), images.Labels[i], weight*e.lossWeights[t])
			continue
		}
		s.SetReplay(row, images.Image(i), images.Labels[i], weight)
	}
	if e.timesteps != nil && !e.Noised {
		// After the images, so that they are the ones that replay at all timesteps draws.
		for row := range s.Replay {
			s.SetTimestep(row, int32(e.timesteps.Draw(s.RNG)))
		}
	}
	return nil
}

// coefficients are f and r of a step, as the schedules define them.
func (e *ER) coefficients(s *Step) (fresh, replay float64, err error) {
	switch e.Schedule {
	case ScheduleShare:
		kept := float64(e.memory.Len())
		return 1, e.Lambda * kept / (kept + float64(s.StreamImages)), nil
	case ScheduleAdaptive:
		return 1, e.Lambda * e.balance.ratio(), nil
	}
	return byTask(e.Schedule, e.Lambda, s.Task)
}

// AfterStep implements [Strategy]: it follows the losses that the adaptive schedule compares.
func (e *ER) AfterStep(s *Step, r diffusion.StepResult) error {
	if e.Schedule != ScheduleAdaptive || e.memory.Len() == 0 || e.Lambda == 0 {
		return nil
	}
	// With the weights of the step, since timesteps may have been drawn with unequal probabilities.
	var fresh, replay float64
	for i := range s.Fresh {
		fresh += float64(s.Batch.W[i]) * float64(r.Rows[i])
	}
	for i := range s.Replay {
		replay += float64(s.Batch.W[s.Row(i)]) * float64(r.Rows[s.Row(i)])
	}
	e.balance.add(fresh, replay/(e.Lambda*e.balance.ratio()))
	return nil
}

// EndTask implements [Strategy]: it offers the task's images to the buffer.
func (e *ER) EndTask(task int, train *datasets.Images) error {
	e.balance = balance{}
	return e.offer(task, train)
}

// Arrive implements [Strategy]: it offers the images to the buffer.
func (e *ER) Arrive(images *datasets.Images) error { return e.offer(0, images) }

// Stored implements [Strategy]. With Noised its images are what can be told of those that the pairs kept are of: all but rounding where
// the network predicts image or velocity, less and less of it at noisier timesteps where it predicts the noise.
func (e *ER) Stored() Stored {
	s := e.Replay.Stored()
	if e.Noised && s.Images != nil {
		s.Images = e.recovered()
	}
	return s
}

// State implements [Strategy].
func (e *ER) State() ([]byte, error) {
	state, err := e.Replay.State()
	if err == nil && e.Schedule == ScheduleAdaptive {
		state = append(e.balance.append(nil), state...)
	}
	return state, err
}

// Restore implements [Strategy].
func (e *ER) Restore(state []byte) error {
	var losses balance
	if e.Schedule == ScheduleAdaptive {
		var err error
		if losses, err = readBalance(state); err != nil {
			return err
		}
		state = state[balanceBytes:]
	}
	if err := e.Replay.Restore(state); err != nil {
		return err
	}
	e.balance = losses
	return nil
}
