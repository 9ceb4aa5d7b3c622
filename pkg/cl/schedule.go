package cl

import (
	"encoding/binary"
	"math"

	"github.com/pkg/errors"
)

// How a coefficient λ goes from task to task and, for ER, from step to step. At the k-th task, k = 1 being the first, which
// has nothing to rehearse, the loss is
//
//	L = f·mean(loss_fresh) + r·mean(loss_replay)
//
// with f = 1 except for ScheduleComplement. With Lambda 0 all but that one are fine-tuning bit for bit.
const (
	ScheduleConstant = "constant" // r = λ

	// ScheduleInverse is r = λ/k: each rehearsal counts for less the more tasks there are.
	ScheduleInverse = "1/k"

	// ScheduleComplement is f = 1/k and r = (1-1/k)·λ, the weights of [gendistill]: with λ = 1 every task so far
	// counts the same. With λ = 0 the loss is fine-tuning's times 1/k, which is not fine-tuning bit for bit.
	ScheduleComplement = "1-1/k"

	// ScheduleShare is r = λ·B/(B+N) with B images in the buffer and N of the task at hand: λ times the share that the
	// old images would have if both were one set.
	ScheduleShare = "share"

	// ScheduleAdaptive is r = λ·ρ with ρ = replay loss/fresh loss, within 1/10 and 10, so that rehearsal is
	// strengthened where old images are forgotten, their loss being the larger one, and weakened where the buffer is
	// learned by heart. Both losses are means over the steps of the task so far, a step counting 0.95 times what the one
	// after it counts; ρ is 1 at a task's first step. They are compared at the same timesteps only, so replay rows
	// cannot have timesteps of their own. The definition is ours.
	ScheduleAdaptive = "adaptive"
)

var schedules = []string{ScheduleConstant, ScheduleInverse, ScheduleComplement, ScheduleShare, ScheduleAdaptive}

// byTask are f and r of L = f·mean(loss_fresh) + r·(the strategy's own term) at a task, 0 being the first, for the schedules
// that depend on the number of tasks alone: see [ScheduleConstant] and those after it.
func byTask(schedule string, lambda float64, task int) (fresh, own float64, err error) {
	k := float64(task + 1)
	switch schedule {
	case "", ScheduleConstant:
		return 1, lambda, nil
	case ScheduleInverse:
		return 1, lambda / k, nil
	case ScheduleComplement:
		return 1 / k, (1 - 1/k) * lambda, nil
	}
	return 0, 0, oneOf("schedule", schedule, taskSchedules)
}

// taskSchedules are the schedules that byTask knows.
var taskSchedules = []string{ScheduleConstant, ScheduleInverse, ScheduleComplement}

// scaleFresh multiplies the weights of the fresh rows.
func (s *Step) scaleFresh(factor float64) {
	for row := range s.Fresh {
		s.Batch.W[row] = float32(factor * float64(s.Batch.W[row]))
	}
}

// balance holds the running means of two losses since the task began. Both lack the same correction for the bias of
// their first steps, which cancels in their ratio.
type balance struct{ Fresh, Replay float64 }

const (
	balanceDecay = 0.95
	balanceLimit = 10. // of the ratio and its inverse
	balanceBytes = 16
)

// add goes on to the next step.
func (b *balance) add(fresh, replay float64) {
	if total := fresh + replay; math.IsNaN(total) || math.IsInf(total, 0) {
		return // a step that diverged has no say in those after it
	}
	b.Fresh += (1 - balanceDecay) * (fresh - b.Fresh)
	b.Replay += (1 - balanceDecay) * (replay - b.Replay)
}

// ratio of the replay loss to the fresh loss, 1 before the first step.
func (b *balance) ratio() float64 {
	if *b == (balance{}) {
		return 1
	}
	return min(max(b.Replay/b.Fresh, 1/balanceLimit), balanceLimit)
}

// append writes both means.
func (b *balance) append(out []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(out, math.Float64bits(b.Fresh)), math.Float64bits(b.Replay))
}

// readBalance reads what append wrote.
func readBalance(text []byte) (b balance, err error) {
	if len(text) < balanceBytes {
		return b, errors.Errorf("cl: er: the stored state has %d bytes for the adaptive schedule's losses; need %d", len(text), balanceBytes)
	}
	b = balance{math.Float64frombits(binary.LittleEndian.Uint64(text)), math.Float64frombits(binary.LittleEndian.Uint64(text[8:]))}
	if !(b.Fresh >= 0 && b.Replay >= 0) || math.IsInf(b.Fresh+b.Replay, 0) {
		return b, errors.Errorf("cl: er: the stored state has mean losses %g and %g; need finite numbers >= 0", b.Fresh, b.Replay)
	}
	return b, nil
}
