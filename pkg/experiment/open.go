package experiment

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/words"
)

// Trained is the network of a run at its newest checkpoint.
type Trained struct {
	Config    Config
	Benchmark *datasets.Benchmark
	Network   *diffusion.Network
	Position  cl.Position

	// Warnings are lines for people: newer checkpoints that are damaged.
	Warnings []string

	loop    *cl.Loop
	measure *measurer
	close   func()
}

// OpenTrained loads the network of the run in the folder dir, finished, at work or neither, from its newest checkpoint that
// is whole. It changes nothing in the folder. Where the sets that the run was trained on hold other images now, it is refused with
// both content hashes. Close it.
func OpenTrained(back compute.Backend, dir string) (_ *Trained, err error) {
	if back == nil {
		return nil, errors.New("experiment.OpenTrained: no backend (nil); open one by backend.Open")
	}
	c, err := trainedConfig(dir)
	if err != nil {
		return nil, err
	}
	r := &run{config: c, dir: dir, log: io.Discard}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if err := r.build(context.Background(), back); err != nil {
		return nil, err
	}
	f, err := r.restore()
	if err == nil && f.name == "" {
		err = noCheckpoint(dir)
	}
	if err != nil {
		return nil, err
	}
	t := &Trained{Config: c, Benchmark: r.loop.Benchmark, Network: r.loop.Network, Position: r.state.Position, loop: r.loop, measure: r.measure, close: r.close}
	t.Warnings = f.warnings(dir)
	return t, nil
}

// warnings are lines for people about the checkpoints of the run in dir that were passed over.
func (f found) warnings(dir string) []string {
	var lines []string
	for _, d := range f.passed {
		lines = append(lines, fmt.Sprintf("warning: checkpoint %s of %s is damaged (%v): this is the network of %s, the one before it", d.name, dir, d.err, f.name))
	}
	return lines
}

// trainedConfig is the configuration of the run in the folder dir, for whoever opens its networks: one that was edited since is refused.
func trainedConfig(dir string) (Config, error) {
	c, err := StoredConfig(dir)
	if err != nil {
		return c, err
	}
	if began, from, err := keptSettings(dir); err == nil { // a run of an earlier version has kept none
		return c, errors.WithMessage(sameAsBegan(began, c), from)
	}
	return c, nil
}

// CheckTrained reports, before a backend is opened, that the folder dir has no run or no checkpoint for [OpenTrained], or other settings
// than it was made with.
func CheckTrained(dir string) error {
	if _, err := trainedConfig(dir); err != nil {
		return err
	}
	if found, err := atomicfile.Glob(dir, "checkpoints/*"); err != nil || len(found) == 0 {
		return noCheckpoint(dir)
	}
	return nil
}

// noCheckpoint is the error of a run folder that has no checkpoint.
func noCheckpoint(dir string) error {
	if isFinished(dir) {
		return errors.Errorf("the run in %s is finished, but its checkpoints are gone, and with them the network; make it again with `go run . run %s --dir FOLDER`",
			dir, words.Shell(filepath.Join(dir, configFile)))
	}
	if AtWork(dir) {
		return errors.Errorf("a run is at work in %s and has no checkpoint yet; wait for its first one", dir)
	}
	return errors.Errorf("%s has no checkpoint yet; train it with `go run . resume %s`", dir, words.Shell(dir))
}

// Close frees the network and all that was opened with it. Nothing of t must be used afterwards.
func (t *Trained) Close() { t.close() }

// AtTask calls f while Network is the one that generates a task's classes, see [cl.Loop.AtTask]. It matters for strategies
// whose network depends on the task at sampling: outside of AtTask it is as training left it.
func (t *Trained) AtTask(task int, f func() error) error { return t.loop.AtTask(task, f) }

// Denoiser is the trained network as samplers see it, with the run's choice of weights and guidance of its own, which is 0 to [diffusion.MostGuidance] and
// needs a network trained with labels left out (loop.label_dropout): with another each call of it is an error.
func (t *Trained) Denoiser(guidance float64) diffusion.Denoiser {
	if err := t.checkGuidance(guidance); err != nil {
		return refusing{err}
	}
	return guided(t.Network, guidance, t.Network.Denoiser(t.Config.Evaluate.EMA))
}

// checkGuidance reports a guidance that cannot be drawn with.
func (t *Trained) checkGuidance(guidance float64) error {
	if !(guidance >= 0 && guidance <= diffusion.MostGuidance) || guidance > 0 && t.Config.Loop.LabelDropout == 0 {
		return Refusef("guidance is %g; it needs 0 to %d, usually below 10, and a network trained with loop.label_dropout above 0", guidance, diffusion.MostGuidance)
	}
	return nil
}

// refusing is a denoiser that cannot be.
type refusing struct{ err error }

// Output implements [diffusion.Denoiser].
func (r refusing) Output([]float32, []int32, []int32) ([]float32, error) { return nil, r.err }
