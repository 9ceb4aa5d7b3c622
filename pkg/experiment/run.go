package experiment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/host"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/models"
	"palimpsest/pkg/results"
	"palimpsest/pkg/settings"
	"palimpsest/pkg/words"
)

// Options say where a run reports and what it runs on. The zero value takes the process's own backend and is silent.
type Options struct {
	Log      io.Writer      // lines for people, besides those in the run folder's log.txt; nil: none
	Progress func(Progress) // called a few times a second; nil: none
	Command  string         // what the user typed, stored with the result
	Backend  compute.Backend
	Choice   backend.Choice // how Backend was chosen; given with it
	Wait     bool           // for a process that is at work in the folder, or was; else that is an error

	putBack string // what [Resume] did to the folder's configuration; Log has it already
}

// lock keeps other processes out of the folder dir of a run of c.
func (o Options) lock(ctx context.Context, c Config, dir string) (*folderLock, error) {
	if !o.Wait {
		return lockFolder(dir)
	}
	return waitFolder(ctx, dir, func(line string) {
		if o.Log != nil {
			fmt.Fprintf(o.Log, "%s: %s\n", c.RunName(), line)
		}
	})
}

// lossEvery is the number of steps a stored loss averages over.
const lossEvery = 10

// run is one run at work.
type run struct {
	config        Config
	dir           string
	home          home // dir, once it is locked
	lock          *folderLock
	opt           Options
	log           io.Writer
	note          string // of the progress
	loop          *cl.Loop
	images        string // content hash of the loop's benchmark
	measure       *measurer
	features      *metrics.FeatureStore // nil: features of test and training images are computed
	probe         *dynamics.Probe       // nil: none
	series        *dynamics.Series
	damagedSeries error // why that on disk cannot be gone on with; nil: it can
	state         state
	clock         clock
	shown         time.Time
	stage         string
	fraction      float64 // the largest reported
	told          told
	loss          float64 // moving average of the task at hand; 0 while unknown
	back          compute.Backend
	choice        backend.Choice
	warnings      []string   // not yet reported
	extended      *extended  // the run that this process goes on with; nil: none, or the run has a checkpoint of its own already
	release       func()     // of the cores that the process is kept to; nil: it is not
	only          bool       // an autopsy is asked for: nothing is gone on with
	writing       chan error // of the checkpoint that is being written while training goes on; nil: none is
}

// Stopped is the error of a run that its context stopped; the folder goes on from there.
type Stopped struct {
	Step, Steps int // done, and in all
	err         error
}

// Error implements error.
func (s Stopped) Error() string {
	return fmt.Sprintf("stopped after step %d of %d (%v)", s.Step, s.Steps, s.err)
}

// Unwrap gives the context's error.
func (s Stopped) Unwrap() error { return s.err }

// Run makes the run c describes in the folder dir, going on from the newest checkpoint where the folder has one, and
// returns its stored result; a finished run is only read. When ctx ends it saves a checkpoint and returns [Stopped],
// which wraps ctx's error; the folder can be given to Run again. It refuses a folder that belongs to another configuration,
// and one that holds files but no configuration of a run.
//
// A folder becomes c's only once everything that can be known has been looked at: images opened, networks built and some
// images measured. Refused, c leaves no folder behind, and one that a run claimed but never began may be taken over.
func Run(ctx context.Context, c Config, dir string, opt Options) (*results.Run, error) {
	c, err := c.placed()
	if err != nil {
		return nil, err
	}
	if dir == "" {
		return nil, Refusef("the run has no folder; name one, such as runs/mine")
	}
	// Before anything is made in it: it may be anybody's.
	if _, _, err := claimable(c, dir); err != nil {
		return nil, err
	}
	undo, err := makeFolder(dir)
	if err != nil {
		return nil, err
	}
	lock, err := opt.lock(ctx, c, dir)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	over, claimed, err := claimable(c, dir)
	if err != nil {
		return nil, err
	}
	if r, err := results.Load(filepath.Join(dir, "result.json")); err == nil {
		if err := newImagesOfStudy().checkFinished(c, dir); err != nil {
			return nil, err
		}
		if err := follow(c, dir, func(line string) {
			if opt.Log != nil {
				fmt.Fprintln(opt.Log, line)
			}
		}); err != nil {
			return nil, err
		}
		if opt.Log != nil {
			fmt.Fprintf(opt.Log, "%s: already finished; result: %s\n", c.RunName(), filepath.Join(dir, "result.json"))
		}
		return r, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var early bytes.Buffer // lines from before the folder is the run's
	r := &run{config: c, dir: dir, opt: opt, log: &early, lock: lock}
	defer r.close()
	defer r.tellBuilding()()
	if lock.over != "" {
		r.say("%s", lock.over)
	}
	if over != "" {
		r.say("%s", over)
	}
	if opt.putBack != "" {
		logged(r.log, opt.putBack)
		r.warnings = append(r.warnings, "warning: "+opt.putBack)
	}
	if r.home, err = newHome(dir); err != nil {
		return nil, err
	}
	if claimed {
		if err := clearUnfinished(dir); err != nil {
			return nil, err
		}
	}
	failed := r.prepare(ctx)
	if failed != nil && !claimed {
		undo()
		return nil, failed
	}
	if !claimed {
		if err := take(c, dir, over != ""); err != nil {
			return nil, err
		}
	} else if failed == nil {
		if err := follow(c, dir, func(line string) { r.say("%s", line) }); err != nil {
			return nil, err
		}
	}
	logFile, err := os.OpenFile(filepath.Join(dir, logName), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	if _, err := early.WriteTo(logFile); err != nil {
		return nil, err
	}
	r.log = logFile
	if failed != nil {
		r.say("%s%v", stoppedLine, failed)
		return nil, failed
	}
	if err := r.train(ctx); err != nil {
		if err := r.written(); err != nil {
			r.say("the newest checkpoint could not be written: %v", err)
		}
		if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
			r.say("stopped after step %d of %d: %v", r.loop.Position.Total, r.loop.TotalSteps(), cause)
			err = Stopped{r.loop.Position.Total, r.loop.TotalSteps(), err}
		} else {
			what := stoppedLine
			if Diverged(err) {
				what = divergedLine
			}
			r.say("%s%s", what, Told(err))
		}
		return nil, err
	}
	return r.finish()
}

// Resume goes on with the run in the folder dir from its stored configuration, which it puts back first where it is damaged and a
// result or a checkpoint holds it.
func Resume(ctx context.Context, dir string, opt Options) (*results.Run, error) {
	said, err := putBack(dir)
	if err != nil {
		return nil, err
	}
	if opt.putBack = said; said != "" && opt.Log != nil {
		fmt.Fprintln(opt.Log, said)
	}
	c, err := StoredConfig(dir)
	if err != nil {
		return nil, err
	}
	return Run(ctx, c, dir, opt)
}

// StoredConfig reads the configuration of the run in the folder dir.
func StoredConfig(dir string) (Config, error) {
	path := filepath.Join(dir, configFile)
	if _, err := os.Stat(path); err != nil {
		if AtWork(dir) {
			return Config{}, errors.Errorf("a run is at work in %s and has not begun to train yet; wait for its first checkpoint", dir)
		}
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return Config{}, Refusef("there is no folder %s; name a folder that `run` or `bench` made", dir)
		}
		if _, _, err := keptSettings(dir); err == nil {
			return Config{}, &damagedConfig{path, "is gone"}
		}
		return Config{}, Refusef("%s is no run folder: it has no config.yaml; name a folder that `run` or `bench` made", dir)
	}
	text, err := ReadConfig(path)
	if err != nil {
		return Config{}, err
	}
	if _, err := settings.Document(path, text); err != nil {
		return Config{}, errors.Errorf("%v; mend it, or: %s", err, mendConfig(dir))
	}
	c, err := decodeStored(path, text)
	if err == nil {
		c, err = c.placed()
		err = errors.WithMessage(err, path)
	}
	if err != nil && errors.Is(err, fs.ErrNotExist) && strings.Contains(err.Error(), "benchmark.datasets") {
		err = errors.Errorf("%v; if it was moved, write its new place there: the same pictures go on", err)
	}
	return c, err
}

// close frees what the run holds on its backend, which the next run of this process may need.
func (r *run) close() {
	_ = r.written() // whoever could tell of an error has asked before
	if r.loop != nil {
		r.loop.Close()
		r.loop.Network.Close()
	}
	if r.measure != nil {
		r.measure.close()
	}
	if r.release != nil {
		r.release()
	}
}

// say writes a line to the log and to the user.
func (r *run) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	logged(r.log, line)
	if r.opt.Log != nil {
		fmt.Fprintf(r.opt.Log, "%s: %s\n", r.config.RunName(), line)
	}
}

// logged writes a line with its time.
func logged(log io.Writer, line string) {
	fmt.Fprintf(log, "%s %s\n", time.Now().UTC().Format(time.RFC3339), line)
}

// prepares says a line of what takes long before the first step, and shows it as progress.
func (r *run) prepares(line string) {
	r.say("%s", line)
	r.note = line
	r.report("prepare", true)
	r.note = ""
}

// lines is a writer of whole lines that says each.
type lines func(line string)

// Write implements [io.Writer].
func (say lines) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		say(strings.TrimSuffix(line, "\n"))
	}
	return len(text), nil
}

// warn says a line, and reports it to who sees no lines.
func (r *run) warn(format string, args ...any) {
	line := "warning: " + fmt.Sprintf(format, args...)
	r.say("%s", line)
	r.warnings = append(r.warnings, line)
}

// prepare builds everything and restores the newest checkpoint. It is for who holds the folder's lock.
func (r *run) prepare(ctx context.Context) error {
	r.report("prepare", true)
	environment := xlaEnvironment() // opening a backend adds to it
	cores, err := r.useCores()
	if err != nil {
		return err
	}
	r.back, r.choice = r.opt.Backend, r.opt.Choice
	if r.back == nil {
		if r.back, r.choice, err = backend.Shared(); err != nil {
			return err
		}
		r.say("%s", r.choice)
		if note := r.choice.Note(); note != "" {
			r.warn("%s", note)
		}
	}
	devices, err := r.config.Backend.devices(r.back)
	if err != nil {
		return err
	}
	r.sayDevices(devices)
	now, err := thisStretch(r.choice, cores, devices, environment)
	if err != nil {
		return err
	}
	r.features = featureStore(now)
	if err := r.build(ctx, r.back); err != nil {
		return err
	}
	f, err := r.restore()
	if err != nil {
		return err
	}
	c := r.config
	if f.name == "" {
		if err := onlyDamaged(r.dir); err != nil {
			return err
		}
		switch {
		case c.Extends.Run != "":
			err = r.extend()
		case c.Network.Knows != "":
			err = r.loop.KnowFirst(true)
		}
		if err != nil {
			return err
		}
	}
	r.sayHeld()
	p := r.loop.Position
	if f.name != "" || c.Extends.Run != "" {
		now.FromStep = p.Total
	}
	if f.name == "" {
		s := &r.state
		s.Command, s.Started, s.Commit = r.opt.Command, now.Started.Format(time.RFC3339), now.Commit
		r.say("%d steps of %d+%d rows, %s of %s, on %s", r.loop.TotalSteps(), c.Loop.FreshRows, r.loop.ReplayRows(), words.Count(len(r.loop.Benchmark.Tasks), "task"),
			r.loop.Benchmark.Name, countCores(cores))
	}
	if err := r.sameMaterial(); err != nil {
		return err
	}
	if err := r.setAside(f.passed); err != nil {
		return err
	}
	if f.name != "" && !r.only {
		r.say("going on after step %d of %d, on %s", p.Total, r.loop.TotalSteps(), countCores(cores))
	} else if c.Extends.Run != "" && !r.only {
		r.say("going on with the run in %s after its %s, step %d of %d", c.Extends.Run, words.Count(c.Extends.Tasks, "task"), p.Total, r.loop.TotalSteps())
	}
	if !r.only {
		r.sayWhatChanged(now)
	}
	for _, line := range r.loop.Strategy.Warnings() {
		r.say("warning: %s", line)
	}
	r.state.Dirty = r.state.Dirty || now.Dirty || known(r.state.Commit) && known(now.Commit) && r.state.Commit != now.Commit
	r.state.Stretches = append(r.state.Stretches, now)
	if err := r.openProbe(); err != nil {
		return err
	}
	if f.name == "" {
		if err := r.rehearse(); err != nil {
			return err
		}
	}
	measured, phases, tasks := len(r.state.Evaluations), r.loop.Phases(), len(r.loop.Benchmark.Tasks)
	r.clock = clock{stepsLeft: r.loop.TotalSteps() - p.Total,
		before: r.state.Cost.TrainSeconds / float64(max(1, p.Total)),
		rowsLeft: c.samplingRows(tasks, measured, phases) + (phases-measured)*c.BPD.rows(tasks) + r.probesLeft()*r.probeRows() +
			c.BPD.extraRows(tasks, len(bpdWays(c.Diffusion.Variance))) + r.autopsyRows(), spent: r.state.Cost.TrainSeconds + r.state.Cost.EvalSeconds}
	return nil
}

// sayHeld says where a device with a memory of its own has the training images from.
func (r *run) sayHeld() {
	switch held := r.loop.HeldImages(); {
	case held > 0:
		r.say("the device holds the %d training images", held)
	case r.loop.Network.Apart():
		r.say("training images are sent to the device with each step: they are more than %d MiB, or there are several devices", cl.HeldLimit>>20)
	}
}

// useCores keeps this process to the cores that the run asks for or, where it asks for none, had when it began, or the run had that
// it extends, and returns their number. Where the process cannot be kept to as many it says so.
func (r *run) useCores() (int, error) {
	cores := r.config.Cores
	if cores == 0 {
		// Not yet known to be whole: if this one is not, those before it had as many.
		_, _, err := newestWhole(r.dir, func(folder string) error {
			s, err := readState(folder)
			if err == nil && len(s.Stretches) > 0 {
				cores = s.Stretches[0].Cores
			}
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	if cores == 0 && r.config.Extends.Run != "" {
		// That it cannot be read is told when it is gone on with.
		if e, err := r.config.openExtended(); err == nil && len(e.done.Provenance.Stretches) > 0 {
			cores = min(e.done.Provenance.Stretches[0].Cores, backend.Cores())
		}
	}
	if cores == 0 {
		cores = backend.Cores()
	}
	used, release, err := backend.UseCores(cores)
	if err != nil {
		return 0, errors.WithMessage(err, "cores")
	}
	r.release = release
	if used != cores {
		r.warn("this run is made for %s, but its process runs on %d here: the last digits of its numbers may differ from those of another", countCores(cores), used)
	}
	return used, nil
}

// countCores writes a number of cores.
func countCores(n int) string {
	if n == 1 {
		return "1 core"
	}
	return fmt.Sprintf("%d cores", n)
}

// sameMaterial refuses to go on with another network of the metrics than the run began with, and stores which that and the images
// are. Other images have been refused when the checkpoint was read.
func (r *run) sameMaterial() error {
	s, extractor := &r.state, r.measure.extractor.Identity()
	if s.Extractor != "" && s.Extractor != extractor {
		return errors.Errorf("the run in %s was measured by another network (evaluate.extractor): its SHA-256 was %s, now it is %s; bring the first one back, or name another folder to start again",
			r.dir, s.Extractor, extractor)
	}
	if s.Images == "" && s.Position.Total > 0 {
		r.warn("an earlier version made the checkpoint: it has no checksums and does not say on which images; it is taken as it is, with those of content hash %s", r.images)
	}
	s.Images, s.Extractor = r.images, extractor
	if skipped := skippedImages(r.loop.Benchmark); len(skipped) > 0 {
		r.warn("%d pictures cannot be read and are left out (benchmark.prep.skip_broken), the first: %s", len(skipped), skipped[0])
	}
	return r.sameInit()
}

// sameInit refuses to go on from another model than the run began with: one that is learned again is to start from the same weights.
func (r *run) sameInit() error {
	name := r.config.Network.Init
	if name == "" {
		return nil
	}
	model, err := models.Get(name)
	if err != nil {
		return err
	}
	if began := r.state.Init; began != nil && began.SHA256 != model.SHA256 {
		return errors.Errorf("the run in %s began with a model %s whose SHA-256 was %s, that of the model %s here is %s; import the first one again, or name another folder to start again",
			r.dir, name, began.SHA256, name, model.SHA256)
	}
	r.state.Init = &results.Init{Name: name, SHA256: model.SHA256, Source: model.Source}
	return nil
}

// sayWhatChanged warns where the run goes on by other means than before.
func (r *run) sayWhatChanged(now results.Stretch) {
	all := r.state.Stretches
	if len(all) == 0 {
		return
	}
	if different := differencesOf(all[len(all)-1], now); len(different) > 0 {
		r.warn("from step %d on this run is made by other means (%s); its last digits may differ from those of a run made in one go, and result.json lists its stretches",
			now.FromStep, strings.Join(different, "; "))
	}
}

// renew makes network, strategy and loop again, at their beginning.
func (r *run) renew() error {
	bench := r.loop.Benchmark
	r.loop.Close()
	r.loop.Network.Close()
	var err error
	r.loop, err = r.config.newLoop(r.back, bench, r.measure)
	return err
}

// build makes benchmark, network, strategy, loop and measurer as the configuration says, at their beginning.
func (r *run) build(ctx context.Context, back compute.Backend) error {
	bench, err := r.config.LoadBenchmark()
	if err != nil {
		return err
	}
	warnings, err := datasets.Warnings(r.config.Benchmark.Datasets...)
	if err != nil {
		return err
	}
	for _, line := range warnings { // a study says it once for all of its runs, see [Study.Warnings]
		r.say("warning: %s", line)
	}
	if r.config.Network.Knows == KnowsSamples {
		if bench.Tasks[0].Train, err = r.config.remember(ctx, back, bench); err != nil {
			return err
		}
	}
	if r.images, err = bench.ContentHash(); err != nil {
		return err
	}
	if err := r.sameImages(); err != nil {
		return err
	}
	if r.measure, err = newMeasurer(ctx, back, r.config, bench, r.features, lines(r.prepares)); err != nil {
		return err
	}
	r.back = back
	r.loop, err = r.config.newLoop(back, bench, r.measure)
	return err
}

// sameImages refuses a folder whose run began on other images than there are now. It is asked before anything is made for these: of
// another number of classes, the checkpoints would not fit the network and pass for damaged.
func (r *run) sameImages() error {
	_, _, err := newestWhole(r.dir, func(folder string) error {
		s, err := readState(folder)
		if err != nil {
			return err
		}
		return s.sameImages(r.images, r.config.Benchmark.Datasets)
	})
	return err
}

// newLoop makes network, strategy and loop for a benchmark, at their beginning. m, where not nil, is what strategies look at
// images with.
func (c Config) newLoop(back compute.Backend, bench *datasets.Benchmark, m *measurer) (*cl.Loop, error) {
	process, err := diffusion.New(c.Diffusion)
	if err != nil {
		return nil, err
	}
	net, err := c.network(bench, process)
	if err != nil {
		return nil, err
	}
	devices, err := c.Backend.devices(back)
	if err != nil {
		return nil, err
	}
	network, err := diffusion.NewNetwork(back, process, net, c.Train, c.Seed)
	if err != nil {
		return nil, err
	}
	if err := network.Spread(devices); err != nil {
		network.Close()
		return nil, err
	}
	if c.Network.Init != "" {
		if err := c.startFrom(network); err != nil {
			network.Close()
			return nil, err
		}
	}
	strategy, err := cl.New(c.Strategy)
	if err != nil {
		network.Close()
		return nil, err
	}
	setup := cl.Setup{Seed: c.Seed, Learned: c.Extends.Tasks}
	if m != nil {
		setup.Features, setup.Judge = m.imageFeatures, m.judge
	}
	loop, err := cl.NewLoop(network, bench, strategy, c.Loop, setup)
	if err == nil && c.Network.Knows != "" {
		err = loop.KnowFirst(false)
	}
	if err != nil {
		network.Close()
		return nil, err
	}
	return loop, nil
}

// train does all steps, measurements and checkpoints that are left.
func (r *run) train(ctx context.Context) error {
	if err := r.checkSeries(); err != nil {
		return err
	}
	if r.extended != nil {
		if err := r.inherit(r.extended); err != nil {
			return err
		}
	}
	r.warnOfLost()
	if err := r.openEvents(); err != nil {
		return err
	}
	for l := r.loop; !l.Done(); {
		if err := r.trainPhase(ctx); err != nil {
			return err
		}
		// Killed while measuring, the run must not train the phase again.
		if err := r.saveCheckpoint(); err != nil {
			return err
		}
		if err := r.keepSnapshot(); err != nil {
			return err
		}
		if err := r.evaluate(ctx); err != nil {
			return err
		}
		r.report("end", true)
		if err := l.EndPhase(ctx); err != nil {
			return err
		}
		if err := r.saveCheckpoint(); err != nil {
			return err
		}
	}
	return r.examine(ctx)
}

// examine measures what needs the final network alone. Interrupted, it is done again.
func (r *run) examine(ctx context.Context) error {
	start := time.Now()
	for _, measure := range []func(context.Context) error{r.measureSensitivity, r.measureOutside} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	r.state.Cost.EvalSeconds += time.Since(start).Seconds()
	return r.autopsy(ctx)
}

// trainPhase does the steps left in the phase at hand.
func (r *run) trainPhase(ctx context.Context) error {
	l := r.loop
	r.loss = 0 // that of another task says nothing of this one
	for first := true; !l.PhaseDone(); first = false {
		if ctx.Err() != nil {
			if err := r.saveCheckpoint(); err != nil {
				return err
			}
			return ctx.Err()
		}
		compile := first && r.clock.stepSeconds == 0
		if compile {
			r.report("compile", true)
		} else if first {
			r.report("train", true)
		}
		start, building := time.Now(), backend.Building()
		row, failed := l.Steps(r.stride())
		seconds := time.Since(start).Seconds()
		if compile {
			r.state.Cost.CompileSeconds += seconds
			r.clock.stepsLeft -= len(row)
		} else {
			built := min(seconds, (backend.Building() - building).Seconds()) // a later task may have a program of its own
			r.state.Cost.CompileSeconds += built
			r.state.Cost.TrainSeconds += seconds - built
			for range row {
				r.clock.step((seconds - built) / float64(len(row)))
			}
		}
		for i, res := range row {
			step := l.Position.Total - len(row) + i + 1
			r.loss = average(r.loss, res.Loss, 0.1)
			r.state.LossSum += res.Loss
			r.state.LossCount++
			if step%lossEvery != 0 && (step < l.Position.Total || !l.PhaseDone()) {
				continue
			}
			r.state.Losses = append(r.state.Losses, results.LossPoint{Step: step, Task: l.LastTask(),
				Loss: r.state.LossSum / float64(r.state.LossCount)})
			r.state.LossSum, r.state.LossCount = 0, 0
			if err := r.logLoss(); err != nil {
				return err
			}
		}
		if failed != nil {
			return failed
		}
		if err := r.measureDynamics(ctx); err != nil {
			return err
		}
		r.report("train", false)
		if err := r.failedBehind(); err != nil {
			return err
		}
		if every := r.config.CheckpointEvery; every > 0 && l.Position.Total%every == 0 && !l.PhaseDone() {
			if err := r.saveBehind(); err != nil {
				return err
			}
		}
	}
	return nil
}

// stride is how many steps are to be done before anything has to be looked at: progress and the wish to stop a few times a second,
// the probe and checkpoints at their steps.
func (r *run) stride() int {
	n, total := r.loop.Stride(r.clock.stepSeconds), r.loop.Position.Total
	for _, every := range []int{r.config.CheckpointEvery, r.config.Probe.Every} {
		if every > 0 {
			n = min(n, every-total%every)
		}
	}
	return n
}

// evaluate measures the network after the phase that has just ended.
func (r *run) evaluate(ctx context.Context) error {
	start, building := time.Now(), backend.Building()
	r.report("measure", true)
	l := r.loop
	r.keepCost(l.Stored())
	done := 0
	e, picture, err := r.measure.evaluate(ctx, l, func(rows int, seconds float64) {
		done += rows
		r.clock.rows(rows, seconds, backend.Building())
		r.report("measure", false)
	})
	if err != nil {
		return err
	}
	if err := r.measureBPD(ctx, &e); err != nil {
		return err
	}
	e.Sheet = fmt.Sprintf("samples/after_task_%d.png", e.AfterTask)
	err = r.home.write(func() error {
		if err := r.home.subfolder("samples"); err != nil {
			return err
		}
		return atomicfile.Write(filepath.Join(r.dir, e.Sheet), picture)
	})
	if err != nil {
		return err
	}
	if r.state.Pictures == nil {
		r.state.Pictures = map[string]string{}
	}
	sum := sha256.Sum256(picture)
	r.state.Pictures[e.Sheet] = hex.EncodeToString(sum[:])
	r.state.Evaluations = append(r.state.Evaluations, e)
	if err := r.logEvents(r.evaluationEvents(e)); err != nil {
		return err
	}
	took := time.Since(start).Seconds()
	built := min(took, (backend.Building() - building).Seconds()) // the sampler's program, the first time
	r.state.Cost.CompileSeconds += built
	r.state.Cost.EvalSeconds += took - built
	r.say("%s", describe(e))
	for _, g := range r.loop.Generated() {
		if g.Task == e.AfterTask {
			r.say("%s", describeGenerated(g))
		}
	}
	return r.home.write(r.writeTables)
}

// keepCost folds what a strategy holds now into the run's cost.
func (r *run) keepCost(s cl.Stored) {
	c := &r.state.Cost
	images := s.StreamImages
	if s.Images != nil {
		images += s.Images.N
	}
	c.StoredImages = max(c.StoredImages, images)
	c.StoredBytes = max(c.StoredBytes, s.Bytes)
	c.StoredParameters = max(c.StoredParameters, s.Parameters)
	c.ExtraEvaluations = s.ExtraEvaluations
	c.PeakRSS = max(c.PeakRSS, host.PeakMemory())
}

// finish stores the result.
func (r *run) finish() (*results.Run, error) {
	r.state.Cost.PeakRSS = max(r.state.Cost.PeakRSS, host.PeakMemory())
	out, err := r.result()
	if err != nil {
		return nil, err
	}
	if err := r.home.write(func() error { return out.Save(filepath.Join(r.dir, "result.json")) }); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(r.state.Pictures)) {
		// What a checkpoint is gone on from says nothing of the pictures drawn before it.
		if sum, err := atomicfile.SHA256(filepath.Join(r.dir, name)); err != nil {
			r.warn("the samples in %s cannot be read: %v", name, err)
		} else if sum != r.state.Pictures[name] {
			r.warn("the samples in %s are not as they were drawn; the measurements are not touched by it", name)
		}
	}
	before := ""
	if r.state.Extends != nil {
		before = ", those of the run before it among them"
	}
	r.say("done in %s of training and %s of measuring%s", seconds(out.Cost.TrainSeconds), seconds(out.Cost.EvalSeconds), before)
	r.report("done", true)
	return out, nil
}

// report calls the progress callback, at most five times a second unless always.
func (r *run) report(stage string, always bool) {
	if !always && stage == r.stage && time.Since(r.shown) < 200*time.Millisecond {
		return
	}
	r.shown, r.stage = time.Now(), stage
	p := Progress{Run: r.config.RunName(), Loss: r.loss, Warnings: r.warnings, Note: r.note}
	r.warnings = nil
	if l := r.loop; l != nil {
		rows := l.Config.FreshRows + l.ReplayRows()
		p.Tasks, p.Step, p.Steps = len(l.Benchmark.Tasks), l.Position.Total, l.TotalSteps()
		p.Task = min(l.LastTask(), p.Tasks-1)
		if r.clock.stepSeconds > 0 && r.loss > 0 {
			p.ImagesPerSecond = float64(rows) / r.clock.stepSeconds
		}
		if left := r.clock.remaining(rows); left > 0 && (r.clock.stepSeconds+r.clock.before > 0 || r.clock.stepsLeft == 0) {
			p.ETA = time.Duration(left * float64(time.Second))
			p.Fraction = r.clock.spent / (r.clock.spent + left)
		}
	}
	if stage == "done" {
		p.Fraction, p.ETA = 1, 0
	}
	r.fraction = max(r.fraction, p.Fraction) // what is left may turn out to take longer than was thought
	p.Fraction = r.fraction
	if stage == "compile" {
		p = p.at("train", true)
	} else {
		p = p.at(stage, false)
	}
	r.tell(p)
}

// seconds writes a number of seconds as people do.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}
