package experiment

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
)

// kept is how many checkpoints a run folder holds: the newest and one to fall back to.
const kept = 2

// saveCheckpoint writes a complete checkpoint under a temporary name, renames it and removes old ones. A process
// killed at any moment leaves either the new checkpoint or the old one, never a part.
func (r *run) saveCheckpoint() error {
	r.report("save", false)
	if err := r.written(); err != nil {
		return err
	}
	write, err := r.checkpoint(false)
	if err != nil {
		return err
	}
	return write()
}

// saveBehind is saveCheckpoint that has the device go on: what the checkpoint holds is copied on it, and carried off it and written while
// training continues. One checkpoint is written at a time, so that they follow one another as ever; that it failed is known at the end of the next
// row of steps, or with [run.written]. Until it is there, a process that is killed goes on from the one before.
func (r *run) saveBehind() error {
	if err := r.written(); err != nil {
		return err
	}
	if !r.loop.Network.Apart() || !r.buffersStay() {
		return r.saveCheckpoint()
	}
	write, err := r.checkpoint(true)
	if err != nil {
		return err
	}
	writing := make(chan error, 1)
	r.writing = writing
	go func() { writing <- write() }()
	return nil
}

// written waits for the checkpoint that is being written, and returns its error.
func (r *run) written() error {
	if r.writing == nil {
		return nil
	}
	err := <-r.writing
	r.writing = nil
	return err
}

// failedBehind is [run.written] without waiting.
func (r *run) failedBehind() error {
	select {
	case err := <-r.writing: // never, where it is nil
		r.writing = nil
		return err
	default:
		return nil
	}
}

// buffersStay says that nothing has to be written of large buffers, and that they do not change while training goes on: an earlier
// checkpoint has them, and the stream has borders, at which they change.
func (r *run) buffersStay() bool {
	large := r.keepApart("")
	if len(large) == 0 {
		return true
	}
	earlier, err := checkpoints(r.dir)
	if err != nil || r.loop.Benchmark.Online {
		return false
	}
	for _, b := range large {
		sum, err := b.Sum()
		if err != nil || !slices.ContainsFunc(earlier, func(name string) bool {
			_, err := os.Stat(filepath.Join(r.dir, "checkpoints", name, bufferFile(sum)))
			return err == nil
		}) {
			return false
		}
	}
	return true
}

// checkpoint gathers what a checkpoint of this moment holds, and returns what writes it: now, or, where the network is copied, at any
// time.
func (r *run) checkpoint(copied bool) (write func() error, err error) {
	buffers := r.keepApart("")
	var stored []byte
	err = cl.Guard(func() (err error) { stored, err = r.loop.Strategy.State(); return err })
	if err != nil {
		return nil, errors.WithMessagef(err, "state of strategy %s", r.loop.Strategy.Info().Name)
	}
	sampler, err := r.loop.TimestepState()
	if err != nil {
		return nil, errors.WithMessage(err, "state of the sampler of timesteps")
	}
	s := &r.state
	if r.series != nil {
		if s.Dynamics, err = sumOfSeries(r.series); err != nil {
			return nil, err
		}
	}
	settings, err := yaml.Marshal(r.config)
	if err != nil {
		return nil, errors.Wrap(err, "configuration")
	}
	s.Settings = string(settings)
	learned := r.benchmark()
	s.Benchmark = &learned
	s.Version, s.Position, s.Strategy, s.Sampler = stateVersion, r.loop.Position, stored, sampler
	if len(buffers) > 0 {
		s.Version = apartVersion
	}
	// What would be refused when it is read is not worth writing.
	if err := s.check(r.loop.Plan()); err != nil {
		return nil, errors.WithMessage(err, "checkpoint")
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, errors.Wrap(err, "checkpoint")
	}
	saveNetwork, drop := r.loop.Network.Save, func() {}
	if copied {
		snapshot, err := r.loop.Network.Snapshot()
		if err != nil {
			return nil, errors.WithMessage(err, "checkpoint")
		}
		saveNetwork, drop = snapshot.Save, snapshot.Drop
	}
	// The end of a phase has two: after its last step, and, as step 0 of the next phase, after
	// the measurements and the strategy's own work.
	final := filepath.Join(r.dir, "checkpoints", checkpointName(s.Position))
	return func() error {
		defer drop()
		return errors.WithMessage(r.home.write(func() error {
			if _, err := os.Stat(final); err == nil {
				return nil // this very moment is already kept
			}
			if err := r.home.subfolder("checkpoints"); err != nil {
				return err
			}
			before, err := checkpoints(r.dir)
			if err != nil {
				return err
			}
			known := map[string]string{}
			err = writeFolder(final, known, func(temporary string) error {
				if err := saveNetwork(temporary); err != nil {
					return err
				}
				for _, b := range buffers {
					if err := saveBuffer(b, temporary, r.dir, before, known); err != nil {
						return err
					}
				}
				return atomicfile.Write(filepath.Join(temporary, stateFile), text)
			})
			if err != nil {
				return err
			}
			return rotate(r.dir)
		}), "checkpoint")
	}, nil
}

// rotate removes the checkpoints that are no longer kept.
func rotate(dir string) error {
	names, err := checkpoints(dir)
	if err != nil {
		return err
	}
	for _, old := range names[:max(0, len(names)-kept)] {
		if err := atomicfile.RemoveFolder(filepath.Join(dir, "checkpoints", old)); err != nil {
			return err
		}
	}
	return nil
}

// found is what became of looking for a checkpoint.
type found struct {
	name   string   // of the one that the run was brought to; "": it has none
	passed []damage // newer ones that are damaged
}

// restore brings the run to its newest checkpoint that is whole. It changes nothing in the run folder.
func (r *run) restore() (found, error) {
	touched := false
	name, passed, err := newestWhole(r.dir, func(folder string) error {
		s, err := readCheckpoint(folder, r.config, r.loop.Plan())
		if err != nil {
			return err
		}
		if touched { // a checkpoint before this one was read in part
			if err := r.renew(); err != nil {
				return err
			}
		}
		touched = true
		if err := r.loop.Network.Load(folder); err != nil {
			return err
		}
		r.keepApart(folder)
		if err := cl.Guard(func() error { return r.loop.Strategy.Restore(s.Strategy) }); err != nil {
			return err
		}
		if err := r.loop.RestoreTimesteps(s.Sampler); err != nil {
			return err
		}
		r.loop.Position, r.state = s.Position, *s
		return nil
	})
	if err != nil {
		return found{}, err
	}
	if name == "" && len(passed) > 0 {
		newest := passed[0]
		return found{}, errors.Errorf("checkpoint %s is damaged (%v), and so is every one before it; name another folder to start again",
			filepath.Join(r.dir, "checkpoints", newest.name), newest.err)
	}
	return found{name, passed}, nil
}

// damaged begins the names of checkpoints that were set aside.
const damaged = "damaged-"

// setAside renames damaged checkpoints, so that they are in nobody's way and nothing is lost. Only who holds the folder's
// lock may do so.
func (r *run) setAside(all []damage) error {
	folder := filepath.Join(r.dir, "checkpoints")
	for _, d := range all {
		to, err := freeName(filepath.Join(folder, damaged+d.name))
		if err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(folder, d.name), to); err != nil {
			return errors.WithStack(err)
		}
		r.warn("checkpoint %s is damaged (%v): it is kept as %s, and the run goes on from the one before it", d.name, d.err, to)
	}
	return nil
}

// onlyDamaged reports a run whose checkpoints have all been set aside: it must not start again as if it were new.
func onlyDamaged(dir string) error {
	entries, err := os.ReadDir(filepath.Join(dir, "checkpoints"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return errors.WithStack(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), damaged) {
			return errors.Errorf("%s has no checkpoint but %s, which is damaged; name another folder to start again", dir, filepath.Join("checkpoints", e.Name()))
		}
	}
	return nil
}
