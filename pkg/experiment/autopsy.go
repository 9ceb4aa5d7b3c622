package experiment

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/host"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// AutopsyConfig says what is asked, after the last task, of the networks that a run then keeps after each of its tasks:
// which timesteps carry the forgetting that samples show, how far representations have drifted, and how the tasks'
// gradients agree.
type AutopsyConfig struct {
	Images     int `yaml:"images"`     // of each task, for drift and gradients; 0: no autopsy
	Timesteps  int `yaml:"timesteps"`  // middles of as many equal strata, for drift and gradients
	Steps      int `yaml:"steps"`      // of DDIM, evenly spaced, by which stitched samples are drawn
	Thresholds int `yaml:"thresholds"` // at most this many timesteps at which stitched samples change over, of those DDIM visits
}

// validate reports settings no autopsy can be made with.
func (c AutopsyConfig) validate(timesteps int, conditional bool) error {
	switch {
	case c.Images == 0:
		return nil
	case c.Images < 4:
		return errors.Errorf("autopsy.images is %d; need at least 4 to compare representations", c.Images)
	case c.Timesteps < 1 || c.Timesteps > timesteps || c.Thresholds < 2 || c.Steps < 2 || c.Steps > timesteps:
		return errors.Errorf("autopsy.timesteps %d, steps %d, thresholds %d; need 1 to %d, 2 to %d, and 2 or more", c.Timesteps, c.Steps, c.Thresholds, timesteps, timesteps)
	case !conditional:
		return errors.New("autopsy asks for samples of single tasks; it needs network.conditional=true")
	}
	return nil
}

// snapshotFolder holds the network as it was after a task.
func snapshotFolder(dir string, task int) string {
	return filepath.Join(dir, "snapshots", fmt.Sprintf("after_task_%d", task))
}

// keepSnapshot keeps the network after the phase that has just ended, where somebody will ask for it.
func (r *run) keepSnapshot() error {
	if !r.keepsNetworks() {
		return nil
	}
	final := snapshotFolder(r.dir, r.loop.LastTask())
	_, err := os.Stat(final)
	if err == nil && wholeSnapshot(final) == nil {
		return nil // kept before the run was interrupted; the network is the same bit for bit
	}
	return errors.WithMessage(r.home.write(func() error {
		if err := r.home.subfolder("snapshots"); err != nil {
			return err
		}
		if err == nil { // a damaged one
			if err := atomicfile.RemoveFolder(final); err != nil {
				return err
			}
		}
		return writeFolder(final, nil, r.loop.Network.Save)
	}), "snapshot")
}

// wholeSnapshot reports a folder of a kept network that is not as it was written.
func wholeSnapshot(folder string) error {
	if _, err := checkSums(folder); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(folder, diffusion.StateFile))
	return err
}

// warnOfLost says, before the steps that are left, that there will be no autopsy, because the network after a task is gone or damaged.
func (r *run) warnOfLost() {
	if !r.hasAutopsy() || r.autopsyThere() == nil {
		return
	}
	for task := range r.loop.Position.Phase {
		if err := wholeSnapshot(snapshotFolder(r.dir, task)); err != nil {
			r.warn("%v", &lostSnapshot{r.dir, task, err})
			return
		}
	}
}

// lostSnapshot says that the network kept after a task of the run in dir cannot be had.
type lostSnapshot struct {
	dir  string
	task int
	err  error
}

// what says which network it is.
func (l *lostSnapshot) what() string {
	return fmt.Sprintf("the network kept after task %d is gone or damaged", l.task+1)
}

// Error implements error.
func (l *lostSnapshot) Error() string {
	return fmt.Sprintf("%s (%v), so that there is no autopsy; what else is in the run folder stays as it is, and for an autopsy "+
		"make the run again with `go run . run %s --dir FOLDER`", l.what(), l.err, words.Shell(filepath.Join(l.dir, configFile)))
}

// keepsNetworks says whether the network after each task is kept: for an autopsy, or because the run is told to.
func (r *run) keepsNetworks() bool {
	return r.hasAutopsy() || r.config.KeepNetworks && r.loop.Strategy.Info().Stream != cl.AllTasks
}

// hasAutopsy says whether there will be one: joint training has no moment before forgetting.
func (r *run) hasAutopsy() bool {
	return r.config.Autopsy.Images > 0 && r.loop.Strategy.Info().Stream != cl.AllTasks && len(r.loop.Benchmark.Tasks) > 1
}

// autopsyRows is about how many rows the autopsy runs through the network, a gradient counting as three.
func (r *run) autopsyRows() int {
	if !r.hasAutopsy() {
		return 0
	}
	return r.config.Autopsy.rows(len(r.loop.Benchmark.Tasks), r.config.Evaluate)
}

// rows is autopsyRows for a number of tasks learned one after another.
func (c AutopsyConfig) rows(tasks int, e EvaluateConfig) int {
	thresholds := min(c.Thresholds, c.Steps+1) // no more timesteps are visited
	return (tasks - 1) * (2*thresholds*e.SamplesPerTask*c.Steps*e.calls() + (2+2*backwardRows)*c.Images*c.Timesteps)
}

// snapshots is one compiled network that takes the weights of any of a run's tasks.
type snapshots struct {
	network *diffusion.Network
	loop    *cl.Loop
	dir     string
	loaded  int // the task whose weights it has; -1: unknown
	asked   int // the task that it generates, where it depends on that
	checked map[int]bool
}

// asTrained asks for the network as training left it, whatever task is to be generated.
const asTrained = -1

// use loads the weights kept after a task and, where the network depends on the task at sampling, makes them those that
// generate the task asked for; unless they are there.
func (s *snapshots) use(task, asked int) error {
	if s.loaded == task && (s.asked == asked || !s.loop.Switches()) {
		return nil
	}
	s.loaded, s.asked = -1, asked
	if err := s.loop.UseTask(asTrained); err != nil {
		return err
	}
	if err := s.load(snapshotFolder(s.dir, task), task); err != nil {
		return &lostSnapshot{s.dir, task, err}
	}
	if asked != asTrained {
		if err := s.loop.UseTask(asked); err != nil {
			return err
		}
	}
	s.loaded = task
	return nil
}

// load reads the weights kept after a task in a folder, which must be as it was written.
func (s *snapshots) load(folder string, task int) error {
	if !s.checked[task] {
		if _, err := checkSums(folder); err != nil {
			return err
		}
		s.checked[task] = true
	}
	return s.network.Load(folder)
}

// after is the network after a task as samplers see it.
type after struct {
	*snapshots
	task, asked int
	ema         bool
}

// Output implements [diffusion.Denoiser].
func (a after) Output(x []float32, t, y []int32) ([]float32, error) {
	if err := a.use(a.task, a.asked); err != nil {
		return nil, err
	}
	return a.network.Denoiser(a.ema).Output(x, t, y)
}

// Autopsy makes the autopsy of the finished run in the folder dir again, from the networks kept after each of its tasks.
// The run's own result stays as it is.
func Autopsy(ctx context.Context, dir string, opt Options) error {
	c, err := checkAutopsy(dir)
	if err != nil {
		return err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	r := &run{config: c, dir: dir, opt: opt, log: io.Discard, only: true, lock: lock}
	defer r.close()
	defer r.tellBuilding()()
	if lock.over != "" {
		r.say("%s", lock.over)
	}
	if r.home, err = newHome(dir); err != nil {
		return err
	}
	if err := clearUnfinished(dir); err != nil {
		return err
	}
	asked := c.Autopsy
	if c.KeepNetworks {
		// The checkpoint is of the settings that the run was made with.
		if r.config, err = StoredConfig(dir); err != nil {
			return err
		}
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	r.config.Autopsy = asked
	if err := r.config.checkExamined(r.loop.Benchmark); err != nil {
		return err
	}
	if !r.hasAutopsy() {
		return noSnapshots(dir)
	}
	r.clock = clock{rowsLeft: r.autopsyRows()}
	r.state.Command = opt.Command
	return r.makeAutopsy(ctx)
}

// CheckAutopsy reports, before a backend is opened, that no autopsy can be made of the run in the folder dir.
func CheckAutopsy(dir string) error {
	_, err := checkAutopsy(dir)
	return err
}

func checkAutopsy(dir string) (Config, error) {
	c, err := trainedConfig(dir)
	if err != nil {
		return c, err
	}
	if _, err := os.Stat(filepath.Join(dir, "result.json")); err != nil {
		return c, &study.Unfinished{Dir: dir, AtWork: AtWork(dir)}
	}
	if c.Autopsy.Images > 0 {
		return c, nil
	}
	if _, err := os.Stat(snapshotFolder(dir, 0)); !c.KeepNetworks || err != nil {
		return c, noSnapshots(dir)
	}
	c.Autopsy.Images = usualAutopsy // the networks are there, as keep_networks asked
	return c, errors.WithMessagef(c.Validate(), "the networks in %s were kept for no autopsy", dir)
}

// usualAutopsy is how many images of each task an autopsy looks at where nobody has said.
const usualAutopsy = 32

// noSnapshots is the error of a run that an autopsy has nothing to work on of.
func noSnapshots(dir string) error {
	return errors.Errorf("the run in %s kept no networks of its tasks; make it with --set autopsy.images=%d", dir, usualAutopsy)
}

// autopsyThere reports that the run's autopsy is not stored yet, or not as it was written.
func (r *run) autopsyThere() error {
	_, err := dynamics.LoadAutopsy(filepath.Join(r.dir, results.AutopsyFile))
	return err
}

// autopsy makes the run's autopsy and stores it, unless it is there. A run whose kept networks are damaged is finished without.
func (r *run) autopsy(ctx context.Context) error {
	if !r.hasAutopsy() || r.autopsyThere() == nil {
		return nil
	}
	err := r.makeAutopsy(ctx)
	if lost := new(lostSnapshot); errors.As(err, &lost) {
		r.warn("%v", lost)
		r.state.lacks(results.MissingAutopsy, lost.what())
		return nil
	}
	return err
}

// makeAutopsy makes the run's autopsy and stores it. The network ends with the weights it has after the last task.
func (r *run) makeAutopsy(ctx context.Context) error {
	start := time.Now()
	r.report("autopsy", true)
	c, b, process := r.config, r.loop.Benchmark, r.loop.Network.Process
	timesteps, err := dynamics.Strata(process.T, c.Autopsy.Timesteps)
	if err != nil {
		return err
	}
	a := &dynamics.Autopsy{T: process.T, Timesteps: timesteps, Command: r.state.Command}
	a.Commit, a.Dirty = host.Commit()
	for _, t := range b.Tasks {
		a.Tasks = append(a.Tasks, t.Name)
	}
	for _, t := range timesteps {
		a.LogSNR = append(a.LogSNR, process.LogSNR(t))
	}
	nets := &snapshots{network: r.loop.Network, loop: r.loop, dir: r.dir, loaded: -1, checked: map[int]bool{}}
	last := len(b.Tasks) - 1
	for task := range last {
		s, err := r.stitch(ctx, nets, task, last)
		if err != nil {
			return err
		}
		a.Stitches = append(a.Stitches, *s)
	}
	if a.Drifts, err = r.drift(ctx, nets, timesteps); err != nil {
		return err
	}
	if a.Interference, err = r.interference(ctx, nets, timesteps); err != nil {
		return err
	}
	if err := nets.use(last, asTrained); err != nil {
		return err
	}
	r.state.Cost.EvalSeconds += time.Since(start).Seconds()
	return r.home.write(func() error { return a.Save(filepath.Join(r.dir, results.AutopsyFile)) })
}

// thresholds are at most n timesteps at which it makes a difference which network answers: those the sampler visits, and
// T, where the second network answers alone.
func thresholds(sampler diffusion.SamplerConfig, s *diffusion.Schedule, n int) ([]int, error) {
	visited, err := sampler.Timesteps(s)
	if err != nil {
		return nil, err
	}
	all := append(slices.Clone(visited), s.T)
	all[0] = 0 // the same as the lowest visited one
	if len(all) <= n {
		return all, nil
	}
	some := make([]int, n)
	for i := range some {
		some[i] = all[i*(len(all)-1)/(n-1)]
	}
	return some, nil
}

// stitch samples an old task with the network just after it and the final one, stitched both ways.
func (r *run) stitch(ctx context.Context, nets *snapshots, task, last int) (*dynamics.Stitching, error) {
	c, m := r.config, r.measure
	s := &dynamics.Stitching{Task: task, Samples: c.Evaluate.SamplesPerTask, Steps: c.Autopsy.Steps}
	// Evenly spaced, because what decides about a class lies where few of the steps of a sampler even in log-SNR are.
	sampler := c.Evaluate.Sampler
	sampler.Name, sampler.Steps, sampler.Eta, sampler.Spacing = r.loop.Network.Process.EvenSampler(), c.Autopsy.Steps, 0, ""
	var err error
	if s.Thresholds, err = thresholds(sampler, r.loop.Network.Process.Schedule, c.Autopsy.Thresholds); err != nil {
		return nil, err
	}
	before, final := after{nets, task, task, c.Evaluate.EMA}, after{nets, last, task, c.Evaluate.EMA}
	for _, way := range []struct {
		high, low after
		curve     *dynamics.StitchCurve
	}{{before, final, &s.OldHigh}, {final, before, &s.OldLow}} {
		for _, threshold := range s.Thresholds {
			samples, err := m.sampleFrom(ctx, r.loop.Network, guided(r.loop.Network, r.config.Evaluate.Guidance, dynamics.Stitch{High: way.high, Low: way.low, Threshold: threshold}),
				sampler, task, r.rowsDone)
			if err != nil {
				return nil, err
			}
			judged, err := m.evaluator.Judge(*samples)
			if err != nil {
				return nil, err
			}
			numbers, err := m.evaluator.Task(task, judged, nil)
			if err != nil {
				return nil, err
			}
			if numbers.FID == nil || numbers.ClassAccuracy == nil {
				return nil, errors.New("autopsy: FID or class accuracy of stitched samples is not known; evaluate with a classifier and enough samples (evaluate.samples_per_task)")
			}
			way.curve.FID = append(way.curve.FID, *numbers.FID)
			way.curve.ClassAccuracy = append(way.curve.ClassAccuracy, *numbers.ClassAccuracy)
		}
	}
	return s, nil
}

// rowsDone reports to the clock and the user rows that went through the network.
func (r *run) rowsDone(rows int, seconds float64) {
	r.clock.rows(rows, seconds, backend.Building())
	r.report("autopsy", false)
}

// drift compares each old task's representation just after it was learned with the final one.
func (r *run) drift(ctx context.Context, nets *snapshots, timesteps []int) ([]dynamics.TaskDrift, error) {
	c, b := r.config, r.loop.Benchmark
	mid, err := nets.network.MidBlock(c.Evaluate.EMA)
	if err != nil {
		return nil, err
	}
	defer mid.Close()
	last := len(b.Tasks) - 1
	var all []dynamics.TaskDrift
	for task, t := range b.Tasks[:last] {
		probe, err := dynamics.NewProbe(nets.network.Process, []dynamics.Task{{Name: t.Name, Data: firstImages(c.Evaluate.Images(t), t.Classes, c.Autopsy.Images)}},
			dynamics.Options{Timesteps: timesteps, Batch: c.Evaluate.rows(), Seed: c.Seed})
		if err != nil {
			return nil, err
		}
		var at [2]*dynamics.Activations
		for i, of := range []int{task, last} {
			if err := nets.use(of, task); err != nil {
				return nil, err
			}
			start := time.Now()
			if at[i], err = probe.Activations(ctx, mid); err != nil {
				return nil, err
			}
			r.rowsDone(c.Autopsy.Images*len(timesteps), time.Since(start).Seconds())
		}
		d, err := at[1].Drift(at[0])
		if err != nil {
			return nil, err
		}
		all = append(all, dynamics.TaskDrift{Task: task, CKA: d.CKA, Unbiased: d.Unbiased})
	}
	return all, nil
}

// interference compares the gradients of each new task with those of the tasks before it, on training images, at the
// weights that the new task's training started from.
func (r *run) interference(ctx context.Context, nets *snapshots, timesteps []int) ([]dynamics.Interference, error) {
	c, b := r.config, r.loop.Benchmark
	gradient, err := nets.network.LossGradient(false, max(1, c.Autopsy.Images/2))
	if err != nil {
		return nil, err
	}
	defer gradient.Close()
	var all []dynamics.Interference
	for task := 1; task < len(b.Tasks); task++ {
		if err := nets.use(task-1, asTrained); err != nil {
			return nil, err
		}
		var old []*datasets.Images
		var classes []int
		for _, t := range b.Tasks[:task] {
			old, classes = append(old, t.Train), append(classes, t.Classes...)
		}
		before, err := datasets.Concat(old...)
		if err != nil {
			return nil, err
		}
		oldImages, newImages := firstImages(before, classes, c.Autopsy.Images), firstImages(b.Tasks[task].Train, b.Tasks[task].Classes, c.Autopsy.Images)
		for i := range newImages.IDs {
			newImages.IDs[i] += before.N // an image's noise goes by its ID: no two images may share theirs
		}
		start := time.Now()
		g := dynamics.Interference{Task: task}
		g.Cosine, g.HalvesOld, g.HalvesNew, err = dynamics.MeasureInterference(ctx, nets.network.Process, gradient,
			oldImages, newImages, timesteps, c.Seed)
		if err != nil {
			return nil, err
		}
		r.rowsDone(2*3*c.Autopsy.Images*len(timesteps), time.Since(start).Seconds())
		all = append(all, g)
	}
	return all, nil
}
