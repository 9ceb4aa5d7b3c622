package experiment

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/results"
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
func OpenTrained(back compute.Backend, dir string) (*Trained, error) {
	if back == nil {
		return nil, errors.New("experiment.OpenTrained: no backend (nil); open one by backend.Open")
	}
	c, err := trainedConfig(dir)
	if err != nil {
		return nil, err
	}
	return open(dir, c, func(r *run) error { return r.build(context.Background(), back) })
}

// OpenToDraw is [OpenTrained] for who draws: it opens none of the images that the run has learned from, which may be elsewhere or gone. Those
// of the Benchmark are as many, and blank; features and likelihoods are errors. A run of an earlier version that is not finished has not
// stored what is needed of them, and is opened as by OpenTrained.
func OpenToDraw(back compute.Backend, dir string) (*Trained, error) {
	if back == nil {
		return nil, errors.New("experiment.OpenToDraw: no backend (nil); open one by backend.Open")
	}
	c, err := settledConfig(dir)
	if err != nil {
		return nil, err
	}
	bench := storedBenchmark(c, dir)
	if bench == nil {
		return OpenTrained(back, dir)
	}
	return open(dir, c, func(r *run) (err error) {
		r.back = back
		r.loop, err = c.newLoop(back, bench, nil)
		return err
	})
}

// open brings the run of c in the folder dir, made by build, to its newest checkpoint that is whole.
func open(dir string, c Config, build func(*run) error) (_ *Trained, err error) {
	r := &run{config: c, dir: dir, log: io.Discard}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if err := build(r); err != nil {
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

// withoutImages refuses what needs the images of a network that [OpenToDraw] has opened.
func (t *Trained) withoutImages() error {
	if t.measure == nil && t.loop != nil {
		return errors.New("the network was opened to draw, without the images that it learned from (experiment.OpenToDraw); open it by experiment.OpenTrained")
	}
	return nil
}

// storedBenchmark is what the run of c in dir has stored of its benchmark, with blank images; nil where it has not.
func storedBenchmark(c Config, dir string) *datasets.Benchmark {
	var of *results.Benchmark
	if r, err := results.Load(filepath.Join(dir, "result.json")); err == nil {
		of = &r.Benchmark
	} else if names, err := checkpoints(dir); err == nil {
		for _, name := range slices.Backward(names) {
			if s, err := wholeState(filepath.Join(dir, "checkpoints", name)); err == nil {
				of = s.Benchmark
				break
			}
		}
	}
	if of == nil {
		return nil
	}
	h, w := of.Sides()
	b := &datasets.Benchmark{Name: of.Dataset, ClassNames: of.ClassNames, Prep: c.Benchmark.Prep, H: h, W: w, C: of.Channels, Online: c.Benchmark.Stream == StreamOnline}
	pixels := make([]uint8, h*w*of.Channels)
	blank := func(n int, classes []int) *datasets.Images {
		images := &datasets.Images{N: n, H: h, W: w, C: of.Channels, Pixels: pixels, Rows: make([]int32, n), Labels: make([]int32, n)} // all are the one
		for i := range images.Labels {
			images.Labels[i] = int32(classes[i%len(classes)])
		}
		return images
	}
	for i, t := range of.Tasks {
		if len(t.Classes) == 0 {
			return nil
		}
		b.Tasks = append(b.Tasks, datasets.Task{ID: i, Name: t.Name, Classes: t.Classes, Train: blank(t.Train, t.Classes), Test: blank(t.Test, t.Classes)})
	}
	if b.Validate() != nil {
		return nil
	}
	return b
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
	if _, err := settledConfig(dir); err != nil {
		return Config{}, err
	}
	return StoredConfig(dir)
}

// settledConfig is [trainedConfig] that does not look whether the run could be made here and now: it was, and its images may be elsewhere.
func settledConfig(dir string) (Config, error) {
	c, err := claimedAs(dir)
	if err != nil {
		return StoredConfig(dir) // which says what is wrong
	}
	began, from, err := keptSettings(dir)
	if err != nil { // a run of an earlier version, or one that has kept nothing yet
		return StoredConfig(dir)
	}
	return c, errors.WithMessage(sameAsBegan(began, c), from)
}

// CheckTrained reports, before a backend is opened, that the folder dir has no run or no checkpoint for [OpenTrained], or other settings
// than it was made with; and what check, where not nil, says of asking such a run.
func CheckTrained(dir string, check func(Config, *diffusion.Process) error) error {
	c, err := settledConfig(dir)
	if err != nil {
		return err
	}
	if found, err := atomicfile.Glob(dir, "checkpoints/*"); err != nil || len(found) == 0 {
		return noCheckpoint(dir)
	}
	if check == nil {
		return nil
	}
	process, err := diffusion.New(c.Diffusion)
	if err != nil {
		return err
	}
	return check(c, process)
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
	if err := t.Config.checkGuidance(guidance); err != nil {
		return refusing{err}
	}
	return guided(t.Network, guidance, t.Network.Denoiser(t.Config.Evaluate.EMA))
}

// checkGuidance reports a guidance that the network of a run of c cannot be drawn from with.
func (c Config) checkGuidance(guidance float64) error {
	if !(guidance >= 0 && guidance <= diffusion.MostGuidance) || guidance > 0 && c.Loop.LabelDropout == 0 {
		return Refusef("guidance is %g; it needs 0 to %d, usually below 10, and a network trained with loop.label_dropout above 0", guidance, diffusion.MostGuidance)
	}
	return nil
}

// refusing is a denoiser that cannot be.
type refusing struct{ err error }

// Output implements [diffusion.Denoiser].
func (r refusing) Output([]float32, []int32, []int32) ([]float32, error) { return nil, r.err }
