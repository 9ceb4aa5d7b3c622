package bits

import (
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
)

// Half is one part of the bits of a method.
type Half struct {
	Final study.Stat // bits/dim after the last task, over all tasks
	Rise  study.Stat // of the bits of old tasks since learned, relative
}

// Halves parts the bits of a method by the log-SNR of the bins. Unknown where a run has no likelihoods.
func Halves(g study.Method) (detail, content Half) {
	part := func(noisy bool) Half {
		return Half{
			Final: g.Over(func(r *results.Run) float64 { return study.Matrix(r, bitsWhere(r, noisy)).Final() }),
			Rise: g.Over(func(r *results.Run) float64 {
				m := study.Matrix(r, bitsWhere(r, noisy))
				var learned []float64
				for j := range m.Tasks() - 1 {
					learned = append(learned, m.R[j][j])
				}
				return m.Forgetting().SinceLearned / metrics.WeightedMean(learned, m.Weights)
			}),
		}
	}
	return part(false), part(true)
}

// bitsWhere is the part of a run's bits at timesteps where noise outweighs the image, with the prior, or where it does
// not, with the decoder.
func bitsWhere(run *results.Run, noisy bool) study.Metric {
	return study.Metric{Name: "part of the BPD", Read: func(t *results.TaskMetrics) *float64 {
		p := run.Protocol.BPD
		if p == nil || t.BPD == nil || len(t.BPD.Bins) != len(p.LogSNR) {
			return nil
		}
		sum := t.BPD.Decoder
		if noisy {
			sum = t.BPD.Prior
		}
		for i, b := range t.BPD.Bins {
			if (p.LogSNR[i] < 0) == noisy {
				sum += b
			}
		}
		return &sum
	}}
}
