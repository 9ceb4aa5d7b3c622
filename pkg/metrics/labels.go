package metrics

import (
	"math"

	"palimpsest/datasets"

	"github.com/pkg/errors"
)

// LabelHistogram counts how often each of the classes 0 .. classes-1 occurs in labels. It
// returns an error that names the first label out of range, or if classes is not 1 to [datasets.MaxClasses].
func LabelHistogram(labels []int, classes int) ([]float64, error) {
	return weightedHistogram(labels, classes, nil)
}

// weightedHistogram is [LabelHistogram] where labels count by weights; nil: all 1.
func weightedHistogram(labels []int, classes int, weights []float64) ([]float64, error) {
	if classes < 1 || classes > datasets.MaxClasses {
		return nil, errors.Errorf("metrics.LabelHistogram: %d classes; need 1 to %d", classes, datasets.MaxClasses)
	}
	counts := make([]float64, classes)
	for i, l := range labels {
		if l < 0 || l >= classes {
			return nil, errors.Errorf("metrics.LabelHistogram: label %d of image %d; need 0 to %d", l, i, classes-1)
		}
		counts[l] += weightOf(weights, i)
	}
	return counts, nil
}

// labelSmoothing is added to every share before the logarithm of [LabelKL], as in the code of
// [gd]: a class that vanished costs its share times about 18 nats rather than infinity.
const labelSmoothing = 1e-8

// LabelKL returns the Kullback-Leibler divergence, in nats, of the generated from the reference
// label distribution, with p the shares of reference and q those of generated, [gd]:
//
//	Σ_c (p_c + 1e-8)·ln((p_c + 1e-8)/(q_c + 1e-8))
//
// Arguments are counts or shares, not negative, of one length; each is divided by its sum. It is
// 0 where the shares agree and grows as generated images lose a class of the reference.
func LabelKL(reference, generated []float64) (float64, error) {
	p, q, err := shares("metrics.LabelKL", reference, generated)
	if err != nil {
		return math.NaN(), err
	}
	kl := 0.0
	for c := range p {
		ps, qs := p[c]+labelSmoothing, q[c]+labelSmoothing
		kl += ps * math.Log(ps/qs)
	}
	return math.Max(kl, 0), nil
}

// LabelARD returns the absolute ratio difference of two label distributions as the code of [gd]
// computes it, half the sum of |p_c - q_c|: the share of generated images that would have to
// change class for the two to agree. It lies in [0, 1].
func LabelARD(reference, generated []float64) (float64, error) {
	p, q, err := shares("metrics.LabelARD", reference, generated)
	if err != nil {
		return math.NaN(), err
	}
	sum := 0.0
	for c := range p {
		sum += math.Abs(p[c] - q[c])
	}
	return sum / 2, nil
}

// shares divides each of two histograms by its sum, after checking them.
func shares(who string, a, b []float64) (p, q []float64, err error) {
	if len(a) != len(b) || len(a) == 0 {
		return nil, nil, errors.Errorf("%s: histograms of %d and %d classes; need one length, at least 1", who, len(a), len(b))
	}
	normalise := func(name string, h []float64) ([]float64, error) {
		total := 0.0
		for c, v := range h {
			if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, errors.Errorf("%s: the %s histogram has %g for class %d; need counts of 0 or more", who, name, v, c)
			}
			total += v
		}
		if total == 0 || math.IsInf(total, 1) {
			return nil, errors.Errorf("%s: the %s histogram sums to %g; need at least one label and a finite sum", who, name, total)
		}
		out := make([]float64, len(h))
		for c, v := range h {
			out[c] = v / total
		}
		return out, nil
	}
	if p, err = normalise("reference", a); err != nil {
		return nil, nil, err
	}
	if q, err = normalise("generated", b); err != nil {
		return nil, nil, err
	}
	return p, q, nil
}

// Accuracy returns the share of predicted labels that equal the wanted ones. For conditional
// samples, wanted is the class the sampler was given and predicted what a classifier sees.
func Accuracy(predicted, wanted []int) (float64, error) {
	return weightedAccuracy(predicted, wanted, nil)
}

// weightedAccuracy is [Accuracy] where images count by weights; nil: all 1.
func weightedAccuracy(predicted, wanted []int, weights []float64) (float64, error) {
	if len(predicted) != len(wanted) || len(wanted) == 0 {
		return math.NaN(), errors.Errorf("metrics.Accuracy: %d predictions for %d labels; need one each, at least 1",
			len(predicted), len(wanted))
	}
	return shareWhere(len(wanted), weights, func(i int) bool { return predicted[i] == wanted[i] }), nil
}
