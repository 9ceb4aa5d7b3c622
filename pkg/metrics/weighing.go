package metrics

import (
	"math"

	"github.com/pkg/errors"
)

// TaskWeights returns what each task counts in a mean over tasks and in a union: its share of all reference images,
// [T], which add up to 1. It returns an error if there are no tasks or one has no images.
func TaskWeights(images []int) ([]float64, error) {
	total := 0
	for j, n := range images {
		if n < 1 || n > math.MaxInt-total {
			return nil, errors.Errorf("metrics.TaskWeights: task %d has %d reference images; need at least 1, and an int for the sum", j, n)
		}
		total += n
	}
	if total == 0 {
		return nil, errors.New("metrics.TaskWeights: no tasks; need at least one")
	}
	weights := make([]float64, len(images))
	for j, n := range images {
		weights[j] = float64(n) / float64(total)
	}
	return weights, nil
}

// WeightedMean returns Σ w·v / Σ w. Weights are those of the first values and beyond, so that the weights of all tasks
// serve the tasks seen so far too; nil weighs all alike. Equal weights give the plain mean to the last bit. It is NaN
// without values, with one that is NaN, and with weights that are too few, negative, not finite, or all 0.
func WeightedMean(values, weights []float64) float64 {
	if weights != nil && len(weights) < len(values) {
		return math.NaN()
	}
	sum, weighted, total, equal := 0.0, 0.0, 0.0, true
	for i, v := range values {
		sum += v
		if weights == nil {
			continue
		}
		w := weights[i]
		if !(w >= 0) || math.IsInf(w, 1) {
			return math.NaN()
		}
		weighted, total, equal = weighted+w*v, total+w, equal && w == weights[0]
	}
	if weights == nil || equal && total > 0 {
		return sum / float64(len(values))
	}
	return weighted / total
}

// WeightedMeanOfKnown is [WeightedMean] over the values that are not NaN; NaN if there are none.
func WeightedMeanOfKnown(values, weights []float64) float64 {
	if weights != nil && len(weights) < len(values) {
		return math.NaN()
	}
	var known, of []float64
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		known = append(known, v)
		if weights != nil {
			of = append(of, weights[i])
		}
	}
	return WeightedMean(known, of)
}

// rowWeights says what each sample of some tasks counts where they are put together, the samples of task j having been
// asked for the classes wanted[j], and images[j] being the number of reference images of each class in task j. Every
// class of every task counts by its share of the reference images, however many samples were drawn of it:
//
//	w = (n_jc / n'_j) · (n_j / n) · N / m_jc
//
// for a sample of class c in task j, with n_jc reference images of the class, n'_j those of the classes asked for in
// the task (all of its classes, unless fewer samples than classes were drawn), n_j of the task and n of all these
// tasks; m_jc samples of the class in the task and N of all. The mean of the weights is 1. Where all are, the result is
// nil. It returns an error for a class without reference images in the task and a task without samples.
func rowWeights(images []map[int]int, wanted [][]int) ([]float64, error) {
	total, samples := 0, 0
	for j, classes := range images {
		for _, n := range classes {
			total += n
		}
		samples += len(wanted[j])
	}
	weights, equal := make([]float64, 0, samples), true
	for j, classes := range images {
		asked := map[int]int{}
		for i, c := range wanted[j] {
			if classes[c] == 0 {
				return nil, errors.Errorf("metrics: sample %d of task %d is of class %d, of which the task has no reference images; ask for its own classes", i, j, c)
			}
			asked[c]++
		}
		if len(asked) == 0 {
			return nil, errors.Errorf("metrics: task %d has no samples; need at least 1", j)
		}
		ofTask, ofAsked := 0, 0
		for c, n := range classes {
			ofTask += n
			if asked[c] > 0 {
				ofAsked += n
			}
		}
		for _, c := range wanted[j] {
			// Whole numbers, so that what is equal is exactly 1.
			over := float64(classes[c]) * float64(ofTask) * float64(samples)
			under := float64(ofAsked) * float64(total) * float64(asked[c])
			weights = append(weights, over/under)
			equal = equal && over == under
		}
	}
	if equal {
		return nil, nil
	}
	return weights, nil
}

// weightOf is the weight of row i; nil weights are 1.
func weightOf(weights []float64, i int) float64 {
	if weights == nil {
		return 1
	}
	return weights[i]
}

// shareWhere returns the weighted share of n rows for which is holds.
func shareWhere(n int, weights []float64, is func(i int) bool) float64 {
	hits, total := 0.0, 0.0
	for i := range n {
		w := weightOf(weights, i)
		total += w
		if is(i) {
			hits += w
		}
	}
	return hits / total
}
