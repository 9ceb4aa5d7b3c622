package experiment

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
)

// measurerOf is the measurer of a run of c, without a network.
func measurerOf(t *testing.T, c Config) *measurer {
	t.Helper()
	bench, err := c.LoadBenchmark()
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMeasurer(t.Context(), backendtest.Open(t), c, bench, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// perfect are images of a split of task j of exactly the classes that the measurer asks for, in the place of samples.
func perfect(m *measurer, j int, of *datasets.Images) *metrics.Samples {
	s, next := new(metrics.Samples), map[int32]int{}
	var rows []int
	for _, y := range m.labels(j) {
		images := of.IndicesOf(int(y))
		rows = append(rows, images[next[y]%len(images)])
		next[y]++
		s.Labels = append(s.Labels, int(y))
	}
	s.Images = of.Select(rows).Scaled()
	return s
}

// Real images of the classes asked for, in the place of samples, are measured as such whatever the sizes of tasks.
func TestPerfectGeneratorIsMeasuredAsOne(t *testing.T) {
	for _, tc := range []struct {
		name    string
		change  func(*Config)
		samples int
	}{
		{"3+3+3+1 classes", func(c *Config) { c.Benchmark.ClassesPerTask = 3 }, 300},
		{"samples not divisible", func(c *Config) { c.Benchmark.ClassesPerTask = 3 }, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := DefaultConfig()
			tc.change(&c)
			c.Evaluate.SamplesPerTask = tc.samples
			m := measurerOf(t, c)
			var test, train []*metrics.Samples
			for j, task := range m.bench.Tasks {
				test, train = append(test, perfect(m, j, task.Test)), append(train, perfect(m, j, task.Train))
			}
			tasks, union, err := m.measure(3, test, nil)
			if err != nil {
				t.Fatal(err)
			}
			fid := 1e-6 // the reference images themselves, once or three times each
			if tc.samples < 300 {
				fid = 1 // of a third of them
			}
			if *union.LabelKL > 0.01 || *union.LabelARD > 0.05 || *union.FID > fid {
				t.Errorf("test images: label KL %g, ARD %g, union FID %g", *union.LabelKL, *union.LabelARD, *union.FID)
			}
			for j, task := range tasks {
				if *task.FID > 6 || *task.ClippedPixels < *task.RealClippedPixels-0.03 || *task.ClippedPixels > *task.RealClippedPixels+0.03 {
					t.Errorf("task %d: %+v", j, task)
				}
			}
			// Training images of the same classes: a class for a class, a copy each.
			if tasks, union, err = m.measure(3, train, nil); err != nil {
				t.Fatal(err)
			}
			if *union.LabelKL > 0.01 || *union.FID > 2 || *tasks[3].Copies.Train.Pixels != 1 || *tasks[3].Copies.Train.Features != 1 {
				t.Errorf("training images: label KL %g, union FID %g, copies %+v", *union.LabelKL, *union.FID, tasks[3].Copies.Train)
			}
			// Before the last task training has not shown its images.
			if tasks, _, err = m.measure(2, train, nil); err != nil {
				t.Fatal(err)
			}
			if *tasks[0].Copies.Train.Pixels != 1 || *tasks[3].Copies.Train.Pixels > 0.05 || *tasks[3].MemorisedTrain > 0.05 {
				t.Errorf("after task 2, copies of task 0 %g, of task 3 %g and by the ratio %g; want 1, 0 and 0",
					*tasks[0].Copies.Train.Pixels, *tasks[3].Copies.Train.Pixels, *tasks[3].MemorisedTrain)
			}
			p, err := m.protocol()
			if err != nil {
				t.Fatal(err)
			}
			if len(p.TaskWeights) != 4 || p.TaskWeights[0] != 0.3 || p.TaskWeights[3] != 0.1 {
				t.Errorf("weights of tasks %v", p.TaskWeights)
			}
		})
	}
}

// Two tasks of which one has twice the images of the other, as two domains may.
func TestPerfectGeneratorOverTasksOfTwiceTheImages(t *testing.T) {
	c := DefaultConfig()
	c.Benchmark.ClassesPerTask, c.Evaluate.SamplesPerTask = 5, 250
	bench, err := c.LoadBenchmark()
	if err != nil {
		t.Fatal(err)
	}
	half := &bench.Tasks[1]
	var rows []int
	for _, class := range half.Classes {
		rows = append(rows, half.Test.IndicesOf(class)[:50]...)
	}
	half.Test = half.Test.Select(rows)
	m, err := newMeasurer(t.Context(), backendtest.Open(t), c, bench, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	samples := []*metrics.Samples{perfect(m, 0, bench.Tasks[0].Test), perfect(m, 1, half.Test)}
	_, union, err := m.measure(1, samples, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *union.LabelKL > 0.01 || *union.LabelARD > 0.02 || *union.FID > 0.5 { // half of the first task's images are compared with all
		t.Errorf("label KL %g, ARD %g, union FID %g", *union.LabelKL, *union.LabelARD, *union.FID)
	}
}

// What a buffer holds moves the share of copies by the ratio, but not the yardstick.
func TestCopiesCompareBetweenBufferSizes(t *testing.T) {
	c := DefaultConfig()
	m := measurerOf(t, c)
	last := len(m.bench.Tasks) - 1
	var samples []*metrics.Samples
	for j, task := range m.bench.Tasks { // nothing is a copy: test images
		samples = append(samples, perfect(m, j, task.Test))
	}
	for _, size := range []int{5, 1200} {
		rows := make([]int, size)
		for i := range rows {
			rows[i] = i
		}
		tasks, _, err := m.measure(last, samples, m.bench.Tasks[0].Train.Select(rows))
		if err != nil {
			t.Fatal(err)
		}
		for j, task := range tasks {
			b := task.Copies.Buffer
			if *b.Pixels > 0.05 || *b.RealPixels > 0.05 || *b.Features > 0.05 || *b.RealFeatures > 0.05 {
				t.Errorf("buffer of %d, task %d: test images are copies of it: %g, %g by features; of held-out images %g, %g",
					size, j, *b.Pixels, *b.Features, *b.RealPixels, *b.RealFeatures)
			}
		}
	}
	p, err := m.protocol()
	if err != nil {
		t.Fatal(err)
	}
	y := p.Copies
	t.Logf("a copy is within %.2f grey levels rms a pixel, %.3f in features", y.PixelThreshold, *y.FeatureThreshold)
	if y.Train != 6000 || y.HeldOut != 1000 || y.PixelThreshold < 1 || y.PixelThreshold > 30 || y.Mirrored {
		t.Errorf("yardstick %+v", y)
	}
}

// Mirrored copies are looked for where training mirrors.
func TestMirroredCopiesAreFoundWhereTrainingMirrors(t *testing.T) {
	for _, flip := range []bool{false, true} {
		c := DefaultConfig()
		c.Benchmark.Prep.Flip = flip
		m := measurerOf(t, c)
		task := m.bench.Tasks[2] // sandals and shirts point left or right
		s := perfect(m, 2, task.Train)
		size := m.bench.H * m.bench.W
		for i := 0; i < len(s.Images); i += size {
			datasets.FlipRow(s.Images[i:i+size], m.bench.H, m.bench.W, 1)
		}
		judged, err := m.evaluator.Judge(*s)
		if err != nil {
			t.Fatal(err)
		}
		sets, err := m.evaluator.CopySets(2, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.evaluator.Task(2, judged, sets)
		if err != nil {
			t.Fatal(err)
		}
		pixels, features := *got.Copies.Train.Pixels, *got.Copies.Train.Features
		if flip && (pixels != 1 || features != 1) || !flip && (pixels > 0.8 || features > 0.8) {
			t.Errorf("flip %v: %g of the mirrored training images are copies, %g by features", flip, pixels, features)
		}
	}
}

// metrics.csv and metrics.json say what their numbers were measured against, as result.json does.
func TestTablesCarryTheProtocol(t *testing.T) {
	c := DefaultConfig()
	c.Evaluate.SamplesPerTask = 64
	r := &run{config: c, dir: t.TempDir(), measure: measurerOf(t, c)}
	r.loop = &cl.Loop{Benchmark: r.measure.bench, Network: new(diffusion.Network)}
	var samples []*metrics.Samples
	for j, task := range r.measure.bench.Tasks {
		samples = append(samples, perfect(r.measure, j, task.Test))
	}
	e := results.Evaluation{AfterTask: 1}
	var err error
	if e.Tasks, e.Union, err = r.measure.measure(1, samples, nil); err != nil {
		t.Fatal(err)
	}
	r.state.Evaluations = []results.Evaluation{e}
	if err := r.writeTables(); err != nil {
		t.Fatal(err)
	}
	want, err := r.protocol()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "metrics.json"))
	if err != nil {
		t.Fatal(err)
	}
	var have measurements
	if err := json.Unmarshal(text, &have); err != nil {
		t.Fatal(err)
	}
	if p := have.Protocol; p.ReferenceSplit != "test" || p.SamplesPerTask != 64 || p.ExtractorSHA256 != want.ExtractorSHA256 || len(p.ExtractorSHA256) != 64 ||
		p.Copies == nil || len(have.Evaluations) != 1 {
		t.Errorf("metrics.json says %+v", p)
	}
	file, err := os.Open(filepath.Join(r.dir, "metrics.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]string{}
	for k, head := range rows[0] {
		at[head] = rows[1][k]
	}
	for head, value := range map[string]string{"n": "64", "reference_split": "test", "reference_images": "200", "extractor_sha256": want.ExtractorSHA256,
		"copies_train": exact(e.Tasks[0].Copies.Train.Pixels), "clipped_pixels": exact(e.Tasks[0].ClippedPixels)} {
		if at[head] != value || value == "" {
			t.Errorf("metrics.csv has %s %q, want %q", head, at[head], value)
		}
	}
	if math.IsNaN(*e.Union.FID) {
		t.Error("FID is not a number")
	}
}
