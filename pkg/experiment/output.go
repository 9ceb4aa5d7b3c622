package experiment

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/results"
)

// result assembles the stored form of the run.
func (r *run) result() (*results.Run, error) {
	settings, err := cl.Settings(r.loop.Strategy)
	if err != nil {
		return nil, err
	}
	text, err := yaml.Marshal(r.config)
	if err != nil {
		return nil, err
	}
	config := map[string]any{}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	started, err := time.Parse(time.RFC3339, r.state.Started)
	if err != nil {
		return nil, err
	}
	cost := r.state.Cost
	cost.Steps, cost.FreshRows, cost.ReplayRows = r.loop.Plan().Trained(), r.config.Loop.FreshRows, r.loop.ReplayRows()
	cost.Parameters = r.loop.Network.Parameters()
	info, label := r.loop.Strategy.Info(), r.loop.Strategy.Label()
	if v := r.config.Variant; v != "" {
		label += " " + v
	}
	protocol, err := r.protocol()
	if err != nil {
		return nil, err
	}
	var generated []results.Generated
	for _, g := range r.loop.Generated() {
		generated = append(generated, results.Generated(g))
	}
	return &results.Run{
		Schema: results.Schema, Name: r.config.RunName(), Seed: r.config.Seed, Config: config,
		Strategy:  results.Strategy{Name: info.Name, Label: label, Paper: info.Paper, Stores: info.Stores, Settings: settings},
		Benchmark: r.benchmark(),
		Protocol:  protocol,
		Provenance: results.Provenance{Command: r.state.Command, Commit: r.state.Commit, Dirty: r.state.Dirty, Machine: machine(r.state.Stretches),
			Started: started, Finished: time.Now().UTC().Truncate(time.Second), ImagesSHA256: r.state.Images, Stretches: r.state.Stretches, Init: r.state.Init, Extends: r.state.Extends,
			SkippedImages: skippedImages(r.loop.Benchmark)},
		Evaluations: r.state.Evaluations, Losses: r.state.Losses, Cost: cost,
		Sensitivity: r.state.Sensitivity, Outside: r.state.Outside,
		Generated: generated, Missing: r.state.Missing,
	}, nil
}

// protocol says how the run's numbers were measured.
func (r *run) protocol() (results.Protocol, error) {
	p, err := r.measure.protocol()
	p.BPD = r.state.BPD
	return p, err
}

// benchmark describes what was learned.
func (r *run) benchmark() results.Benchmark {
	b, c := r.loop.Benchmark, r.config.Benchmark
	h, w := b.H-2*b.Prep.Border, b.W-2*b.Prep.Border
	out := results.Benchmark{Dataset: b.Name, Scenario: c.scenario(), ClassNames: b.ClassNames, ImageSize: b.H, Channels: b.C,
		Prep: fmt.Sprintf("%s %d", b.Prep.Method, h)}
	if w != h {
		out.ImageWidth = b.W
		out.Prep += fmt.Sprintf("×%d", w)
	}
	if b.Prep.Border > 0 {
		out.Prep += fmt.Sprintf(" border %d", b.Prep.Border)
	}
	if n := b.Prep.Channels; n > 0 {
		out.Prep += fmt.Sprintf(" channels %d", n)
	}
	for _, t := range b.Tasks {
		test := r.config.Evaluate.Images(t)
		out.Tasks = append(out.Tasks, results.Task{Name: t.Name, Classes: t.Classes, Train: t.Train.N, Test: test.N})
	}
	return out
}

// measurements is the form of metrics.json: what result.json says of the same numbers.
type measurements struct {
	ImagesSHA256 string               `json:"images_sha256"`
	Protocol     results.Protocol     `json:"protocol"`
	Evaluations  []results.Evaluation `json:"evaluations"`
}

// writeTables rewrites metrics.csv, losses.csv and metrics.json.
func (r *run) writeTables() error {
	protocol, err := r.protocol()
	if err != nil {
		return err
	}
	text, err := results.Encode(measurements{r.state.Images, protocol, r.state.Evaluations})
	if err != nil {
		return errors.WithMessage(err, "measurements")
	}
	if err := atomicfile.Write(filepath.Join(r.dir, "metrics.json"), text); err != nil {
		return err
	}
	metrics := [][]string{{"after_task", "step", "task", "n", "fid", "kid", "precision", "recall", "density", "coverage",
		"class_accuracy", "memorised_buffer", "memorised_train", "bpd", "copies_buffer", "copies_train", "copies_buffer_features",
		"copies_train_features", "clipped_pixels", "identical_samples", "vendi", "fld", "reference_split", "reference_images", "extractor_sha256", "images_sha256"}}
	for _, e := range r.state.Evaluations {
		for _, t := range e.Tasks {
			var bpd *float64
			if t.BPD != nil {
				bpd = &t.BPD.Mean
			}
			var buffer, train results.CopyRates
			if c := t.Copies; c != nil && c.Buffer != nil {
				buffer = *c.Buffer
			}
			if c := t.Copies; c != nil && c.Train != nil {
				train = *c.Train
			}
			metrics = append(metrics, []string{strconv.Itoa(e.AfterTask), strconv.Itoa(e.Step), strconv.Itoa(t.Task), strconv.Itoa(t.N),
				exact(t.FID), exact(t.KID), exact(t.Precision), exact(t.Recall), exact(t.Density), exact(t.Coverage),
				exact(t.ClassAccuracy), exact(t.MemorisedBuffer), exact(t.MemorisedTrain), exact(bpd), exact(buffer.Pixels),
				exact(train.Pixels), exact(buffer.Features), exact(train.Features), exact(t.ClippedPixels), exact(t.IdenticalSamples),
				exact(t.Vendi), exact(t.FLD),
				protocol.ReferenceSplit, strconv.Itoa(r.config.Evaluate.Images(r.loop.Benchmark.Tasks[t.Task]).N), protocol.ExtractorSHA256, r.state.Images})
		}
	}
	losses := [][]string{{"step", "task", "loss"}}
	for _, p := range r.state.Losses {
		losses = append(losses, []string{strconv.Itoa(p.Step), strconv.Itoa(p.Task), exact(&p.Loss)})
	}
	for name, rows := range map[string][][]string{"metrics.csv": metrics, "losses.csv": losses} {
		var out bytes.Buffer
		w := csv.NewWriter(&out)
		if err := w.WriteAll(rows); err != nil {
			return err
		}
		if err := atomicfile.Write(filepath.Join(r.dir, name), out.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// exact writes a number so that it reads back the same, and nothing where it is missing.
func exact(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}

// skippedImages are the pictures that a benchmark is without, and why.
func skippedImages(b *datasets.Benchmark) (lines []string) {
	for _, s := range b.Skipped {
		lines = append(lines, s.File+" "+s.Why)
	}
	return lines
}
