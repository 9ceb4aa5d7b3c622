package cl

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"

	"gonum.org/v1/gonum/floats"

	"palimpsest/datasets"
)

// How ER draws from its memory.
const (
	DrawUniform  = "uniform"  // over the images kept
	DrawBalanced = "balanced" // over the classes kept, then over a class's images
)

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
type ER struct {
	Replay `yaml:",inline"`
	Lambda float64 `yaml:"lambda"` // rehearsal coefficient, >= 0; default 1
	Draw   string  `yaml:"draw"`   // which images are replayed: DrawUniform (default) or DrawBalanced

	// Timesteps says at which timesteps, by a formula such as "low:0.25"; default "", as the fresh rows, uniformly.
	Timesteps string `yaml:"timesteps"`
	// TimestepWeights say so by any number of values of a weight function, for instance a measured one; default none.
	// Only one of the two is given, but for Timesteps "measured", which names weights that come from a forgetting map.
	TimestepWeights []float64 `yaml:"timestep_weights"`

	// Schedule says how Lambda goes from task to task: see ScheduleConstant and the others; default "", constant.
	Schedule string `yaml:"schedule"`

	timesteps timestepSampler // nil: replay rows keep the loop's
	balance   balance         // of the adaptive schedule
}

// NewER returns experience replay with its default settings.
func NewER() *ER {
	return &ER{Replay: NewReplay(), Lambda: 1, Draw: DrawUniform}
}

// Info implements [Strategy].
func (*ER) Info() Info {
	return Info{Name: "er", Title: "experience replay",
		Paper:    "Chaudhry et al. 2019, arXiv:1902.10486; λ < 1 after Zajac et al. 2023, arXiv:2303.15342",
		Equation: "L = mean(loss_fresh) + λ·mean(loss_replay)",
		Stores:   "a buffer of old images",
		Stream:   CurrentTask}
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
		// Too many to list, so a hash tells one list from another.
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
	return label
}

// Validate implements [Validator].
func (e *ER) Validate() error {
	return firstError(atLeast("er: lambda", e.Lambda, 0), e.validate("er"), oneOf("er: draw", e.Draw, []string{DrawUniform, DrawBalanced}),
		e.validateTimesteps(), e.validateSchedule())
}

// ReplayRows implements [Rower].
func (e *ER) ReplayRows(loop int) int { return rowsFor(e.Lambda, e.Rows, loop) }

// Check implements [Checker].
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
		e.timesteps = floats.CumSum(p, p)
	}
	return e.Replay.begin(s)
}

// BeforeStep implements [Strategy].
func (e *ER) BeforeStep(s *Step) error {
	if e.memory.Len() == 0 {
		return nil
	}
	draw := e.memory.Draw
	if e.Draw == DrawBalanced {
		draw = e.memory.DrawBalanced
	}
	fresh, replay := e.coefficients(s)
	s.scaleFresh(fresh)
	images, weight := e.memory.Images(), replay/float64(s.Replay)
	for row, i := range draw(s.RNG, s.Replay) {
		s.SetReplay(row, images.Image(i), images.Labels[i], weight)
	}
	if e.timesteps != nil {
		// After the images, so that they are the ones that replay at all timesteps draws.
		for row := range s.Replay {
			s.SetTimestep(row, e.timesteps.draw(s.RNG))
		}
	}
	return nil
}

// EndTask implements [Strategy]: it offers the task's images to the buffer.
func (e *ER) EndTask(task int, train *datasets.Images) error {
	e.balance = balance{}
	return e.Replay.EndTask(task, train)
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
