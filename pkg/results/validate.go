package results

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/oneline"
)

// largest is beyond what sums of float32 numbers, which all is computed in, come to.
const largest = 1e45

// Validate reports the first value of a stored run that makes no sense: its place, what is there and what is needed. What older
// files lack is no error.
func (r *Run) Validate() error {
	if r == nil {
		return errors.New("there is no run (nil)")
	}
	tasks := len(r.Benchmark.Tasks)
	switch {
	case r.Name == "":
		return errors.New("name is empty; need that of the run")
	case r.Strategy.Name == "" || r.Strategy.Label == "":
		return errors.Errorf("strategy.name is %q and strategy.label %q; need both", r.Strategy.Name, r.Strategy.Label)
	case tasks == 0:
		return errors.New("benchmark.tasks is empty; need at least one task")
	case r.Benchmark.ImageSize < 1 || r.Benchmark.Channels < 1:
		return errors.Errorf("benchmark.image_size is %d and benchmark.channels %d; need at least 1", r.Benchmark.ImageSize, r.Benchmark.Channels)
	case r.Benchmark.ImageWidth < 0:
		return errors.Errorf("benchmark.image_width is %d; need at least 1, or 0 for that of a square", r.Benchmark.ImageWidth)
	}
	for place, text := range inOrder(map[string]string{"name": r.Name, "strategy.name": r.Strategy.Name, "strategy.label": r.Strategy.Label, "benchmark.dataset": r.Benchmark.Dataset}) {
		if !oneline.Is(text) {
			return errors.Errorf("%s is %q; need one line of text", place, text)
		}
	}
	v := &validator{tasks: tasks}
	for i, t := range r.Benchmark.Tasks {
		at := fmt.Sprintf("benchmark.tasks[%d]", i)
		v.whole(at+".train", int64(t.Train))
		v.whole(at+".test", int64(t.Test))
		for k, c := range t.Classes {
			if c < 0 || len(r.Benchmark.ClassNames) > 0 && c >= len(r.Benchmark.ClassNames) {
				v.fail(fmt.Sprintf("%s.classes[%d]", at, k), c, fmt.Sprintf("0 .. %d, as there are %d class names", len(r.Benchmark.ClassNames)-1, len(r.Benchmark.ClassNames)))
			}
		}
	}
	v.protocol(&r.Protocol)
	for i := range r.Evaluations {
		v.evaluation(fmt.Sprintf("evaluations[%d]", i), &r.Evaluations[i])
	}
	for i, p := range r.Losses {
		at := fmt.Sprintf("losses[%d]", i)
		v.whole(at+".step", int64(p.Step))
		v.task(at+".task", p.Task)
		v.number(at+".loss", &p.Loss, -largest, largest)
	}
	v.cost(&r.Cost)
	for i, g := range r.Generated {
		at := fmt.Sprintf("generated[%d]", i)
		v.task(at+".task", g.Task)
		v.whole(at+".images", int64(g.Images))
		for key, counts := range inOrder(map[string][]int{"asked": g.Asked, "judged": g.Judged, "right": g.Right}) {
			for k, n := range counts {
				v.whole(fmt.Sprintf("%s.%s[%d]", at, key, k), int64(n))
			}
		}
	}
	for i, s := range r.Sensitivity {
		v.numbers(fmt.Sprintf("sensitivity[%d].tasks", i), s.Tasks)
		for k := range s.SE {
			v.number(fmt.Sprintf("sensitivity[%d].se[%d]", i, k), &s.SE[k], 0, largest)
		}
	}
	for i, o := range r.Outside {
		at := fmt.Sprintf("outside[%d]", i)
		v.number(at+".mean", &o.Mean, -largest, largest)
		v.number(at+".se", &o.SE, 0, largest)
		v.numbers(at+".by_image", o.ByImage)
	}
	return v.err
}

// inOrder goes through a map by its keys in order, so that of several wrong values always the same one is reported.
func inOrder[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

// validator keeps the first error.
type validator struct {
	tasks int
	err   error
}

func (v *validator) fail(place string, found any, need string) {
	if v.err == nil {
		v.err = errors.Errorf("%s is %v; need %s", place, found, need)
	}
}

// whole wants a count.
func (v *validator) whole(place string, n int64) {
	if n < 0 {
		v.fail(place, n, "0 or more")
	}
}

// task wants the index of a task.
func (v *validator) task(place string, task int) {
	if task < 0 || task >= v.tasks {
		v.fail(place, task, fmt.Sprintf("0 .. %d, as benchmark.tasks has %d", v.tasks-1, v.tasks))
	}
}

// number needs null, or a number from low to high, except for rounding.
func (v *validator) number(place string, n *float64, low, high float64) {
	const rounding = 1e-9
	if n != nil && !(*n >= low-rounding && *n <= high+rounding) {
		v.fail(place, *n, fmt.Sprintf("a number from %g to %g", low, high))
	}
}

func (v *validator) numbers(place string, values []float64) {
	for i := range values {
		v.number(fmt.Sprintf("%s[%d]", place, i), &values[i], -largest, largest)
	}
}

// share needs null, or a number in [0, 1].
func (v *validator) share(place string, n *float64) { v.number(place, n, 0, 1) }

func (v *validator) protocol(p *Protocol) {
	for place, n := range inOrder(map[string]int{"samples_per_task": p.SamplesPerTask, "reference_images_per_task": p.ReferenceImages,
		"feature_dim": p.FeatureDim, "sampler_steps": p.SamplerSteps, "nearest_k": p.NearestK}) {
		v.whole("protocol."+place, int64(n))
	}
	v.number("protocol.guidance", &p.Guidance, -largest, largest)
	v.number("protocol.memorised_ratio", &p.MemorisedRatio, 0, largest)
	if n := len(p.TaskWeights); n > 0 {
		sum := 0.0
		for i, w := range p.TaskWeights {
			v.share(fmt.Sprintf("protocol.task_weights[%d]", i), &p.TaskWeights[i])
			sum += w
		}
		if n != v.tasks || math.Abs(sum-1) > 1e-6 {
			v.fail("protocol.task_weights", p.TaskWeights, fmt.Sprintf("%d shares that sum to 1", v.tasks))
		}
	}
	if c := p.Classifier; c != nil {
		v.whole("protocol.classifier.test_images", int64(c.Test))
		v.fields("protocol.classifier.", reflect.ValueOf(*c))
	}
	if c := p.Copies; c != nil {
		v.share("protocol.copies.quantile", &c.Quantile)
		v.whole("protocol.copies.held_out", int64(c.HeldOut))
		v.whole("protocol.copies.train", int64(c.Train))
		v.number("protocol.copies.pixel_threshold", &c.PixelThreshold, 0, largest)
		v.number("protocol.copies.feature_threshold", c.FeatureThreshold, 0, largest)
	}
	if b := p.BPD; b != nil {
		for i, e := range b.Edges {
			if e < 0 || e > b.T || i > 0 && e <= b.Edges[i-1] {
				v.fail(fmt.Sprintf("protocol.bpd.edges[%d]", i), e, fmt.Sprintf("ascending numbers in 0 .. %d, which is protocol.bpd.t", b.T))
			}
		}
		if len(b.LogSNR) != max(len(b.Edges)-1, 0) {
			v.fail("protocol.bpd.log_snr", fmt.Sprintf("%d numbers", len(b.LogSNR)), fmt.Sprintf("%d, one between each two of its %d edges", max(len(b.Edges)-1, 0), len(b.Edges)))
		}
		v.numbers("protocol.bpd.log_snr", b.LogSNR)
	}
}

func (v *validator) evaluation(at string, e *Evaluation) {
	v.task(at+".after_task", e.AfterTask)
	v.whole(at+".step", int64(e.Step))
	if e.Sheet != "" && (!filepath.IsLocal(filepath.FromSlash(e.Sheet)) || strings.Contains(e.Sheet, `\`)) {
		v.fail(at+".grid", fmt.Sprintf("%q", e.Sheet), "a path with slashes inside the folder of the result")
	}
	for k := range e.Tasks {
		v.metrics(fmt.Sprintf("%s.tasks[%d]", at, k), &e.Tasks[k])
	}
	u := &e.Union
	at += ".union"
	v.whole(at+".n", int64(u.N))
	v.fields(at+".", reflect.ValueOf(*u))
}

// fields checks the measured numbers of a struct, each by its tag in: "share", "positive", or nothing for any finite number.
func (v *validator) fields(at string, of reflect.Value) {
	for i := range of.NumField() {
		n, measured := of.Field(i).Interface().(*float64)
		if !measured {
			continue
		}
		field := of.Type().Field(i)
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch in := field.Tag.Get("in"); in {
		case "share":
			v.share(at+key, n)
		case "positive":
			v.number(at+key, n, 0, largest)
		case "":
			v.number(at+key, n, -largest, largest)
		default:
			panic(errors.Errorf("results: %s.%s is to be in %q; need \"share\", \"positive\" or nothing", of.Type(), field.Name, in))
		}
	}
}

func (v *validator) metrics(at string, m *TaskMetrics) {
	v.task(at+".task", m.Task)
	v.whole(at+".n", int64(m.N))
	v.fields(at+".", reflect.ValueOf(*m))
	if c := m.Copies; c != nil {
		for key, of := range inOrder(map[string]*CopyRates{".copies.buffer.": c.Buffer, ".copies.train.": c.Train}) {
			if of != nil {
				v.fields(at+key, reflect.ValueOf(*of))
			}
		}
	}
	if b := m.BPD; b != nil {
		for key, n := range inOrder(map[string]float64{"mean": b.Mean, "prior": b.Prior, "decoder": b.Decoder}) {
			v.number(at+".bpd."+key, &n, -largest, largest)
		}
		v.number(at+".bpd.se", &b.SE, 0, largest)
		v.numbers(at+".bpd.bins", b.Bins)
	}
}

func (v *validator) cost(c *Cost) {
	for key, n := range inOrder(map[string]int64{"steps": int64(c.Steps), "fresh_rows": int64(c.FreshRows), "replay_rows": int64(c.ReplayRows),
		"parameters": int64(c.Parameters), "peak_rss_bytes": c.PeakRSS, "stored_images": int64(c.StoredImages), "stored_bytes": c.StoredBytes,
		"stored_parameters": int64(c.StoredParameters), "extra_evaluations": c.ExtraEvaluations}) {
		v.whole("cost."+key, n)
	}
	for key, n := range inOrder(map[string]float64{"train_seconds": c.TrainSeconds, "eval_seconds": c.EvalSeconds, "compile_seconds": c.CompileSeconds}) {
		v.number("cost."+key, &n, 0, largest)
	}
}
