package experiment

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/network"
	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// Check is [Config.Validate] and what can be known beyond it without a backend: it opens every image set, parts them into
// tasks, and sees whether network, extractor and metrics go with them. A run looks at the same and more before it
// claims its folder; a study checks all of its runs so before the first begins.
func (c Config) Check() error {
	if err := c.Validate(); err != nil {
		return err
	}
	bench, err := c.LoadBenchmark()
	if err != nil {
		return err
	}
	seen, err := c.checkRest(bench)
	if err != nil {
		return err
	}
	return c.checkStrategy(seen)
}

// CheckRun is [Config.Check] and whether dir can be the run's folder; of a finished run, which is only read, the latter alone.
func CheckRun(c Config, dir string) error {
	c, err := c.placed()
	if err != nil {
		return err
	}
	_, claimed, err := claimable(c, dir)
	if err != nil {
		return err
	}
	if isFinished(dir) {
		return newImagesOfStudy().checkFinished(c, dir)
	}
	if err := atomicfile.CheckFolder(dir); err != nil {
		return Refused{errors.WithMessagef(err, "folder %s", dir)}
	}
	if err := c.checkCores(claimed); err != nil {
		return err
	}
	if err := c.Check(); err != nil || c.Extends.Run == "" {
		return err
	}
	if began, err := checkpoints(dir); err == nil && len(began) > 0 {
		return nil
	}
	return c.checkExtended()
}

// checkCores refuses a run that is to begin on more cores than there are. One that began elsewhere goes on and says so.
func (c Config) checkCores(began bool) error {
	if have := backend.Cores(); c.Cores > have && !began {
		return errors.Errorf("cores is %d, but this process may run on %s; ask for no more than that, or leave it out", c.Cores, countCores(have))
	}
	return nil
}

// sound is a run that was looked at, but for its strategy: the setup that the strategy gets, and the network.
type sound struct {
	cl.Setup
	net network.Network
}

// checkRest looks at everything but the strategy on the images of c.
func (c Config) checkRest(bench *datasets.Benchmark) (sound, error) {
	process, err := diffusion.New(c.Diffusion)
	if err != nil {
		return sound{}, err
	}
	net, err := c.network(bench, process)
	if err != nil {
		return sound{}, err
	}
	if err := c.checkRows(net, c.Loop.ReplayRows, "loop.replay_rows"); err != nil {
		return sound{}, err
	}
	if err := c.checkSamples(bench, net); err != nil {
		return sound{}, err
	}
	if b := c.Benchmark; b.Scenario == ClassIncremental && len(b.Tasks) == 0 && len(bench.Tasks[0].Classes) < b.ClassesPerTask {
		has := len(bench.Tasks[0].Classes)
		return sound{}, errors.Errorf("benchmark.classes_per_task is %d, more than the classes to part into tasks, of which there are %d; take %d for one task of them all", b.ClassesPerTask, has, has)
	}
	if err := c.checkOutside(bench); err != nil {
		return sound{}, err
	}
	if err := c.checkExamined(bench); err != nil {
		return sound{}, err
	}
	setup := cl.SetupOf(bench, c.Loop, process)
	setup.Learned = c.Extends.Tasks
	return sound{setup, net}, c.checkExtractor(bench)
}

// mostValues is the number of values above which a single layer of a training step takes 8 GiB as float32. The gradient needs dozens
// of layers at a time.
const mostValues = 1 << 31

// rowValues is how many values a row has in the widest layer of a network, 0 where it does not say so.
func rowValues(net network.Network) float64 {
	if sized, ok := net.(interface{ RowValues() float64 }); ok {
		return sized.RowValues()
	}
	return 0
}

// checkRows refuses a training step of more rows than any machine trains at once; it replays so many, as the setting says.
func (c Config) checkRows(net network.Network, replayed int, setting string) error {
	rows, row := float64(c.Loop.FreshRows)+float64(replayed), rowValues(net)
	if rows*row > mostValues {
		return errors.Errorf("loop.fresh_rows is %d and %s %d; one layer of this network would hold %.2g values in a step of so many, and no machine holds all layers; "+
			"take %.0f rows or fewer in all", c.Loop.FreshRows, setting, replayed, rows*row, math.Floor(mostValues/row))
	}
	return nil
}

// checkSamples refuses batches and numbers of samples that no machine holds.
func (c Config) checkSamples(bench *datasets.Benchmark, net network.Network) error {
	e := c.Evaluate
	if rows, row := float64(e.rows()), rowValues(net); rows*row > mostValues {
		return errors.Errorf("evaluate.batch is %d; one layer of this network would hold %.2g values in a batch of so many; take %.0f or fewer", e.Batch, rows*row, math.Floor(mostValues/row))
	}
	if n, size := float64(e.SamplesPerTask), float64(bench.H*bench.W*bench.C); n*size > mostValues {
		return errors.Errorf("evaluate.samples_per_task is %d; those of one task would hold %.2g values, and a measurement holds those of all; take %.0f or fewer", e.SamplesPerTask, n*size, math.Floor(mostValues/size))
	}
	return nil
}

// checkStrategy sees whether the strategy could begin.
func (c Config) checkStrategy(seen sound) error {
	strategy, err := cl.New(c.Strategy)
	if err != nil {
		return err
	}
	if err := c.checkRows(seen.net, strategy.ReplayRows(c.Loop.ReplayRows), "the rows that "+c.Strategy.Name+" replays"); err != nil {
		return err
	}
	return cl.Check(strategy, seen.Setup)
}

// checkOutside opens the sets of bpd.outside. One with fewer images than are measured of the run's own is refused: all compare as many.
func (c Config) checkOutside(bench *datasets.Benchmark) error {
	for _, name := range c.BPD.Outside {
		images, _, err := c.outside(name, bench)
		if err != nil {
			return err
		}
		if want := c.BPD.outside(len(bench.Tasks)); images.N < want {
			return errors.Errorf("bpd.outside: %s has %d test images, and bpd.images is %d for each of %s, %d in all; take at most %d, or a set with more",
				name, images.N, c.BPD.Images, words.Count(len(bench.Tasks), "task"), want, images.N/len(bench.Tasks))
		}
	}
	return nil
}

// checkExtractor opens the extractor where it is a file, without computing by it, and sees whether it goes with the images, and whether
// there are enough samples and images for its features.
func (c Config) checkExtractor(bench *datasets.Benchmark) error {
	inner, err := inside(bench)
	if err != nil {
		return err
	}
	var extractor metrics.Extractor // nil: not known here
	features := metrics.FeatureDim
	if name := c.Evaluate.Extractor; name != "auto" {
		back, err := backend.PureGo()
		if err != nil {
			return err
		}
		defer back.Finalize()
		extractor, err = openExtractorFile(name, inner.H, inner.W, func(name string) (*metrics.ONNX, error) {
			return metrics.CompileONNX(back, name, inner.H, inner.W, inner.C)
		}, back)
		if features = 0; err == nil {
			features = extractor.Dim()
			if x, ok := extractor.(interface{ Close() }); ok {
				defer x.Close()
			}
		} else if extractor = nil; !errors.Is(err, compute.ErrNotImplemented) { // in pure Go; the run's own backend may have it
			return err
		}
	}
	tasks, options := c.measured(inner)
	if err := metrics.CheckTasks(extractor, tasks, options); err != nil {
		return err
	}
	if err := c.Evaluate.enough(features); err != nil {
		return err
	}
	return c.Evaluate.enoughImages(bench.Tasks, features)
}

// enoughImages reports a task with too few images to measure it against, for the number of features, 0 where it is not known, or with
// more classes than samples.
func (e EvaluateConfig) enoughImages(tasks []datasets.Task, features int) error {
	for j, t := range tasks {
		if err := e.enoughOf(fmt.Sprintf("%s (%s)", words.Task(j), t.Name), e.Images(t).N, features); err != nil {
			return err
		}
		if n := len(t.Classes); n > e.SamplesPerTask {
			return errors.Errorf("evaluate.samples_per_task is %d, but %s has %d classes; take at least one sample of each", e.SamplesPerTask, words.Task(j), n)
		}
	}
	return nil
}

// enoughOf reports n images as too few to measure a task against.
func (e EvaluateConfig) enoughOf(task string, n, features int) error {
	if n <= metrics.DefaultK {
		return errors.Errorf("%s has %d %s images; precision, recall, density and coverage compare each with its %d nearest, so it needs %d or more: "+
			"list its classes in one task with others (benchmark.tasks), or take a set with more", task, n, e.Reference, metrics.DefaultK, metrics.DefaultK+1)
	}
	if n < features && !e.AllowSmallN {
		return errors.Errorf("%s has %d %s images, fewer than the %d features of the extractor, where FID misleads; "+
			"take a larger set or more classes a task, or set evaluate.allow_small_n", task, n, e.Reference, features)
	}
	return nil
}

// FewTestImages is the error that a study of the user's own set at the usual settings would end with for its lack of test images, nil where
// it has enough or their numbers are not known.
func FewTestImages(s datasets.Info) error {
	if !s.Own || len(s.TestOf) != len(s.Classes) {
		return nil
	}
	c, first := DefaultConfig(), 0
	for of := range slices.Chunk(s.TestOf, c.Benchmark.ClassesPerTask) {
		n := 0
		for _, k := range of {
			n += k
		}
		name := fmt.Sprintf("%s (%s)", words.Task(first/c.Benchmark.ClassesPerTask), strings.Join(s.Classes[first:first+len(of)], " + "))
		if err := c.Evaluate.enoughOf(name, n, metrics.FeatureDim); err != nil {
			return err
		}
		first += len(of)
	}
	return nil
}

// checkExamined reports a task with fewer images than the probe, the likelihoods or the autopsy look at: all compare as many of each task.
func (c Config) checkExamined(bench *datasets.Benchmark) error {
	for j, t := range bench.Tasks {
		reference, train := c.Evaluate.Images(t), t.Train.CountPerClass(len(bench.ClassNames))
		own := 0 // where borders are blurred, a task's training images are not all of its classes
		for _, class := range t.Classes {
			own += train[class]
		}
		for _, need := range []struct {
			setting   string
			has, want int
			what      string
			asked     bool
		}{
			{"probe.images", reference.N, c.Probe.Images, c.Evaluate.Reference, c.Probe.Every > 0},
			{"bpd.images", reference.N, c.BPD.Images, c.Evaluate.Reference, c.BPD.Images > 0},
			{"autopsy.images", reference.N, c.Autopsy.Images, c.Evaluate.Reference, c.Autopsy.Images > 0},
			{"autopsy.images", own, c.Autopsy.Images, "training", c.Autopsy.Images > 0},
		} {
			if need.asked && need.has < need.want {
				return errors.Errorf("%s is %d, but %s (%s) has %d %s images of its classes; take at most as many, or none", need.setting, need.want, words.Task(j), t.Name, need.has, need.what)
			}
		}
	}
	return nil
}

// enough reports too few samples a task for the number of features.
func (e EvaluateConfig) enough(features int) error {
	switch {
	case !e.AllowSmallN && e.SamplesPerTask < features:
		return errors.Errorf("evaluate.samples_per_task is %d, fewer than the %d features of the extractor, where FID misleads; "+
			"take at least %d, or set evaluate.allow_small_n and compare equal numbers only", e.SamplesPerTask, features, features)
	case e.SamplesPerTask <= metrics.DefaultK:
		return errors.Errorf("evaluate.samples_per_task is %d; precision and recall compare each with its %d nearest, so take more than that",
			e.SamplesPerTask, metrics.DefaultK)
	}
	return nil
}

// Check is [Study.Validate], and [Config.Check] of all runs but the finished ones: those are only read, and on a machine that
// has their results it need not be possible to make them again. Where their images are there, though, they must be those that
// the results say they were made on: numbers of other images are neither repeated nor set beside new ones. What is the same in several runs is looked at once, and a
// study that was found sound, which its Runs must then stay as they were, is not looked at again.
func (s *Study) Check() error {
	if s.checked {
		return nil
	}
	if err := s.Validate(); err != nil {
		return err
	}
	if info, err := os.Stat(s.Dir); err == nil && !info.IsDir() {
		return Refusef("%s is no folder; name one for the run folders", s.Dir)
	}
	for _, name := range []string{configFile, "result.json", "checkpoints"} {
		if _, err := os.Stat(filepath.Join(s.Dir, name)); err == nil {
			return Refusef("%s is the folder of a single run (it holds %s); name another for a study, which makes run folders in it", s.Dir, name)
		}
	}
	if slices.ContainsFunc(s.Runs, func(c Config) bool { return !isFinished(filepath.Join(s.Dir, c.RunName())) }) {
		if err := atomicfile.CheckFolder(s.Dir); err != nil {
			return Refused{errors.WithMessagef(err, "folder %s", s.Dir)}
		}
	}
	images := newImagesOfStudy()
	for _, c := range s.Runs {
		dir := filepath.Join(s.Dir, c.RunName())
		if err := images.checkFinished(c, dir); err != nil {
			return err
		}
		if err := images.checkMoved(c, dir); err != nil {
			return err
		}
	}
	seen := map[string]sound{}
	for _, c := range s.Runs {
		if isFinished(filepath.Join(s.Dir, c.RunName())) {
			continue
		}
		looked := c
		looked.Name, looked.Variant, looked.Seed, looked.Strategy = "", "", 0, DefaultConfig().Strategy
		text, err := yaml.Marshal(looked)
		if err != nil {
			return errors.Wrap(err, "configuration")
		}
		one, ok := seen[string(text)]
		if !ok {
			var bench *datasets.Benchmark
			if bench, err = images.load(c); err == nil {
				one, err = c.checkRest(bench)
			}
			seen[string(text)] = one
		}
		if err == nil && !s.Elsewhere {
			_, missing := os.Stat(filepath.Join(s.Dir, c.RunName(), configFile))
			err = c.checkCores(missing == nil)
		}
		if err == nil {
			err = c.checkStrategy(one)
		}
		if err != nil {
			return unsound{errors.WithMessagef(err, "run %s", c.RunName())}
		}
	}
	s.checked = true
	return nil
}

// Warnings are lines about image sets of the study's runs that go together badly, see [datasets.Warnings], each line once.
func (s Study) Warnings() (all []string, err error) {
	for _, c := range s.Runs {
		lines, err := datasets.Warnings(c.Benchmark.Datasets...)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			if !slices.Contains(all, line) {
				all = append(all, line)
			}
		}
	}
	return all, nil
}

// unsound is the error of a study of which a run's settings cannot be made a run of.
type unsound struct{ error }

// Unwrap gives the error itself.
func (u unsound) Unwrap() error { return u.error }

// Blame makes an error of [Study.Check] one of [Refused] where the YAML configuration text, which label names, is sound by itself:
// then what the command line adds to it is at fault.
func Blame(err error, label string, text []byte) error {
	if !errors.As(err, new(unsound)) {
		return err
	}
	if alone, broken := OverrideConfig(label, text, nil); broken == nil && alone.Check() == nil {
		return refuse(err)
	}
	return err
}

// imagesOfStudy loads the benchmarks of a study's runs. It keeps one at a time, and of all the content hashes: runs of one
// benchmark, which mostly follow one another, load it once.
type imagesOfStudy struct {
	key    string // of the benchmark that is kept
	bench  *datasets.Benchmark
	hashes map[string]string // by key; "" where the images cannot be had
}

func newImagesOfStudy() *imagesOfStudy { return &imagesOfStudy{hashes: map[string]string{}} }

// keyOf is the settings that decide on the images of c.
func (*imagesOfStudy) keyOf(c Config) (string, error) {
	text, err := yaml.Marshal(c.Benchmark)
	return string(text), errors.Wrap(err, "configuration")
}

// load is [Config.LoadBenchmark].
func (s *imagesOfStudy) load(c Config) (*datasets.Benchmark, error) {
	key, err := s.keyOf(c)
	if err != nil || s.bench != nil && s.key == key {
		return s.bench, err
	}
	bench, err := c.LoadBenchmark()
	if err != nil {
		return nil, err
	}
	s.key, s.bench = key, bench
	return bench, nil
}

// checkFinished refuses a finished run of c in dir that saw other images than there are now. Left alone are results that do not
// say what they saw, images that are not on this machine, and those that the network of a run drew, which only a run can.
func (s *imagesOfStudy) checkFinished(c Config, dir string) error {
	path := filepath.Join(dir, "result.json")
	if _, err := os.Stat(path); err != nil || c.Network.Knows == KnowsSamples {
		return nil
	}
	if _, claimed, err := claimable(c, dir); err != nil || !claimed {
		return nil // of other settings, which claiming the folder tells
	}
	r, err := results.Load(path)
	if err != nil {
		return err
	}
	saw := r.Provenance.ImagesSHA256
	if saw == "" {
		return nil
	}
	now, err := s.hash(c)
	if err != nil || now == "" || now == saw {
		return err
	}
	return errors.Errorf("the finished run in %s saw other images: their content hash was %s, that of what `%s` has here now is %s; "+
		"bring the first ones back (a set fetched since may have taken the place of another, or the files were changed), or name another folder for the study",
		dir, saw, strings.Join(c.Benchmark.Datasets, ", "), now)
}

// hash is the content hash of the images of c, "" where they cannot be had.
func (s *imagesOfStudy) hash(c Config) (string, error) {
	key, err := s.keyOf(c)
	if err != nil {
		return "", err
	}
	now, ok := s.hashes[key]
	if !ok {
		if bench, err := s.load(c); err == nil {
			if now, err = bench.ContentHash(); err != nil {
				return "", err
			}
		}
		s.hashes[key] = now
	}
	return now, nil
}

// checkMoved refuses a begun run of c in dir whose settings name another place of its images, unless these are the same.
func (s *imagesOfStudy) checkMoved(c Config, dir string) error {
	if _, claimed, err := claimable(c, dir); err != nil || !claimed {
		return nil // which claiming the folder tells
	}
	have, err := claimedAs(dir)
	if err != nil || moved(have, c, dir) == "" {
		return err
	}
	now, err := s.hash(c)
	if err != nil || now == "" {
		return err
	}
	_, _, err = newestWhole(dir, func(folder string) error {
		began, err := readState(folder)
		if err != nil {
			return err
		}
		return began.sameImages(now, c.Benchmark.Datasets)
	})
	return refuse(err)
}

// rehearse measures some real images as if they were samples, the way every evaluation will measure those of the network,
// and opens what only the end of the run needs: what would fail then fails before the first step.
func (r *run) rehearse() error {
	if err := r.config.checkOutside(r.loop.Benchmark); err != nil {
		return err
	}
	if err := r.config.checkExamined(r.loop.Benchmark); err != nil {
		return err
	}
	return errors.WithMessage(r.measure.rehearse(), "the first measurement would fail")
}

// quickFeatures is the number of features up to which a rehearsal costs a fraction of a second. Inception's, of which as
// many images must be seen, would take minutes.
const quickFeatures = 256

// quickImages is the number of images up to which a rehearsal is quick: their distances to one another grow with its square, and of
// a task of thousands of classes it would need one of each.
const quickImages = 2000

// rehearse sees whether every task has the images that the metrics ask for, and evaluates, once, reference images of the
// first in the place of samples: one batch for the extractor, which the pure-Go backend takes seconds for. No more than the
// metrics ask for are taken: what they need, they need the least of.
func (m *measurer) rehearse() error {
	e, dim := m.config.Evaluate, m.extractor.Dim()
	if err := e.enough(dim); err != nil {
		return err
	}
	if err := e.enoughImages(m.bench.Tasks, dim); err != nil {
		return err
	}
	if dim > quickFeatures || len(m.bench.Tasks[0].Classes) > quickImages {
		return nil
	}
	few := *m
	few.config.Evaluate.SamplesPerTask = min(e.SamplesPerTask, max(dim, metrics.DefaultK, len(m.bench.Tasks[0].Classes))+1)
	reference, labels := e.Images(m.bench.Tasks[0]), few.labels(0)
	size := reference.ImageSize()
	s := &metrics.Samples{Images: make([]float32, len(labels)*size)}
	for i, y := range labels {
		datasets.Scale(s.Images[i*size:(i+1)*size], reference.Image(i%reference.N))
		if m.config.Network.Conditional {
			s.Labels = append(s.Labels, int(y))
		}
	}
	samples := make([]*metrics.Samples, len(m.bench.Tasks))
	samples[0] = s
	var err error
	if m.config.Network.Conditional {
		_, _, err = m.evaluator.Evaluate(0, samples, nil)
	} else {
		_, _, err = m.unconditional(0, samples[:1], nil)
	}
	if err != nil {
		return err
	}
	_, err = few.sheet(slices.Repeat([]*metrics.Samples{s}, len(samples)))
	return err
}
