package dynamics

import (
	"encoding/json"
	"fmt"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/results"
)

// Autopsy is what the networks a run kept after each of its tasks tell of forgetting, once training is over.
type Autopsy struct {
	Tasks     []string  `json:"tasks"`
	T         int       `json:"t"`         // timesteps of the process
	Timesteps []int     `json:"timesteps"` // where drift and gradients were measured, ascending
	LogSNR    []float64 `json:"log_snr"`   // of Timesteps, nats
	Command   string    `json:"command"`   // what made it
	Commit    string    `json:"commit"`    // of the checkout then
	Dirty     bool      `json:"dirty"`     // whether that had changes

	Stitches     []Stitching    `json:"stitches"`     // one for each old task
	Drifts       []TaskDrift    `json:"drifts"`       // one for each old task
	Interference []Interference `json:"interference"` // one for each task after the first

	// Missing says of numbers that are null what they came out as: CKA is none of activations that do not vary.
	Missing map[string]string `json:"missing,omitempty"`

	TaskWeights []float64 `json:"-"` // as [Series.TaskWeights]
}

// Weights are what some of the tasks count in a mean over them; nil: all alike.
func (a *Autopsy) Weights(tasks []int) []float64 { return weightsOf(a.TaskWeights, tasks) }

// weightsOf picks the weights of some of the tasks from those of all.
func weightsOf(all []float64, tasks []int) []float64 {
	var out []float64
	for _, task := range tasks {
		if task < len(all) {
			out = append(out, all[task])
		}
	}
	return out
}

// Stitching is the quality of an old task's samples drawn half by the network just after the task was learned, half by
// the final one, against the timestep at which they change over.
type Stitching struct {
	Task       int   `json:"task"`
	Samples    int   `json:"samples"`    // at each threshold
	Steps      int   `json:"steps"`      // of DDIM
	Thresholds []int `json:"thresholds"` // τ, ascending from 0 to T, at timesteps that the sampler visits

	OldHigh StitchCurve `json:"old_high"` // the network before forgetting at t >= τ, the final one below: τ = 0 is before alone
	OldLow  StitchCurve `json:"old_low"`  // the final network at t >= τ, the one before forgetting below: τ = 0 is final alone
}

// StitchCurve is one direction of stitching, by threshold.
type StitchCurve struct {
	FID           Floats `json:"fid"`
	ClassAccuracy Floats `json:"class_accuracy"` // share of samples that show the class asked for
}

// TaskDrift is how alike the middle block's activations on an old task's noisy images are just after the task was
// learned and at the end ([Drift]), by timestep.
type TaskDrift struct {
	Task     int    `json:"task"`
	CKA      Floats `json:"cka"`
	Unbiased Floats `json:"unbiased"` // by [UnbiasedCKA]
}

// Interference is the cosine of the loss gradients of a task about to be learned and of all tasks before it, at the
// network that has learned the latter, by timestep. Below 0, a step for the new task undoes the old ones. Halves are
// cosines between two halves of the same images: what noise alone leaves of a cosine of 1.
type Interference struct {
	Task      int    `json:"task"` // the new one
	Cosine    Floats `json:"cosine"`
	HalvesOld Floats `json:"halves_old"`
	HalvesNew Floats `json:"halves_new"`
}

// LoadAutopsy reads what [Autopsy.Save] wrote. Another format, unknown fields, arrays that do not
// fit and a content that is not as it was written are refused.
func LoadAutopsy(path string) (*Autopsy, error) {
	data, err := atomicfile.Read(path, atomicfile.Large)
	if err != nil {
		return nil, err
	}
	a, err := parseAutopsy(data)
	return a, errors.WithMessage(err, path)
}

func parseAutopsy(text []byte) (a *Autopsy, err error) {
	defer func() { err = oneline.Error(err) }()
	a = new(Autopsy)
	if err := decodeStrictly(text, a); err != nil {
		return nil, errors.WithMessage(err, "no stored autopsy")
	}
	return a, a.Validate()
}

// Save writes the autopsy to path as one JSON object, whole or not at all.
func (a *Autopsy) Save(path string) error {
	text, err := a.encode()
	if err != nil {
		return err
	}
	return atomicfile.Write(path, text)
}

// encode is the content of the file.
func (a *Autopsy) encode() ([]byte, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	written := *a
	written.Missing = a.missing()
	text, err := json.Marshal(written)
	if err != nil {
		return nil, errors.Wrap(err, "dynamics: autopsy")
	}
	return results.Seal(text)
}

// missing says of each measured number that is none what it came out as.
func (a *Autopsy) missing() map[string]string {
	out := map[string]string{}
	for i, s := range a.Stitches {
		for way, c := range map[string]StitchCurve{"old_high": s.OldHigh, "old_low": s.OldLow} {
			c.FID.missing(fmt.Sprintf("stitches[%d].%s.fid", i, way), out)
			c.ClassAccuracy.missing(fmt.Sprintf("stitches[%d].%s.class_accuracy", i, way), out)
		}
	}
	for i, d := range a.Drifts {
		d.CKA.missing(fmt.Sprintf("drifts[%d].cka", i), out)
		d.Unbiased.missing(fmt.Sprintf("drifts[%d].unbiased", i), out)
	}
	for i, g := range a.Interference {
		g.Cosine.missing(fmt.Sprintf("interference[%d].cosine", i), out)
		g.HalvesOld.missing(fmt.Sprintf("interference[%d].halves_old", i), out)
		g.HalvesNew.missing(fmt.Sprintf("interference[%d].halves_new", i), out)
	}
	return out
}

// Validate reports arrays that do not fit each other.
func (a *Autopsy) Validate() error {
	n := len(a.Timesteps)
	if len(a.LogSNR) != n {
		return errors.Errorf("dynamics: %d timesteps with %d log-SNR; need one each", n, len(a.LogSNR))
	}
	for _, s := range a.Stitches {
		k := len(s.Thresholds)
		for _, c := range []StitchCurve{s.OldHigh, s.OldLow} {
			if len(c.FID) != k || len(c.ClassAccuracy) != k {
				return errors.Errorf("dynamics: %d thresholds with %d FIDs and %d accuracies; need one each", k, len(c.FID), len(c.ClassAccuracy))
			}
		}
		if s.Task < 0 || s.Task >= len(a.Tasks) {
			return errors.Errorf("dynamics: task %d of %d was stitched", s.Task, len(a.Tasks))
		}
	}
	for _, d := range a.Drifts {
		if len(d.CKA) != n || len(d.Unbiased) != n || d.Task < 0 || d.Task >= len(a.Tasks) {
			return errors.Errorf("dynamics: drift of task %d of %d has %d and %d values; need %d", d.Task, len(a.Tasks), len(d.CKA), len(d.Unbiased), n)
		}
	}
	for _, g := range a.Interference {
		if len(g.Cosine) != n || len(g.HalvesOld) != n || len(g.HalvesNew) != n || g.Task < 1 || g.Task >= len(a.Tasks) {
			return errors.Errorf("dynamics: interference of task %d of %d has %d, %d and %d values; need %d",
				g.Task, len(a.Tasks), len(g.Cosine), len(g.HalvesOld), len(g.HalvesNew), n)
		}
	}
	return nil
}
