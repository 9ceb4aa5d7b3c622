package resultstest

import (
	"palimpsest/pkg/results"
)

// Likely is [MadeUp] with likelihoods: T = 100 in four bins, of which the two noisiest hold little. Forgetting raises the
// bins in proportion to what it does to FID, the noisier the more. With wrong, er λ=1 has more bits than er λ=0.3,
// against its FID.
func Likely(seeds int, wrong bool) []*results.Run {
	runs := MadeUp(seeds)
	for _, r := range runs {
		r.Protocol.BPD = &results.BPDProtocol{Images: 40, Terms: 9, T: 100, Variance: "fixed-large", Clip: true,
			Edges: []int{1, 10, 30, 60, 100}, LogSNR: []float64{3, 1, -2, -5}}
		for i := range r.Evaluations {
			for k := range r.Evaluations[i].Tasks {
				t := &r.Evaluations[i].Tasks[k]
				rise := (*t.FID - 40) / 100
				b := &results.BPD{SE: 0.002, Prior: 0.001, Decoder: 0.5, Bins: []float64{2 + 0.01*rise, 0.6 + 0.03*rise, 0.1 + 0.05*rise, 0.02 + 0.02*rise}}
				if wrong && r.Strategy.Label == "er λ=1" {
					b.Bins[0] += 1
				}
				for _, v := range append([]float64{b.Prior, b.Decoder}, b.Bins...) {
					b.Mean += v
				}
				t.BPD = b
			}
		}
	}
	return runs
}

// InTwoBins is one run of two tasks; R[0][0] and R[1][0], R[1][1] have the given decoder, one bin below and one above log-SNR 0,
// and prior.
func InTwoBins(name string, seed uint64, learned, final, newest [4]float64) *results.Run {
	r := NewRun(name, name, seed, 2)
	r.Protocol.BPD = &results.BPDProtocol{Images: 2, Terms: 5, T: 10, Variance: "fixed-small", Edges: []int{1, 5, 10}, LogSNR: []float64{1, -1}}
	of := func(v [4]float64) *results.BPD {
		return &results.BPD{Decoder: v[0], Bins: []float64{v[1], v[2]}, Prior: v[3], Mean: v[0] + v[1] + v[2] + v[3], SE: 0.03}
	}
	r.Evaluations = []results.Evaluation{
		{AfterTask: 0, Tasks: []results.TaskMetrics{{Task: 0, FID: Float(10), ClassAccuracy: Float(0.9), BPD: of(learned)}}},
		{AfterTask: 1, Tasks: []results.TaskMetrics{{Task: 0, FID: Float(90), ClassAccuracy: Float(0.01), BPD: of(final)}, {Task: 1, FID: Float(11), ClassAccuracy: Float(0.9), BPD: of(newest)}}},
	}
	return r
}
