package experiment

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
	"palimpsest/pkg/sheet"
	"palimpsest/pkg/words"
)

// sheetColumns is how many samples of each class a stored sheet shows.
const sheetColumns = 10

// measurer measures the network of one run.
type measurer struct {
	config    Config
	bench     *datasets.Benchmark // without the border that the preparation adds
	extractor metrics.Extractor
	evaluator *metrics.Evaluator
}

// newMeasurer loads the extractor and prepares the reference images of every task, whose features it takes from the store
// where that is not nil and has them.
func newMeasurer(ctx context.Context, back compute.Backend, c Config, bench *datasets.Benchmark, store *metrics.FeatureStore, out io.Writer) (_ *measurer, err error) {
	if bench, err = inside(bench); err != nil {
		return nil, err
	}
	m := &measurer{config: c, bench: bench}
	if m.extractor, err = openExtractor(ctx, back, c, bench.H, bench.W, bench.C, out); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	tasks, options := c.measured(bench)
	options.Store = store
	m.evaluator, err = metrics.NewEvaluator(m.extractor, tasks, options)
	return m, err
}

// measured are the tasks of a benchmark with the images that samples are compared with as their test images, and how.
func (c Config) measured(bench *datasets.Benchmark) ([]datasets.Task, metrics.EvaluatorOptions) {
	tasks := slices.Clone(bench.Tasks)
	for i, t := range tasks {
		tasks[i].Test = c.Evaluate.Images(t)
	}
	options := metrics.EvaluatorOptions{AllowSmallN: c.Evaluate.AllowSmallN, Mirrored: bench.Prep.Flip}
	if c.Benchmark.SharedLabels {
		options.SharedClasses = len(bench.ClassNames)
	}
	return tasks, options
}

// close frees the extractor.
func (m *measurer) close() {
	if c, ok := m.extractor.(interface{ Close() }); ok {
		c.Close()
	}
}

// inside is a benchmark without the border that its preparation adds: metrics look at what is inside, so that they
// compare with those of other borders.
func inside(bench *datasets.Benchmark) (*datasets.Benchmark, error) {
	border := bench.Prep.Border
	if border == 0 {
		return bench, nil
	}
	b := *bench
	b.H, b.W, b.Prep.Border = b.H-2*border, b.W-2*border, 0
	b.Tasks = slices.Clone(b.Tasks)
	for i := range b.Tasks {
		t := &b.Tasks[i]
		for _, split := range []**datasets.Images{&t.Train, &t.Val, &t.Test} {
			if *split == nil {
				continue
			}
			cropped, err := (*split).Crop(border)
			if err != nil {
				return nil, err
			}
			*split = cropped
		}
	}
	return &b, nil
}

// openExtractor returns the network whose features the metrics compare, for images of the given sides and channels: of a file, the shipped
// classifier of the sets, or one that is trained on them, once, with a line of progress now and then to out.
func openExtractor(ctx context.Context, back compute.Backend, c Config, h, w, channels int, out io.Writer) (metrics.Extractor, error) {
	if name := c.Evaluate.Extractor; name != "auto" {
		return openExtractorFile(name, h, w, func(name string) (*metrics.ONNX, error) { return metrics.LoadONNX(back, name, h, w, channels) }, back)
	}
	if name, prep := c.classifier(h); h == w && metrics.HasClassifier(name, prep) == nil {
		return metrics.LoadClassifier(back, name, prep)
	}
	cache, err := backend.CacheDir()
	if err != nil {
		return nil, err
	}
	prep := c.Benchmark.Prep
	prep.Border = 0
	own, err := metrics.OwnClassifier(ctx, back, c.Benchmark.Datasets, prep, filepath.Join(cache, "classifiers"), out)
	if err == nil {
		fmt.Fprintf(out, "judged by %s. %s\n", own.Name(), own.Protocol().Sentence())
	}
	return own, err
}

// openExtractorFile returns the network of a file for images of the given sides, which onnx opens if it is one of ONNX.
func openExtractorFile(name string, h, w int, onnx func(name string) (*metrics.ONNX, error), back compute.Backend) (metrics.Extractor, error) {
	f, err := atomicfile.Open(name)
	if err != nil {
		return nil, errors.Errorf("evaluate.extractor is %q; need \"auto\", or the file of an Inception network, of a classifier, or of an ONNX network: %v", name, err)
	}
	f.Close()
	if metrics.IsONNXFile(name) {
		net, err := onnx(name)
		if err != nil {
			return nil, err
		}
		return net, nil
	}
	if metrics.IsClassifierFile(name) {
		return metrics.LoadClassifierFile(back, name)
	}
	inception, err := metrics.LoadInception(back, name)
	if err != nil {
		return nil, errors.WithMessagef(err, "evaluate.extractor is %q, no ONNX network and no classifier (whose description lies beside it, as NAME.json), and taken for Inception it does not load", name)
	}
	if h != w {
		inception.Sides(h, w)
	}
	return inception, nil
}

// classifier names the classifier shipped for a benchmark's images, which have the given side without their border: by its
// sets, and by how they are prepared.
func (c Config) classifier(side int) (name string, prep datasets.Prep) {
	prep = c.Benchmark.Prep
	prep.Border = 0
	if prep.Method == "none" {
		prep = datasets.Prep{Method: "pad", Size: side, Channels: prep.Channels} // images left as they are have been padded to their own size
	}
	return strings.Join(c.Benchmark.Datasets, "+"), prep
}

// imageFeatures maps prepared images to features, a row an image.
func (m *measurer) imageFeatures(im *datasets.Images) (*mat.Dense, error) {
	im, err := im.Crop((im.H - m.bench.H) / 2)
	if err != nil {
		return nil, err
	}
	return m.extractor.Features(im.Scaled(), im.N)
}

// judge names the class that the classifier sees in each of some prepared images, as the benchmark numbers them; nil where
// the run has none.
func (m *measurer) judge(im *datasets.Images) ([]int, error) {
	im, err := im.Crop((im.H - m.bench.H) / 2)
	if err != nil {
		return nil, err
	}
	return m.evaluator.Labels(im.Scaled(), im.N)
}

// labels are the classes asked for in task j: each of them equally often, in turn, except for a remainder. What is measured
// weighs each by its share of the reference images. An unconditional network is asked for no class.
func (m *measurer) labels(j int) []int32 {
	t, out := m.bench.Tasks[j], make([]int32, m.config.Evaluate.SamplesPerTask)
	for i := range out {
		out[i] = int32(t.Classes[i%len(t.Classes)])
	}
	return out
}

// evaluate samples from the loop's network and measures every task learned by now, with evaluate.ahead those to come too. It
// returns the numbers and a PNG of samples. progress gets the rows sampled and the seconds they took.
func (m *measurer) evaluate(ctx context.Context, l *cl.Loop, progress func(rows int, seconds float64)) (results.Evaluation, []byte, error) {
	e := results.Evaluation{AfterTask: l.LastTask(), Step: l.Position.Total}
	samples := make([]*metrics.Samples, len(m.bench.Tasks))
	for j := range m.config.measuredTasks(e.AfterTask, len(samples)) {
		err := l.AtTask(j, func() (err error) {
			samples[j], err = m.sample(ctx, l.Network, j, progress)
			return err
		})
		if err != nil {
			return e, nil, err
		}
	}
	var err error
	if e.Tasks, e.Union, err = m.measure(e.AfterTask, samples, l.Strategy.Stored().Images); err != nil {
		return e, nil, err
	}
	picture, err := m.sheet(samples)
	return e, picture, err
}

// measure compares samples of every task, drawn after task after, with the images of the tasks, and looks for copies of
// images that training has shown by then and of those that the strategy stores, nil for none.
func (m *measurer) measure(after int, samples []*metrics.Samples, stored *datasets.Images) ([]results.TaskMetrics, results.UnionMetrics, error) {
	if stored != nil {
		var err error
		if stored, err = stored.Crop(m.config.Benchmark.Prep.Border); err != nil {
			return nil, results.UnionMetrics{}, err
		}
	}
	copies, err := m.evaluator.CopySets(after, stored)
	if err != nil {
		return nil, results.UnionMetrics{}, err
	}
	if m.config.Network.Conditional {
		return m.evaluator.Evaluate(after, samples, copies)
	}
	return m.unconditional(after, samples, copies)
}

// sample draws the samples of task j. Every evaluation of a run starts from the same noise.
func (m *measurer) sample(ctx context.Context, n *diffusion.Network, j int, progress func(rows int, seconds float64)) (*metrics.Samples, error) {
	return m.sampleFrom(ctx, n, guided(n, m.config.Evaluate.Guidance, n.Denoiser(m.config.Evaluate.EMA)), m.config.Evaluate.Sampler, j, progress)
}

// guided is a denoiser of networks like n with classifier-free guidance of the given scale; 0: none.
func guided(n *diffusion.Network, scale float64, d diffusion.Denoiser) diffusion.Denoiser {
	if scale == 0 {
		return d
	}
	return diffusion.Guided{Denoiser: d, Scale: scale, NoLabel: int32(n.Shape.Classes), Channels: n.Shape.Channels, OutChannels: n.Shape.OutChannels}
}

// sampleFrom draws the samples of task j from a denoiser made of networks like n.
func (m *measurer) sampleFrom(ctx context.Context, n *diffusion.Network, denoiser diffusion.Denoiser, sampler diffusion.SamplerConfig,
	j int, progress func(rows int, seconds float64)) (*metrics.Samples, error) {
	c := m.config.Evaluate
	labels := m.labels(j)
	sampler.Seed += m.config.Seed<<16 + uint64(j)
	last := time.Now()
	images, err := diffusion.Sample(ctx, n.Process, denoiser, n.Shape.Channels, n.Shape.Values(), labels, sampler,
		min(c.Batch, len(labels)), func(done, total int) {
			progress(len(labels)*sampler.Calls()*c.calls()/total, time.Since(last).Seconds())
			last = time.Now()
		})
	if err != nil {
		return nil, err
	}
	if images, err = datasets.CropRows(images, n.Shape.H, n.Shape.W, n.Shape.Channels, m.config.Benchmark.Prep.Border); err != nil {
		return nil, err
	}
	s := &metrics.Samples{Images: images}
	if m.config.Network.Conditional {
		s.Labels = make([]int, len(labels))
		for i, y := range labels {
			s.Labels[i] = int(y)
		}
	}
	return s, nil
}

// unconditional measures samples that belong to no task: all of them together against each task's images, of which
// only recall, coverage and copies say something, and against the images of all tasks seen.
func (m *measurer) unconditional(after int, samples []*metrics.Samples, copies *metrics.CopySets) ([]results.TaskMetrics, results.UnionMetrics, error) {
	all := metrics.Samples{}
	for _, s := range samples {
		all.Images = append(all.Images, s.Images...)
	}
	judged, err := m.evaluator.Judge(all)
	if err != nil {
		return nil, results.UnionMetrics{}, err
	}
	var tasks []results.TaskMetrics
	for j := range m.bench.Tasks {
		t, err := m.evaluator.Task(j, judged, copies)
		if err != nil {
			return nil, results.UnionMetrics{}, err
		}
		t.FID, t.KID, t.Precision, t.Density, t.ClassAccuracy, t.Vendi, t.FLD = nil, nil, nil, nil, nil, nil, nil
		tasks = append(tasks, t)
	}
	union, err := m.evaluator.Union([]*metrics.Judged{judged}, after+1)
	return tasks, union, err
}

// black is an image of so many values without light.
func black(dim int) []float32 {
	out := make([]float32, dim)
	for i := range out {
		out[i] = -1
	}
	return out
}

// sheet draws samples as a PNG: a row a class in task order, of very many classes some, as [sheet.Rows] picks them; of an
// unconditional network the rows are of no class. Rows of a task without samples are black.
func (m *measurer) sheet(samples []*metrics.Samples) ([]byte, error) {
	b, n := m.bench, m.config.Evaluate.SamplesPerTask
	type place struct{ task, class int } // the class by its number within the task
	var places []place
	dim, columns := b.H*b.W*b.C, sheetColumns
	for j, t := range b.Tasks {
		for k := range t.Classes {
			places = append(places, place{j, k})
		}
		columns = min(columns, max(1, n/len(t.Classes)))
	}
	var images []float32
	rows := sheet.Rows(len(places), b.H)
	for _, row := range rows {
		p := places[row]
		of := len(b.Tasks[p.task].Classes)
		for column := range columns {
			if p.class >= n || samples[p.task] == nil { // none was drawn: there are fewer samples than classes, or the task is to come
				images = append(images, black(dim)...)
				continue
			}
			i := (p.class + column*of) % n
			images = append(images, samples[p.task].Images[i*dim:(i+1)*dim]...)
		}
	}
	grid, err := sheet.New(images, len(rows), columns, b.H, b.W, b.C, 1)
	if err != nil {
		return nil, err
	}
	return sheet.PNG(grid)
}

// protocol says how the numbers were measured.
func (m *measurer) protocol() (results.Protocol, error) {
	e := m.config.Evaluate
	p := results.Protocol{SamplesPerTask: e.SamplesPerTask, Sampler: e.Sampler.Name, SamplerSteps: e.Sampler.Steps,
		Guidance: e.Guidance, EMA: e.EMA}
	if err := m.evaluator.Describe(&p); err != nil {
		return p, err
	}
	p.ReferenceSplit = e.Reference
	return p, nil
}

// describe is one line about an evaluation.
func describe(e results.Evaluation) string {
	var fid, accuracy []string
	for _, t := range e.Tasks {
		fid, accuracy = append(fid, number(t.FID, "%.0f")), append(accuracy, number(t.ClassAccuracy, "%.2f"))
	}
	return fmt.Sprintf("after %s: FID by task %s, class accuracy %s", words.Task(e.AfterTask), strings.Join(fid, " "), strings.Join(accuracy, " "))
}

// describeGenerated is one line about the images that a method has generated to replay in a task.
func describeGenerated(g cl.Generated) string {
	line := fmt.Sprintf("%s replayed %d generated images in %s", g.Method, g.Images, words.Task(g.Task))
	judged, right := 0, 0
	for _, n := range g.Judged {
		judged += n
	}
	for _, n := range g.Right {
		right += n
	}
	if judged > 0 && g.Asked != nil {
		line += fmt.Sprintf("; of %d looked at, the classifier sees the class asked for in %d", judged, right)
	}
	return line
}

// number writes a measured value, or a dash.
func number(v *float64, format string) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf(format, *v)
}
