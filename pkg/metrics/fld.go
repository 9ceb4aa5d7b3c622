package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"palimpsest/pkg/parallel"
)

// FLDImages is how many images of each kind, training, test and generated, [Evaluator] takes for FLD at most, drawn by a
// fixed seed. FLD depends on these numbers, so it compares between equal ones only.
const FLDImages = 500

// FLD returns the Feature Likelihood Divergence of generated features, [M, D], from training images, [N, D], and from test
// images, [N', D], that nothing has learned from, [fld]. A Gaussian stands on every generated image,
//
//	p(x) = 1/M · Σ_j N(x; g_j, σ_j²·I)
//
// whose widths σ_j are fitted so that training images become likely. Then
//
//	FLD = 100 · (-mean_test ln p(x) / D - C)
//
// in hundredths of a nat a dimension, with C the same of real images: of Gaussians on a half of the training images, no more
// than M, fitted to the rest. Lower is better; 0 is as good as real images are. It rises with poor quality (test images lie
// far from all samples), with missing variety (some do) and with copies: a Gaussian on a copy shrinks to its training image,
// and test images fall out of it. Where nearly all samples are exact copies it is very large, above 1,000.
//
// Features are brought to mean 0 and deviation 1 over the test images first; one that is constant there is left out. The fit
// is that of the authors' code: Adam at a rate of 0.5 on ln σ_j², for 50 steps or until five losses agree to 5e-4, from the
// distance to the nearest training image. During the fit alone a further Gaussian around the mean of the training images
// gives each of them some likelihood, so that no sample has to widen for the sake of an image that it does not resemble.
//
// Which halves are taken is drawn from the seed. It returns an error if the dimensions differ, a value is not finite or so large
// that a sum overflows, there are fewer than two test or generated images or four training images, or real images differ so
// little that C means nothing: all test images have the same features, or all training images of the one half are repeated in
// the other.
func FLD(train, test, generated *mat.Dense, seed uint64) (float64, error) {
	l, err := newLikeness(train, test, rand.New(rand.NewPCG(seed, 0)).Perm)
	if err != nil {
		return math.NaN(), err
	}
	return l.fld(generated, nil)
}

// errTooFew is the cause where FLD is not defined for want of real images that differ.
var errTooFew = errors.New("too few different images")

// likeness is what [FLD] knows of real images; it is kept where many sets of samples compare with them.
type likeness struct {
	standard    *standardiser
	train, test *mat.Dense      // standardised
	order       []int           // of training images, of which the first become Gaussians in C
	baselines   map[int]float64 // C by the number of Gaussians

	store *FeatureStore // of baselines, under key and their number; nil keeps none
	key   [][]byte
}

// newLikeness takes real images; shuffle returns the numbers 0 .. n-1 in some order.
func newLikeness(train, test *mat.Dense, shuffle func(n int) []int) (*likeness, error) {
	n, m, err := checkPair("metrics.FLD", train, test)
	if err != nil {
		return nil, err
	}
	if n < 4 || m < 2 {
		return nil, errors.Wrapf(errTooFew, "metrics.FLD: %d training and %d test images; need at least 4 and 2", n, m)
	}
	s := newStandardiser(test)
	if err := checkResult("metrics.FLD, test images", floats.Sum(s.mean)+floats.Sum(s.unit), test); err != nil {
		return nil, err
	}
	if len(s.columns) == 0 {
		return nil, errors.Wrap(errTooFew, "metrics.FLD: all test images have the same features")
	}
	return &likeness{standard: s, train: s.of(train), test: s.of(test), order: shuffle(n), baselines: map[int]float64{}}, nil
}

// fld is [FLD] of generated images that count by weights, [M], which take the place of 1/M; nil: all alike.
func (l *likeness) fld(generated *mat.Dense, weights []float64) (float64, error) {
	if err := checkFinite("metrics.FLD", generated); err != nil {
		return math.NaN(), err
	}
	m, d := generated.Dims()
	if d != len(l.standard.mean) || m < 2 {
		return math.NaN(), errors.Errorf("metrics.FLD: %d generated images with %d features, test images with %d; need at least 2, and all features from one extractor",
			m, d, len(l.standard.mean))
	}
	c, err := l.baseline(m)
	if err != nil {
		return math.NaN(), err
	}
	of := l.standard.of(generated)
	fld := 100 * (fitMixture(of, shareOf(weights, m), l.train).nll(l.test) - c)
	if err := checkResult("metrics.FLD, standardised features", fld, of, l.train, l.test); err != nil {
		return math.NaN(), err
	}
	return fld, nil
}

// baseline is C for m samples.
func (l *likeness) baseline(m int) (float64, error) {
	n := len(l.order)
	m = min(m, n/2)
	if _, known := l.baselines[m]; !known {
		all, err := l.store.matrices(func() ([]*mat.Dense, error) {
			half, rest := takeRows(l.train, l.order[:m]), takeRows(l.train, l.order[m:])
			if allRepeated(half, rest) {
				return nil, errors.Wrapf(errTooFew, "metrics.FLD: each of %d training images is repeated among the other %d, which says nothing of how alike real images are", m, n-m)
			}
			return []*mat.Dense{mat.NewDense(1, 1, []float64{fitMixture(half, shareOf(nil, m), rest).nll(l.test)})}, nil
		}, append(slices.Clone(l.key), fmt.Append(nil, m))...)
		if err != nil {
			return math.NaN(), err
		}
		l.baselines[m] = all[0].At(0, 0)
	}
	return l.baselines[m], nil
}

// allRepeated says whether every row of a is in b too, but for the rounding of float32.
func allRepeated(a, b *mat.Dense) bool {
	n, d := a.Dims()
	m, _ := b.Dims()
	for i := range n {
		found := false
		for j := 0; j < m && !found; j++ {
			away := floats.Distance(a.RawRowView(i), b.RawRowView(j), 2)
			found = away*away <= 1e-12*float64(d)
		}
		if !found {
			return false
		}
	}
	return true
}

// standardiser brings features to mean 0 and deviation 1.
type standardiser struct {
	columns    []int // those that are not constant
	mean, unit []float64
}

// newStandardiser measures features, [N, D] with N of 2 or more.
func newStandardiser(features *mat.Dense) *standardiser {
	_, d := features.Dims()
	s := &standardiser{mean: make([]float64, d), unit: make([]float64, d)}
	for j := range d {
		s.mean[j], s.unit[j] = stat.MeanStdDev(mat.Col(nil, j, features), nil)
		if s.unit[j] > 0 {
			s.columns = append(s.columns, j)
		}
	}
	return s
}

// of returns features standardised.
func (s *standardiser) of(features *mat.Dense) *mat.Dense {
	n, _ := features.Dims()
	out := mat.NewDense(n, len(s.columns), nil)
	for i := range n {
		from, to := features.RawRowView(i), out.RawRowView(i)
		for k, j := range s.columns {
			to[k] = (from[j] - s.mean[j]) / s.unit[j]
		}
	}
	return out
}

// mixture is a mixture of Gaussians of one width in all directions.
type mixture struct {
	means       *mat.Dense // [M, D]
	logShare    []float64  // ln of what each counts, [M]
	logVariance []float64  // ln σ², [M]
}

// How the authors' code fits a mixture.
const (
	fitRate, fitSteps    = 0.5, 50
	fitAgreed, fitLosses = 5e-4, 5
	fitNearest           = 1e-3 // added to the squared distance that the first width comes from
	fitMostLog           = 40   // of ln σ² either way: copies would let it fall for ever
	fitCentre            = 0.81 // what distances to the mean count
)

// fitMixture places Gaussians on the rows of means and fits their widths to data, [N, D].
func fitMixture(means *mat.Dense, share []float64, data *mat.Dense) *mixture {
	m, d := means.Dims()
	n, _ := data.Dims()
	x := &mixture{means: means, logShare: make([]float64, m)}
	for j, s := range share {
		x.logShare[j] = math.Log(s)
	}
	// The last column is the Gaussian around the mean of the data, which counts in full.
	distance := mat.NewDense(n, m+1, nil)
	centre := make([]float64, d)
	for j := range d {
		centre[j] = stat.Mean(mat.Col(nil, j, data), nil)
	}
	squaredDistances(distance.Slice(0, n, 0, m).(*mat.Dense), data, means)
	for i := range n {
		away := floats.Distance(data.RawRowView(i), centre, 2)
		distance.Set(i, m, fitCentre*away*away)
	}
	logShare := append(append([]float64{}, x.logShare...), 0)
	logVariance := make([]float64, m+1)
	nearest := slices.Clone(distance.RawRowView(0))
	for i := 1; i < n; i++ {
		for j, v := range distance.RawRowView(i) {
			if v < nearest[j] {
				nearest[j] = v
			}
		}
	}
	for j, v := range nearest[:m] {
		logVariance[j] = math.Log((v + fitNearest) / float64(d))
	}
	adam := newFitAdam(m + 1)
	gradient := make([]float64, m+1)
	var losses []float64
	for step := range fitSteps {
		losses = append(losses, mixtureLoss(gradient, distance, logShare, logVariance, d))
		adam.step(logVariance, gradient)
		for j := range m {
			logVariance[j] = max(-fitMostLog, min(fitMostLog, logVariance[j]))
		}
		if step > fitLosses {
			last := losses[len(losses)-fitLosses:]
			if max(floats.Max(last)-losses[step], losses[step]-floats.Min(last)) < fitAgreed {
				break
			}
		}
	}
	x.logVariance = logVariance[:m]
	return x
}

// mixtureLoss returns -mean_i ln Σ_j exp(share_j + ln N(x_i; g_j, σ_j²))/d from squared distances, [N, M], and writes its
// derivatives by ln σ_j², -mean_i r_ij·(distance_ij/(2σ_j²) - d/2)/d with r the share of Gaussian j in the likelihood of
// image i.
func mixtureLoss(gradient []float64, distance *mat.Dense, logShare, logVariance []float64, d int) float64 {
	n, m := distance.Dims()
	g := newGaussians(m, d)
	for j := range m {
		g.half[j], g.offset[j] = 0.5*math.Exp(-logVariance[j]), logShare[j]-0.5*float64(d)*(logVariance[j]+math.Log(2*math.Pi))
	}
	// Parts of a fixed size, added up in order: the sum is the same on any number of processors.
	parts := (n + partRows - 1) / partRows
	totals, gradients, part := make([]float64, parts), make([][]float64, parts), gaussians.part
	if vectorPart != nil {
		part = vectorPart
	}
	parallel.For(parts, func(p int) {
		totals[p], gradients[p] = part(g, rowsBetween(distance, p*partRows, min(n, (p+1)*partRows)))
	})
	clear(gradient)
	for p := range parts {
		floats.Add(gradient, gradients[p])
	}
	floats.Scale(1/float64(n*d), gradient)
	return -floats.Sum(totals) / float64(n*d)
}

// negligible is ln of a share that float64 hardly sees beside 1.
const negligible = -37

// partRows is how many rows a part of [mixtureLoss] has at most.
const partRows = 64

// gaussians are those of a mixture by their terms offset - half·distance, whose exponentials add up to a likelihood. Their number is
// filled up to a multiple of eight by such as add nothing. middle is half the number of features.
type gaussians struct {
	half, offset []float64
	middle       float64
}

func newGaussians(m, d int) gaussians {
	wide := (m + 7) / 8 * 8
	g := gaussians{make([]float64, wide), make([]float64, wide), 0.5 * float64(d)}
	for j := m; j < wide; j++ {
		g.offset[j] = math.Inf(-1)
	}
	return g
}

// What computes [gaussians.part] and [squaredDistances], of some rows, by vectors (vectors.go), to the same bits; nil where this
// build or processor has none.
var (
	vectorPart      func(g gaussians, distance *mat.Dense) (total float64, gradient []float64)
	vectorDistances func(to, a, b *mat.Dense)
)

// part adds up, over rows of squared distances, ln of the sum of exp(offset_j - half_j·distance_j), and the derivatives of [mixtureLoss]
// but for what they are divided by. Terms that are negligible beside a row's largest are left out.
func (g gaussians) part(distance *mat.Dense) (total float64, gradient []float64) {
	n, m := distance.Dims()
	gradient = make([]float64, m)
	logs, at, share := make([]float64, m), make([]int, 0, m), make([]float64, 0, m)
	for i := range n {
		row := distance.RawRowView(i)
		most := math.Inf(-1)
		half, offset := g.half[:len(row)], g.offset[:len(row)]
		for j, v := range row {
			term := offset[j] - half[j]*v
			if logs[j] = term; term > most { // max would look for NaN each time, which takes longer than all else here
				most = term
			}
		}
		at, share = at[:0], share[:0]
		sum := 0.0
		for j, v := range logs {
			if v-most > negligible {
				e := math.Exp(v - most)
				at, share = append(at, j), append(share, e)
				sum += e
			}
		}
		floats.Scale(1/sum, share)
		total += most + math.Log(sum)
		for k, j := range at {
			gradient[j] += share[k] * (g.middle - half[j]*row[j])
		}
	}
	return total, gradient
}

// nll is -mean ln p(x)/D over the rows of data, in nats a dimension.
func (x *mixture) nll(data *mat.Dense) float64 {
	n, d := data.Dims()
	m := len(x.logVariance)
	distance := mat.NewDense(n, m, nil)
	squaredDistances(distance, data, x.means)
	return mixtureLoss(make([]float64, m), distance, x.logShare, x.logVariance, d)
}

// squaredDistances writes those of the rows of a to the rows of b.
func squaredDistances(to, a, b *mat.Dense) {
	n, _ := a.Dims()
	parts := (n + partRows - 1) / partRows
	parallel.For(parts, func(p int) {
		first, end := p*partRows, min(n, (p+1)*partRows)
		if vectorDistances != nil {
			vectorDistances(rowsBetween(to, first, end), rowsBetween(a, first, end), b)
			return
		}
		for i := first; i < end; i++ {
			squaredDistancesOf(to.RawRowView(i), a.RawRowView(i), b)
		}
	})
}

// squaredDistancesOf writes those of row to the rows of b, each summed feature by feature.
func squaredDistancesOf(out, row []float64, b *mat.Dense) {
	m, j := len(out), 0
	for ; j+4 <= m; j += 4 { // four sums that need not wait for one another
		r0, r1, r2, r3 := b.RawRowView(j), b.RawRowView(j+1), b.RawRowView(j+2), b.RawRowView(j+3)
		r0, r1, r2, r3 = r0[:len(row)], r1[:len(row)], r2[:len(row)], r3[:len(row)]
		var s0, s1, s2, s3 float64
		for k, v := range row {
			d0, d1, d2, d3 := v-r0[k], v-r1[k], v-r2[k], v-r3[k]
			s0 += d0 * d0
			s1 += d1 * d1
			s2 += d2 * d2
			s3 += d3 * d3
		}
		out[j], out[j+1], out[j+2], out[j+3] = s0, s1, s2, s3
	}
	for ; j < m; j++ {
		sum := 0.0
		for k, v := range b.RawRowView(j) {
			diff := row[k] - v
			sum += diff * diff
		}
		out[j] = sum
	}
}

// fitAdam is Adam with its usual decays.
type fitAdam struct {
	mean, square []float64
	steps        int
}

func newFitAdam(n int) *fitAdam {
	return &fitAdam{mean: make([]float64, n), square: make([]float64, n)}
}

func (a *fitAdam) step(values, gradient []float64) {
	const decay, decaySquare, epsilon = 0.9, 0.999, 1e-8
	a.steps++
	correct, correctSquare := 1-math.Pow(decay, float64(a.steps)), 1-math.Pow(decaySquare, float64(a.steps))
	for j, g := range gradient {
		a.mean[j] = decay*a.mean[j] + (1-decay)*g
		a.square[j] = decaySquare*a.square[j] + (1-decaySquare)*g*g
		values[j] -= fitRate * (a.mean[j] / correct) / (math.Sqrt(a.square[j]/correctSquare) + epsilon)
	}
}
