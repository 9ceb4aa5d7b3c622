package experiment

import (
	"bytes"
	"testing"
	"time"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/cl"
)

// BenchmarkOverhead trains the second task of the quick benchmark as a run does, with progress, stored losses and
// checkpoints, and reports how much all that surrounds the network's compiled step adds to it:
//
//	go test ./pkg/experiment -run '^$' -bench Overhead -benchtime 1x
//
// Both times are of the same steps, so their ratio holds on a busy machine too.
func BenchmarkOverhead(b *testing.B) {
	for _, name := range []string{"finetune", "er"} {
		b.Run(name, func(b *testing.B) {
			c := DefaultConfig()
			c.Strategy = cl.Spec{Name: name}
			shown := 0
			h := heldFolder(b)
			r := &run{config: c, dir: h.dir, home: h, log: &bytes.Buffer{},
				opt: Options{Backend: backendtest.Open(b), Progress: func(Progress) { shown++ }}}
			defer r.close()
			if err := r.prepare(b.Context()); err != nil {
				b.Fatal(err)
			}
			l := r.loop
			if err := r.trainPhase(b.Context()); err != nil { // compiles
				b.Fatal(err)
			}
			if err := l.EndPhase(b.Context()); err != nil {
				b.Fatal(err)
			}
			l.NetworkTime = 0
			for b.Loop() {
				l.Position.Step = 0
				if err := r.trainPhase(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			steps := float64(b.N * c.Loop.StepsPerTask)
			around := b.Elapsed() - l.NetworkTime
			b.ReportMetric(float64(around.Microseconds())/steps, "µs-around/step")
			b.ReportMetric(l.NetworkTime.Seconds()*float64(time.Second/time.Millisecond)/steps, "ms-network/step")
			b.ReportMetric(100*float64(around)/float64(l.NetworkTime), "%-around")
			if shown == 0 {
				b.Error("no progress was shown")
			}
		})
	}
}

// BenchmarkEvaluation measures the network as a run of the quick benchmark does after a task, and reports what it takes
// and its share of the time of a task, next to that of training steps timed here:
//
//	taskset -c 0 go test ./pkg/experiment -run '^$' -bench Evaluation -benchtime 3x
//
// The first evaluation of a run also compiles the sampler, unless it was compiled before, and measures the training
// images, unless a run has done so before: ms-first. The images of so short a training are noise, among which copies are
// looked for longest.
func BenchmarkEvaluation(b *testing.B) {
	for _, name := range []string{"finetune", "er"} {
		b.Run(name, func(b *testing.B) {
			c := DefaultConfig()
			steps := float64(c.Loop.StepsPerTask)
			c.Strategy, c.Loop.StepsPerTask = cl.Spec{Name: name}, 10
			h := heldFolder(b)
			r := &run{config: c, dir: h.dir, home: h, log: &bytes.Buffer{}, opt: Options{Backend: backendtest.Open(b)}}
			defer r.close()
			if err := r.prepare(b.Context()); err != nil {
				b.Fatal(err)
			}
			l := r.loop
			var training time.Duration
			for range 2 { // the first task compiles
				start := time.Now()
				if err := r.trainPhase(b.Context()); err != nil {
					b.Fatal(err)
				}
				training = time.Since(start)
				if err := l.EndPhase(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			sampling := 0.0
			evaluate := func() {
				if _, _, err := r.measure.evaluate(b.Context(), l, func(_ int, seconds float64) { sampling += seconds }); err != nil {
					b.Fatal(err)
				}
			}
			start := time.Now()
			evaluate()
			first := time.Since(start)
			sampling = 0
			for b.Loop() {
				evaluate()
			}
			evaluation := b.Elapsed().Seconds() / float64(b.N)
			sampling /= float64(b.N)
			ofTask := training.Seconds() / float64(c.Loop.StepsPerTask) * steps
			b.ReportMetric(1e3*first.Seconds(), "ms-first")
			b.ReportMetric(1e3*sampling, "ms-sampling")
			b.ReportMetric(1e3*(evaluation-sampling), "ms-measuring")
			b.ReportMetric(100*evaluation/(evaluation+ofTask), "%-of-task")
		})
	}
}
