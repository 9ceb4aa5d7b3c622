package metrics

import (
	"fmt"
	"slices"

	"palimpsest/datasets"
	"palimpsest/pkg/results"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"
)

// EvaluatorOptions sets how an [Evaluator] measures. The zero value has the usual settings.
type EvaluatorOptions struct {
	K           int     // neighbours of PRDC; 0 is DefaultK
	CopyRatio   float64 // bound of the memorisation criterion; 0 is DefaultCopyRatio
	AllowSmallN bool    // compute FID even with fewer images than features: see FIDOptions
	// Labeller names the classes of images where the extractor cannot, as with Inception. Without
	// one, class accuracy and the label measures are not measured.
	Labeller Labeller
	// SharedClasses is the number of classes of each domain where the domains of a benchmark share
	// their labels but the labeller numbers the classes of one domain after those of the other: its
	// labels then count modulo this number. 0 is for all other benchmarks.
	SharedClasses int
	// Mirrored says that training mirrors images left to right, so that a mirrored copy is a copy.
	Mirrored bool
	// Store keeps what is computed of test and training images for other evaluators; nil keeps nothing.
	Store *FeatureStore
}

// Evaluator measures generated images against the test images of each task. The features, labels
// and statistics of the test images are computed once. It is not safe for concurrent use.
type Evaluator struct {
	extractor Extractor
	opt       EvaluatorOptions
	size      int // values an image
	tasks     []*taskReference
	unions    map[int]*unionReference // by the number of tasks, from the first
	copies    *yardstick              // nil until copies are looked for
	likely    likenesses
}

// unionReference is what is known of the test images of several tasks together.
type unionReference struct {
	stats *Stats
	vendi float64 // of features
}

// taskReference is what is known of a task's test images.
type taskReference struct {
	images   *datasets.Images
	train    *datasets.Images // nil: unknown
	features *mat.Dense
	seen     *mat.Dense // the labeller's features, nil without one
	stats    *Stats
	kernels  kernelSet   // of features
	manifold manifold    // of features
	labels   []int       // that the labeller sees, nil without one
	classes  map[int]int // images of each class, by their own labels
	clipped  float64     // share of pixel values at an end of their range
	vendi    float64     // of features
}

// shapeWords says what images of a shape are; a height of 0 stands for any.
func shapeWords(h, w, c int) string {
	colour := fmt.Sprintf("%d-channel", c)
	switch c {
	case 1:
		colour = "grey"
	case 3:
		colour = "colour"
	}
	if h == 0 {
		return colour + " images of any size"
	}
	return fmt.Sprintf("%s images of %d×%d", colour, h, w)
}

// shapeAdvice says how images come to what an extractor takes.
func shapeAdvice(h, c, has int) string {
	advice := ""
	if c != has && (c == 1 || c == 3) {
		advice += fmt.Sprintf("; prepare them with %d channels (benchmark.prep.channels)", c)
	}
	if h != 0 {
		advice += fmt.Sprintf("; prepare them at size %d (benchmark.prep.size)", h)
	}
	return advice + "; or take an extractor made for such images"
}

// NewEvaluator prepares the evaluation of tasks with the given extractor. It returns an error if
// an option is out of range, the test images are not of the size the extractor takes, if there are
// none, if a task has a class that the labeller does not know or of which there are none, or if the
// extractor gives the same features for all test images though they differ.
func NewEvaluator(extractor Extractor, tasks []datasets.Task, opt EvaluatorOptions) (*Evaluator, error) {
	switch {
	case extractor == nil:
		return nil, errors.New("metrics.NewEvaluator: no extractor; take one by metrics.LoadClassifier, OwnClassifier, LoadInception or LoadONNX")
	case opt.K < 0 || !(opt.CopyRatio >= 0 && opt.CopyRatio <= 1) || opt.SharedClasses < 0:
		return nil, errors.Errorf("metrics.NewEvaluator: K is %d, CopyRatio %g and SharedClasses %d; need 0 or more, 0 to 1 and 0 or more",
			opt.K, opt.CopyRatio, opt.SharedClasses)
	}
	if opt.K == 0 {
		opt.K = DefaultK
	}
	if opt.CopyRatio == 0 {
		opt.CopyRatio = DefaultCopyRatio
	}
	if l, ok := extractor.(Labeller); ok && opt.Labeller == nil {
		opt.Labeller = l
	}
	if err := CheckTasks(extractor, tasks, opt); err != nil {
		return nil, err
	}
	e := &Evaluator{extractor: extractor, opt: opt, unions: make(map[int]*unionReference), likely: likenesses{}, size: tasks[0].Test.ImageSize()}
	for j, task := range tasks {
		features, seen, labels, err := e.lookAtTest(task.Test)
		if err != nil {
			return nil, errors.WithMessagef(err, "metrics.NewEvaluator: test images of task %d", j)
		}
		stats, err := NewStats(features)
		if err != nil {
			return nil, errors.WithMessagef(err, "metrics.NewEvaluator: test images of task %d", j)
		}
		vendi, err := Vendi(features)
		if err != nil {
			return nil, errors.WithMessagef(err, "metrics.NewEvaluator: test images of task %d", j)
		}
		ref := &taskReference{images: task.Test, train: task.Train, features: features, seen: seen, stats: stats, labels: labels,
			kernels: kernelSet{features: features}, manifold: manifold{features: features, k: opt.K},
			classes: map[int]int{}, clipped: clippedShare(task.Test.Flat()), vendi: vendi}
		for _, c := range task.Test.Labels {
			ref.classes[int(c)]++
		}
		e.tasks = append(e.tasks, ref)
	}
	if e.blind() {
		return nil, errors.Errorf("metrics.NewEvaluator: %s gives the same %d features for all test images, which differ, so it cannot tell samples apart; "+
			"take another extractor, or another of its outputs", extractor.Name(), extractor.Dim())
	}
	return e, nil
}

// blind tells whether all test images have the same features though they are not the same.
func (e *Evaluator) blind() bool {
	features, pixels := e.tasks[0].features.RawRowView(0), e.tasks[0].images.Image(0)
	differ := false
	for _, t := range e.tasks {
		for i := range t.images.N {
			if !slices.Equal(t.features.RawRowView(i), features) {
				return false
			}
			differ = differ || !slices.Equal(t.images.Image(i), pixels)
		}
	}
	return differ
}

// CheckTasks reports what [NewEvaluator] refuses of tasks before it looks at their images. The extractor is nil where there is none yet.
func CheckTasks(extractor Extractor, tasks []datasets.Task, opt EvaluatorOptions) error {
	if len(tasks) == 0 {
		return errors.New("metrics.NewEvaluator: no tasks; need at least one")
	}
	if l, ok := extractor.(Labeller); ok && opt.Labeller == nil {
		opt.Labeller = l
	}
	for j, task := range tasks {
		if err := task.Test.Validate(); err != nil {
			return errors.WithMessagef(err, "metrics.NewEvaluator: test images of task %d", j)
		}
		if extractor != nil {
			if h, w, c := extractor.ImageShape(); c != task.Test.C || (h != 0 && (h != task.Test.H || w != task.Test.W)) {
				return errors.Errorf("metrics.NewEvaluator: test images of task %d are %s but %s takes %s", j,
					shapeWords(task.Test.H, task.Test.W, task.Test.C), extractor.Name(), shapeWords(h, w, c)+shapeAdvice(h, c, task.Test.C))
			}
		}
		if size, first := task.Test.ImageSize(), tasks[0].Test.ImageSize(); size != first {
			return errors.Errorf("metrics.NewEvaluator: images of task %d have %d values, those of task 0 %d; bring them to one size", j, size, first)
		}
		of := map[int]bool{}
		for _, c := range task.Test.Labels {
			of[int(c)] = true
		}
		for _, c := range task.Classes {
			if l := opt.Labeller; l != nil && (c < 0 || c >= opt.classes()) {
				return errors.Errorf("metrics.NewEvaluator: task %d has class %d but %s knows %d classes; "+
					"take a labeller trained on all classes of the benchmark", j, c, l.Name(), opt.classes())
			}
			if !of[c] {
				return errors.Errorf("metrics.NewEvaluator: task %d has no reference images of its class %d, so samples of it compare with nothing; "+
					"leave the class out, or hold out more images", j, c)
			}
		}
	}
	return nil
}

// classes returns the number of labels there are; there is a labeller.
func (o EvaluatorOptions) classes() int {
	if o.SharedClasses > 0 {
		return o.SharedClasses
	}
	return o.Labeller.Classes()
}

// look returns the extractor's features and, with a labeller, the labeller's and its labels.
func (e *Evaluator) look(pixels []float32, n int) (features, seen *mat.Dense, labels []int, err error) {
	if seen, labels, err = e.label(pixels, n); err != nil {
		return nil, nil, nil, err
	}
	if l := e.opt.Labeller; l != nil && l.Identity() == e.extractor.Identity() {
		return seen, seen, labels, nil
	}
	features, err = e.extractor.Features(pixels, n)
	return features, seen, labels, err
}

// lookAtTest is look for test images, whose features other evaluators may have computed.
func (e *Evaluator) lookAtTest(im *datasets.Images) (features, seen *mat.Dense, labels []int, err error) {
	all, err := e.opt.Store.matrices(func() ([]*mat.Dense, error) {
		features, seen, labels, err := e.look(im.Scaled(), im.N)
		if err != nil {
			return nil, err
		}
		if seen == features {
			seen = nil
		}
		var column *mat.Dense
		if labels != nil {
			column = mat.NewDense(len(labels), 1, nil)
			for i, l := range labels {
				column.Set(i, 0, float64(l))
			}
		}
		return []*mat.Dense{features, seen, column}, nil
	}, append(e.networksKey(), []byte("test images"), imagesKey(im))...)
	if err != nil {
		return nil, nil, nil, err
	}
	features, seen = all[0], all[1]
	if column := all[2]; column != nil {
		if seen == nil {
			seen = features
		}
		labels = make([]int, im.N)
		for i := range labels {
			labels[i] = int(column.At(i, 0))
		}
	}
	return features, seen, labels, nil
}

// networksKey are the parts of a key that say what looks at images and how.
func (e *Evaluator) networksKey() [][]byte {
	labeller := ""
	if e.opt.Labeller != nil {
		labeller = e.opt.Labeller.Identity()
	}
	return [][]byte{[]byte(e.extractor.Identity()), []byte(labeller), fmt.Append(nil, e.opt.SharedClasses, e.opt.Mirrored)}
}

// label returns the labeller's features and its labels; nil without one.
func (e *Evaluator) label(pixels []float32, n int) (seen *mat.Dense, labels []int, err error) {
	if e.opt.Labeller == nil {
		return nil, nil, nil
	}
	seen, labels, err = e.opt.Labeller.Judge(pixels, n)
	if err == nil && e.opt.SharedClasses > 0 {
		for i := range labels {
			labels[i] %= e.opt.SharedClasses
		}
	}
	return seen, labels, err
}

// Labels names the class that the labeller sees in each of n images, flat [n, H, W, C] in [-1, 1], as the benchmark numbers
// classes; nil without a labeller.
func (e *Evaluator) Labels(images []float32, n int) ([]int, error) {
	_, labels, err := e.label(images, n)
	return labels, err
}

// Describe writes into p what the evaluator compares with and how: the reference split, the
// number of reference images of the task with the fewest, extractor, K and ratio, the weights of tasks and, where the
// tasks have training images, the yardstick for copies.
func (e *Evaluator) Describe(p *results.Protocol) error {
	if p == nil {
		return errors.New("metrics.Evaluator.Describe: no protocol to write into (nil); need a *results.Protocol")
	}
	p.ReferenceSplit = "test"
	p.ReferenceImages = e.tasks[0].stats.N
	var images []int
	trained := true
	for _, t := range e.tasks {
		p.ReferenceImages, images = min(p.ReferenceImages, t.stats.N), append(images, t.stats.N)
		trained = trained && t.train != nil
	}
	var err error
	if p.TaskWeights, err = TaskWeights(images); err != nil {
		return err
	}
	p.Extractor, p.ExtractorSHA256, p.FeatureDim = e.extractor.Name(), e.extractor.Identity(), e.extractor.Dim()
	p.NearestK, p.MemorisedRatio = e.opt.K, e.opt.CopyRatio
	if c, ok := e.opt.Labeller.(interface {
		Protocol() *results.ClassifierProtocol
	}); ok {
		p.Classifier = c.Protocol()
	}
	if !trained {
		return nil
	}
	y, err := e.openYardstick()
	if err != nil {
		return err
	}
	p.Copies, p.FLDImages = &y.protocol, FLDImages
	return nil
}

// Samples are generated images.
type Samples struct {
	Images []float32 // flat [N, H, W, C], in [-1, 1] up to the sampler's error
	Labels []int     // [N], the class the sampler was given for each; nil for an unconditional model
}

// Judged are samples after the extractor has seen them.
type Judged struct {
	levels   []uint8 // of pixels, 0 .. 255
	pixels   []float32
	features *mat.Dense
	seen     *mat.Dense // the labeller's features, nil without one
	stats    *Stats
	labels   []int   // that the labeller sees
	wanted   []int   // that the sampler was given
	looked   *looked // nil until copies are looked for
	nearest  map[*copySet]found
}

// N returns the number of samples, 0 of the zero value, which no Evaluator has judged.
func (j *Judged) N() int {
	if j == nil || j.stats == nil {
		return 0
	}
	return j.stats.N
}

// notJudged is the error of samples that no Evaluator has judged.
func notJudged(who string) error {
	return errors.Errorf("%s: samples that were not judged (nil or the zero value); take them from Evaluator.Judge", who)
}

// Judge quantises samples to the 256 levels of real images, clamping what lies outside [-1, 1],
// and computes their features and labels. It returns an error if a value is not finite.
func (e *Evaluator) Judge(s Samples) (*Judged, error) {
	j, err := e.quantise(s)
	if err == nil {
		err = e.lookAtAll([]*Judged{j})
	}
	if err == nil {
		j.stats, err = NewStats(j.features)
	}
	return j, err
}

// quantise brings samples to the levels of real images.
func (e *Evaluator) quantise(s Samples) (*Judged, error) {
	if err := checkImages("metrics.Evaluator.Judge", s.Images, e.size); err != nil {
		return nil, err
	}
	n := len(s.Images) / e.size
	if n == 0 {
		return nil, errors.New("metrics.Evaluator.Judge: no samples; need at least 2")
	}
	if s.Labels != nil && len(s.Labels) != n {
		return nil, errors.Errorf("metrics.Evaluator.Judge: %d labels for %d samples; need one each, or nil", len(s.Labels), n)
	}
	j := &Judged{levels: make([]uint8, len(s.Images)), pixels: make([]float32, len(s.Images)), wanted: s.Labels}
	datasets.Unscale(j.levels, s.Images)
	datasets.Scale(j.pixels, j.levels)
	return j, nil
}

// lookAtAll computes features and labels of several sets of samples at once: the extractor's batches are of a fixed size,
// and a hundred samples leave most of one empty.
func (e *Evaluator) lookAtAll(sets []*Judged) error {
	var pixels []float32
	for _, j := range sets {
		pixels = append(pixels, j.pixels...)
	}
	features, seen, labels, err := e.look(pixels, len(pixels)/e.size)
	if err != nil {
		return err
	}
	start := 0
	for _, j := range sets {
		end := start + len(j.pixels)/e.size
		j.features, j.seen = rowsBetween(features, start, end), rowsBetween(seen, start, end)
		if labels != nil {
			j.labels = labels[start:end]
		}
		start = end
	}
	return nil
}

// rowsBetween are the rows start (included) to end (excluded) of m; nil of nil.
func rowsBetween(m *mat.Dense, start, end int) *mat.Dense {
	if m == nil {
		return nil
	}
	_, d := m.Dims()
	return m.Slice(start, end, 0, d).(*mat.Dense)
}

// Task measures samples of task j. FID, KID (full sets) and PRDC compare with the task's test
// images; class accuracy is the share of samples in which the labeller sees the class the sampler
// was given; the memorised shares are those of copies ([Neighbour.Copy]) among all samples against the whole sets, and copies
// the shares by the fixed yardstick, beside those of real images. Copies are not looked for if
// copies is nil.
//
// Samples of a conditional model count by the share that their class has of the task's test
// images, so that neither classes of unequal size nor a number of samples that the classes do not
// divide moves a number.
//
// A number is null, not 0, where it is not defined: class accuracy without labels or labeller,
// a memorised share without a set or with fewer than two distinct images in it. Everything else
// that goes wrong, such as fewer samples than features, is an error.
func (e *Evaluator) Task(j int, s *Judged, copies *CopySets) (results.TaskMetrics, error) {
	m := results.TaskMetrics{Task: j}
	if j < 0 || j >= len(e.tasks) {
		return m, errors.Errorf("metrics.Evaluator.Task: task %d; need 0 to %d", j, len(e.tasks)-1)
	}
	if s.N() == 0 {
		return m, notJudged("metrics.Evaluator.Task")
	}
	if copies != nil && copies.train == nil {
		return m, errors.New("metrics.Evaluator.Task: sets for copies that are empty; take them from Evaluator.CopySets, or nil to look for none")
	}
	ref := e.tasks[j]
	m.N = s.N()
	var weights []float64
	if s.wanted != nil {
		var err error
		if weights, err = rowWeights([]map[int]int{ref.classes}, [][]int{s.wanted}); err != nil {
			return m, errors.WithMessagef(err, "task %d", j)
		}
	}
	stats := s.stats
	if weights != nil {
		var err error
		if stats, err = newWeightedStats(s.features, weights); err != nil {
			return m, errors.WithMessagef(err, "task %d", j)
		}
	}
	fid, err := Frechet(ref.stats, stats, FIDOptions{AllowSmallN: e.opt.AllowSmallN})
	if err != nil {
		return m, errors.WithMessagef(err, "task %d", j)
	}
	prdc, err := ref.manifold.prdc(s.features, weights)
	if err != nil {
		return m, errors.WithMessagef(err, "task %d", j)
	}
	m.FID, m.KID = Measured(fid), Measured(ref.kernels.mmd2(s.features, weights))
	m.Precision, m.Recall = Measured(prdc.Precision), Measured(prdc.Recall)
	m.Density, m.Coverage = Measured(prdc.Density), Measured(prdc.Coverage)
	if s.labels != nil && s.wanted != nil {
		acc, err := weightedAccuracy(s.labels, s.wanted, weights)
		if err != nil {
			return m, err
		}
		m.ClassAccuracy = Measured(acc)
	}
	m.ClippedPixels, m.IdenticalSamples = Measured(clippedOf([]*Judged{s}, weights)), Measured(identicalShare([]*Judged{s}, weights))
	m.RealClippedPixels = Measured(ref.clipped)
	if m.Vendi, m.FLD, err = e.variety(j, j+1, s.features, weights); err != nil {
		return m, errors.WithMessagef(err, "task %d", j)
	}
	m.RealVendi = Measured(ref.vendi)
	if copies == nil {
		return m, nil
	}
	m.MemorisedBuffer, m.MemorisedTrain, m.Copies, err = e.copyShares(j, s, copies, weights)
	return m, err
}

// Union measures the samples of the first len(samples) tasks together, of an unconditional model
// all its samples in one element with tasks saying how many tasks it has seen; tasks is 0 for
// len(samples). FID compares with the test images of these tasks together.
//
// The label measures say whether all classes are covered: they compare what the labeller sees in
// the samples with what it sees in the test images, so that its own errors cancel. Samples of a
// conditional model, an element a task, count by the share that their class in their task has of the
// test images of these tasks, however many were drawn of each.
func (e *Evaluator) Union(samples []*Judged, tasks int) (results.UnionMetrics, error) {
	var m results.UnionMetrics
	if tasks == 0 {
		tasks = len(samples)
	}
	if len(samples) == 0 || tasks < 1 || tasks > len(e.tasks) {
		return m, errors.Errorf("metrics.Evaluator.Union: %d sets of samples for %d tasks; need at least 1 set and 1 to %d tasks",
			len(samples), tasks, len(e.tasks))
	}
	var features []*mat.Dense
	var labels, wanted, refLabels []int
	var asked [][]int
	conditional := true
	for _, s := range samples {
		if s.N() == 0 {
			return m, notJudged("metrics.Evaluator.Union")
		}
		features = append(features, s.features)
		labels, wanted, asked = append(labels, s.labels...), append(wanted, s.wanted...), append(asked, s.wanted)
		conditional = conditional && s.wanted != nil
	}
	var classes []map[int]int
	clipped, images := 0.0, 0
	for _, t := range e.tasks[:tasks] {
		classes = append(classes, t.classes)
		clipped, images = clipped+t.clipped*float64(t.images.N), images+t.images.N
	}
	var weights []float64
	if conditional {
		if len(samples) != tasks {
			return m, errors.Errorf("metrics.Evaluator.Union: %d sets of samples of given classes for %d tasks; need one a task", len(samples), tasks)
		}
		var err error
		if weights, err = rowWeights(classes, asked); err != nil {
			return m, err
		}
	}
	all := stack(features)
	generated, err := newWeightedStats(all, weights)
	if err != nil {
		return m, err
	}
	m.N = generated.N
	if m.Vendi, m.FLD, err = e.variety(0, tasks, all, weights); err != nil {
		return m, err
	}
	ref, err := e.union(tasks)
	if err != nil {
		return m, err
	}
	m.RealVendi = Measured(ref.vendi)
	fid, err := Frechet(ref.stats, generated, FIDOptions{AllowSmallN: e.opt.AllowSmallN})
	if err != nil {
		return m, err
	}
	m.FID = Measured(fid)
	m.ClippedPixels, m.IdenticalSamples = Measured(clippedOf(samples, weights)), Measured(identicalShare(samples, weights))
	m.RealClippedPixels = Measured(clipped / float64(images))
	if e.opt.Labeller == nil {
		return m, nil
	}
	if conditional {
		acc, err := weightedAccuracy(labels, wanted, weights)
		if err != nil {
			return m, err
		}
		m.ClassAccuracy = Measured(acc)
	}
	for _, t := range e.tasks[:tasks] {
		refLabels = append(refLabels, t.labels...)
	}
	p, err := LabelHistogram(refLabels, e.opt.classes())
	if err != nil {
		return m, err
	}
	q, err := weightedHistogram(labels, e.opt.classes(), weights)
	if err != nil {
		return m, err
	}
	kl, err := LabelKL(p, q)
	if err != nil {
		return m, err
	}
	ard, err := LabelARD(p, q)
	m.LabelKL, m.LabelARD = Measured(kl), Measured(ard)
	return m, err
}

// union returns what is known of the test images of the first tasks together.
func (e *Evaluator) union(tasks int) (*unionReference, error) {
	if r := e.unions[tasks]; r != nil {
		return r, nil
	}
	features := e.testFeatures(0, tasks)
	stats, err := NewStats(features)
	if err != nil {
		return nil, err
	}
	vendi, err := Vendi(features)
	if err != nil {
		return nil, err
	}
	e.unions[tasks] = &unionReference{stats, vendi}
	return e.unions[tasks], nil
}

// Evaluate measures everything after task i: samples[j] of task j, or nil where task j is not
// measured at this moment, whose numbers are then null and whose N is 0. The union is that of the
// tasks seen by then, 0 .. i; it is not measured, with N of 0, if one of them has no samples.
func (e *Evaluator) Evaluate(i int, samples []*Samples, copies *CopySets) ([]results.TaskMetrics, results.UnionMetrics, error) {
	var union results.UnionMetrics
	if i < 0 || i >= len(e.tasks) || len(samples) != len(e.tasks) {
		return nil, union, errors.Errorf("metrics.Evaluator.Evaluate: after task %d, samples of %d tasks; "+
			"need a task of 0 to %d and an element for each of the %d tasks", i, len(samples), len(e.tasks)-1, len(e.tasks))
	}
	judged := make([]*Judged, len(samples))
	var all []*Judged
	for j, s := range samples {
		if s == nil {
			continue
		}
		var err error
		if judged[j], err = e.quantise(*s); err != nil {
			return nil, union, errors.WithMessagef(err, "samples of task %d", j)
		}
		all = append(all, judged[j])
	}
	if len(all) > 0 {
		if err := e.lookAtAll(all); err != nil {
			return nil, union, err
		}
	}
	tasks := make([]results.TaskMetrics, len(samples))
	var seen []*Judged
	for j, s := range judged {
		tasks[j].Task = j
		if s == nil {
			continue
		}
		var err error
		if s.stats, err = NewStats(s.features); err != nil {
			return nil, union, errors.WithMessagef(err, "samples of task %d", j)
		}
		if tasks[j], err = e.Task(j, s, copies); err != nil {
			return nil, union, err
		}
		if j <= i {
			seen = append(seen, s)
		}
	}
	if len(seen) <= i {
		return tasks, union, nil
	}
	union, err := e.Union(seen, i+1)
	return tasks, union, err
}

// stack puts matrices of one width on top of one another.
func stack(parts []*mat.Dense) *mat.Dense {
	rows := 0
	for _, p := range parts {
		n, _ := p.Dims()
		rows += n
	}
	_, d := parts[0].Dims()
	out, at := mat.NewDense(rows, d, nil), 0
	for _, p := range parts {
		n, _ := p.Dims()
		out.Slice(at, at+n, 0, d).(*mat.Dense).Copy(p)
		at += n
	}
	return out
}
