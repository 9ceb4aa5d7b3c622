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
			r := &run{config: c, dir: b.TempDir(), log: &bytes.Buffer{},
				opt: Options{Backend: backendtest.Open(b), Progress: func(Progress) { shown++ }}}
			defer r.close()
			if err := r.prepare(); err != nil {
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
