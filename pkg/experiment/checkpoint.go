package experiment

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/results"
)

// state is everything a checkpoint holds beside the network's own file.
type state struct {
	Position    cl.Position          `json:"position"`
	Strategy    []byte               `json:"strategy"`          // the strategy's own form
	Sampler     []byte               `json:"sampler,omitempty"` // of timesteps, the loop's own form
	Evaluations []results.Evaluation `json:"evaluations"`       // so far
	Losses      []results.LossPoint  `json:"losses"`
	LossSum     float64              `json:"loss_sum"` // since the last loss point
	LossCount   int                  `json:"loss_count"`
	Cost        results.Cost         `json:"cost"` // so far
	BPD         *results.BPDProtocol `json:"bpd,omitempty"`
	Sensitivity []results.BPDVariant `json:"sensitivity,omitempty"`
	Outside     []results.OutsideBPD `json:"outside,omitempty"`
	Command     string               `json:"command"`
	Started     string               `json:"started"` // RFC 3339
	Commit      string               `json:"commit"`  // of the checkout when the run began
	Dirty       bool                 `json:"dirty"`   // it had changes then, or was another one when the run went on
}

// kept is how many checkpoints a run folder holds: the newest and one to fall back to.
const kept = 2

// checkpointName is a checkpoint's folder by phase and step within it; names sort by time.
const checkpointName = "phase%02d-step%06d"

// saveCheckpoint writes a complete checkpoint under a temporary name, renames it and removes old ones. A process
// killed at any moment leaves either the new checkpoint or the old one, never a part.
func (r *run) saveCheckpoint() error {
	stored, err := r.loop.Strategy.State()
	if err != nil {
		return errors.WithMessagef(err, "state of strategy %s", r.loop.Strategy.Info().Name)
	}
	sampler, err := r.loop.SamplerState()
	if err != nil {
		return errors.WithMessage(err, "state of the sampler of timesteps")
	}
	r.state.Position, r.state.Strategy, r.state.Sampler = r.loop.Position, stored, sampler
	text, err := json.Marshal(&r.state)
	if err != nil {
		return errors.Wrap(err, "checkpoint")
	}
	folder := filepath.Join(r.dir, "checkpoints")
	// The end of a phase has two: after its last step, and, as step 0 of the next phase, after
	// the measurements and the strategy's own work.
	p := r.state.Position
	final := filepath.Join(folder, fmt.Sprintf(checkpointName, p.Phase, p.Step))
	if _, err := os.Stat(final); err == nil {
		return nil // this very moment is already kept
	}
	err = writeFolder(final, func(temporary string) error {
		if err := r.loop.Network.Save(temporary); err != nil {
			return err
		}
		return atomicfile.Write(filepath.Join(temporary, "state.json"), text)
	})
	if err != nil {
		return errors.WithMessage(err, "checkpoint")
	}
	names, err := checkpoints(r.dir)
	if err != nil {
		return err
	}
	for _, old := range names[:max(0, len(names)-kept)] {
		if err := os.RemoveAll(filepath.Join(folder, old)); err != nil {
			return err
		}
	}
	return nil
}

// checkpoints lists the complete checkpoints of a run folder, oldest first, and clears away what a killed process
// left unfinished.
func checkpoints(dir string) ([]string, error) {
	folder := filepath.Join(dir, "checkpoints")
	if err := clearUnfinished(folder); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(folder)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// unfinished begins the names of folders that are being written.
const unfinished = ".writing-"

// writeFolder makes the folder final by write, which is given a temporary one beside it: a process killed at any moment
// leaves all of it or nothing.
func writeFolder(final string, write func(temporary string) error) error {
	parent := filepath.Dir(final)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(parent, unfinished)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	if err := write(temporary); err != nil {
		return err
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	if err := os.Rename(temporary, final); err != nil {
		return err
	}
	syncFolder(parent)
	return nil
}

// clearUnfinished removes from parent what a killed process was writing with writeFolder.
func clearUnfinished(parent string) error {
	left, err := filepath.Glob(filepath.Join(parent, unfinished+"*"))
	if err != nil {
		return err
	}
	for _, folder := range left {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}

// restore brings the run to its newest checkpoint, if it has one, and says whether it did.
func (r *run) restore() (bool, error) {
	names, err := checkpoints(r.dir)
	if err != nil || len(names) == 0 {
		return false, err
	}
	folder := filepath.Join(r.dir, "checkpoints", names[len(names)-1])
	advice := fmt.Sprintf("checkpoint %s is damaged; remove that folder to go on from the one before, or the whole run folder to start again", folder)
	text, err := os.ReadFile(filepath.Join(folder, "state.json"))
	if err != nil {
		return false, errors.WithMessage(err, advice)
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return false, errors.WithMessage(err, advice)
	}
	if err := r.loop.Network.Load(folder); err != nil {
		return false, errors.WithMessage(err, advice)
	}
	if err := r.loop.Strategy.Restore(s.Strategy); err != nil {
		return false, errors.WithMessage(err, advice)
	}
	if err := r.loop.RestoreSampler(s.Sampler); err != nil {
		return false, errors.WithMessage(err, advice)
	}
	r.loop.Position, r.state = s.Position, s
	return true, nil
}

// syncFolder makes a rename in folder durable where the system supports it.
func syncFolder(folder string) {
	if f, err := os.Open(folder); err == nil {
		_ = f.Sync()
		_ = f.Close()
	}
}
