package metrics

import (
	"fmt"
	"math"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"

	"palimpsest/datasets"
	"palimpsest/pkg/results"
)

const (
	// CopyQuantile is the share of real held-out images that the yardstick for copies calls copies of the whole training
	// set. A hundredth is low enough that being so near is rare without copying, and is still set by ten of a thousand
	// images, where a thousandth would be set by the nearest one alone, often a duplicate in the data.
	CopyQuantile = 0.01

	// copyHeldOut is how many held-out images are measured at most, so that 60,000 training images take seconds.
	copyHeldOut = 1000

	// copyTrain and copyValues are how many training images, and values of their pixels, are searched at most: all are in memory,
	// and sets may be larger than that. 200,000 images of 28×28 pixels take a gigabyte and a half.
	copyTrain, copyValues = 200_000, 1 << 29
)

// searched are the images of each task in which copies are looked for: all, or, where they are more than most, of each task the same
// share, evenly from all of them.
func searched(tasks []*datasets.Images, most int) []*datasets.Images {
	total := 0
	for _, t := range tasks {
		total += t.N
	}
	if total <= most {
		return tasks
	}
	out := make([]*datasets.Images, len(tasks))
	for j, t := range tasks {
		rows := make([]int, max(1, int(float64(t.N)*float64(most)/float64(total))))
		for i := range rows {
			rows[i] = i * t.N / len(rows)
		}
		out[j] = t.Select(rows)
	}
	return out
}

// yardstick finds copies by fixed distances: those that the share [CopyQuantile] of held-out images keeps, at most, to
// the nearest of all training images. They depend on the data and the split alone: neither on what a strategy stores nor
// on how many tasks have been learned, so that shares compare between buffers of any size. In the classifier's
// features, which are standardised, distances are Euclidean, as those of PRDC are; a cosine would compare directions
// only, which hardly differ within a class that the classifier knows.
type yardstick struct {
	train      copySet
	directions *mat.Dense // that features are sketched along, as [newFeatureSet] takes them
	ends       []int      // training images of tasks 0 .. j: the first ends[j] of train
	heldOut    []looked   // of each task
	toTrain    []nearness
	protocol   results.CopyProtocol
}

// copySet are images that others might be copies of.
type copySet struct {
	images   *ImageSet
	features *featureSet // a row each distinct image; nil without a classifier
}

// looked are images as copies are looked for among them: pixels and, with a classifier, features; where training
// mirrors images, the features of their mirror images too.
type looked struct {
	pixels             []float32
	features, mirrored *mat.Dense
}

// nearness holds the distances of a task's held-out images to the nearest training image of each task, [image, task]; nil
// where the task has none, and without a classifier.
type nearness struct{ pixels, features *mat.Dense }

// found is how near samples are to one set.
type found struct {
	ratio            []Neighbour
	pixels, features []float64
}

// CopySets are what samples are compared with to find copies after a task.
type CopySets struct {
	buffer, train *copySet
	// Shares of each task's held-out images that are copies of these by the yardstick.
	realBuffer, realTrain []results.CopyRates
}

// openYardstick measures the training images once.
func (e *Evaluator) openYardstick() (*yardstick, error) {
	if e.copies != nil {
		return e.copies, nil
	}
	y := new(yardstick)
	var sets []*datasets.Images
	total, there := 0, 0
	for j, t := range e.tasks {
		if t.train == nil || t.train.N == 0 {
			return nil, errors.Errorf("metrics.Evaluator: task %d has no training images; copies need them", j)
		}
		there += t.train.N
		sets = append(sets, t.train)
	}
	sets = searched(sets, min(copyTrain, copyValues/e.size))
	for _, s := range sets {
		total += s.N
		y.ends = append(y.ends, total)
	}
	all, err := datasets.Concat(sets...)
	if err != nil {
		return nil, errors.WithMessage(err, "training images")
	}
	if y.train.images, err = e.imageSetOf(all); err != nil {
		return nil, errors.WithMessage(err, "training images")
	}
	if err := e.measureYardstick(y, all); err != nil {
		return nil, err
	}
	var pixels, features []float64
	for _, near := range y.toTrain {
		pixels = append(pixels, nearestOfFirst(near.pixels, len(e.tasks))...)
		features = append(features, nearestOfFirst(near.features, len(e.tasks))...)
	}
	y.protocol = results.CopyProtocol{Quantile: CopyQuantile, HeldOut: len(pixels), Train: total, Mirrored: e.opt.Mirrored,
		PixelThreshold: greyLevels(lowQuantile(pixels), e.size)}
	if total < there {
		y.protocol.TrainOf = there
	}
	if len(features) > 0 {
		y.protocol.FeatureThreshold = Measured(lowQuantile(features))
	}
	e.copies = y
	return y, nil
}

// measureYardstick fills in all of y that takes long, or takes it from the store: the features of its training images and
// of mirrored held-out images, and how near those are to these.
func (e *Evaluator) measureYardstick(y *yardstick, train *datasets.Images) error {
	held := e.holdOut()
	key := append(e.networksKey(), []byte("yardstick"), fmt.Append(nil, y.ends), imagesKey(train))
	for j, rows := range held {
		y.heldOut = append(y.heldOut, looked{pixels: e.tasks[j].images.Select(rows).Scaled()})
		if seen := e.tasks[j].seen; seen != nil && len(rows) > 0 {
			y.heldOut[j].features = takeRows(seen, rows)
		}
		key = append(key, imagesKey(e.tasks[j].images.Select(rows)))
	}
	const ofTask = 3 // matrices, after the features of training images
	all, err := e.opt.Store.matrices(func() ([]*mat.Dense, error) {
		seen, err := e.seenIn(y.train.images)
		if err != nil {
			return nil, errors.WithMessage(err, "training images")
		}
		y.setFeatures(seen)
		out := []*mat.Dense{seen}
		for _, h := range y.heldOut {
			if h, err = e.lookAt(h.pixels, h.features); err != nil {
				return nil, errors.WithMessage(err, "held-out images")
			}
			pixels, features := y.blocks(h, e.size)
			out = append(out, h.mirrored, pixels, features)
		}
		return out, nil
	}, key...)
	if err != nil {
		return err
	}
	if y.train.features == nil {
		y.setFeatures(all[0])
	}
	for j := range y.heldOut {
		part := all[1+ofTask*j:]
		y.heldOut[j].mirrored = part[0]
		y.toTrain = append(y.toTrain, nearness{pixels: part[1], features: part[2]})
	}
	return nil
}

// setFeatures takes the features of training images, nil without a classifier.
func (y *yardstick) setFeatures(rows *mat.Dense) {
	if rows != nil {
		y.directions = directionsOf(rows)
		y.train.features = newFeatureSet(rows, y.directions)
	}
}

// holdOut picks the rows of each task's reference images that are held out, evenly from those of all tasks.
func (e *Evaluator) holdOut() [][]int {
	total := 0
	for _, t := range e.tasks {
		total += t.images.N
	}
	n := min(total, copyHeldOut)
	held := make([][]int, len(e.tasks))
	picked, start := 0, 0
	for j, t := range e.tasks {
		for ; picked < n && picked*total/n < start+t.images.N; picked++ {
			held[j] = append(held[j], picked*total/n-start)
		}
		start += t.images.N
	}
	return held
}

// blocks measures how near images are to those of each task; nil without images, and without features.
func (y *yardstick) blocks(h looked, size int) (pixels, features *mat.Dense) {
	n := len(h.pixels) / size
	if n == 0 {
		return nil, nil
	}
	pixels = mat.NewDense(n, len(y.ends), nil)
	if h.features != nil {
		features = mat.NewDense(n, len(y.ends), nil)
	}
	start := 0
	for j, end := range y.ends {
		inPixels, inFeatures := y.part(start, end).distances(h)
		pixels.SetCol(j, inPixels)
		if features != nil {
			features.SetCol(j, inFeatures)
		}
		start = end
	}
	return pixels, features
}

// part are the training images from (included) to (excluded).
func (y *yardstick) part(from, to int) *copySet {
	part := &copySet{images: y.train.images.between(from, to)}
	if f := y.train.features; f != nil {
		if a, b := y.train.images.rowOf(from), y.train.images.rowOf(to); a < b {
			part.features = f.between(a, b)
		}
	}
	return part
}

// distances are those of images to the nearest of the set, Euclidean, in pixels and in features (nil without them).
func (s *copySet) distances(of looked) (pixels, features []float64) {
	return distances(s.images.nearest(of.pixels)), s.featureDistances(of)
}

// distances are those to the nearest images.
func distances(near []Neighbour) []float64 {
	out := make([]float64, len(near))
	for i, n := range near {
		out[i] = n.D1
	}
	return out
}

// featureDistances are distances in features; nil without them.
func (s *copySet) featureDistances(of looked) []float64 {
	if of.features == nil {
		return nil
	}
	features := s.features.distances(of.features)
	if of.mirrored != nil {
		for i, d := range s.features.distances(of.mirrored) {
			features[i] = min(features[i], d)
		}
	}
	return features
}

// copySetOf makes a set to look for copies in.
func (e *Evaluator) copySetOf(im *datasets.Images) (s copySet, err error) {
	if s.images, err = e.imageSetOf(im); err != nil {
		return s, err
	}
	seen, err := e.seenIn(s.images)
	if seen != nil && err == nil {
		s.features = newFeatureSet(seen, e.copies.directions)
	}
	return s, err
}

// imageSetOf makes a set to look for nearest images in.
func (e *Evaluator) imageSetOf(im *datasets.Images) (*ImageSet, error) {
	if e.opt.Mirrored {
		return NewMirroredSet(im.Scaled(), im.H, im.W, im.C)
	}
	return newImageSet(im.Scaled(), im.H, im.W, im.C)
}

// seenIn are the labeller's features of the distinct images of a set; nil without one.
func (e *Evaluator) seenIn(set *ImageSet) (*mat.Dense, error) {
	if e.opt.Labeller == nil {
		return nil, nil
	}
	features, err := e.opt.Labeller.Features(set.pixels, set.Len())
	if err == nil {
		err = checkFinite("metrics.Evaluator", features)
	}
	return features, err
}

// lookAt prepares images for a search for copies; features are what the labeller sees in them, nil without one.
func (e *Evaluator) lookAt(pixels []float32, features *mat.Dense) (h looked, err error) {
	h = looked{pixels: pixels, features: features}
	if features != nil && e.opt.Mirrored {
		im := e.tasks[0].images
		h.mirrored, err = e.opt.Labeller.Features(mirrored(pixels, im.H, im.W, im.C), len(pixels)/e.size)
	}
	return h, err
}

// nearestOfFirst are the least of the first tasks' distances of each image; nil of nil.
func nearestOfFirst(byTask *mat.Dense, tasks int) []float64 {
	if byTask == nil {
		return nil
	}
	n, _ := byTask.Dims()
	out := make([]float64, n)
	for i := range out {
		out[i] = slices.Min(byTask.RawRowView(i)[:tasks])
	}
	return out
}

// lowQuantile is the smallest of the values that at least the share [CopyQuantile] of them does not exceed.
func lowQuantile(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(CopyQuantile*float64(len(sorted))))-1)]
}

// greyLevels is the Euclidean distance of two images of size values in [-1, 1] as the root mean square difference of a
// value in levels of 0 .. 255.
func greyLevels(distance float64, size int) float64 {
	return distance / math.Sqrt(float64(size)) * 127.5
}

// rates are the weighted shares of images with these distances that are copies; null where there are no images.
func (y *yardstick) rates(pixels, features, weights []float64, size int) (inPixels, inFeatures *float64) {
	inPixels = Measured(shareWhere(len(pixels), weights, func(i int) bool { return greyLevels(pixels[i], size) <= y.protocol.PixelThreshold }))
	if features != nil {
		inFeatures = Measured(shareWhere(len(features), weights, func(i int) bool { return features[i] <= *y.protocol.FeatureThreshold }))
	}
	return inPixels, inFeatures
}

// CopySets prepares the search for copies after task i: among the training images of tasks 0 .. i, which are those that
// the model has seen, and among the images that the strategy stores, buffer, nil or empty for none. It returns an error if
// the tasks given to [NewEvaluator] have no training images, or if images of the buffer are of another size.
func (e *Evaluator) CopySets(i int, buffer *datasets.Images) (*CopySets, error) {
	if i < 0 || i >= len(e.tasks) {
		return nil, errors.Errorf("metrics.Evaluator.CopySets: after task %d; need 0 to %d", i, len(e.tasks)-1)
	}
	y, err := e.openYardstick()
	if err != nil {
		return nil, err
	}
	sets := &CopySets{train: y.part(0, y.ends[i])}
	for j := range e.tasks {
		near := y.toTrain[j]
		var real results.CopyRates
		real.RealPixels, real.RealFeatures = y.rates(nearestOfFirst(near.pixels, i+1), nearestOfFirst(near.features, i+1), nil, e.size)
		sets.realTrain = append(sets.realTrain, real)
	}
	if buffer == nil || buffer.N == 0 {
		return sets, nil
	}
	if buffer.ImageSize() != e.size {
		return nil, errors.Errorf("metrics.Evaluator.CopySets: images of the buffer have %d values, those of the tasks %d", buffer.ImageSize(), e.size)
	}
	stored, err := e.copySetOf(buffer)
	if err != nil {
		return nil, errors.WithMessage(err, "images of the buffer")
	}
	sets.buffer = &stored
	for j := range e.tasks {
		var real results.CopyRates
		pixels, features := stored.distances(y.heldOut[j])
		real.RealPixels, real.RealFeatures = y.rates(pixels, features, nil, e.size)
		sets.realBuffer = append(sets.realBuffer, real)
	}
	return sets, nil
}

// copyShares are the shares of samples of task j, which count by weights, that are copies: by the distance ratio of the
// buffer and of the training images, and by the yardstick.
func (e *Evaluator) copyShares(j int, s *Judged, sets *CopySets, weights []float64) (buffer, train *float64, copies *results.Copies, err error) {
	if s.looked == nil {
		h, err := e.lookAt(s.pixels, s.seen)
		if err != nil {
			return nil, nil, nil, err
		}
		s.looked, s.nearest = &h, map[*copySet]found{}
	}
	copies = new(results.Copies)
	train, copies.Train = e.copyRates(s, sets.train, sets.realTrain[j], weights)
	if sets.buffer != nil {
		buffer, copies.Buffer = e.copyRates(s, sets.buffer, sets.realBuffer[j], weights)
	}
	return buffer, train, copies, nil
}

// copyRates are the shares of samples that are copies of images of one set, by the ratio, null where it has fewer than
// two, and by the yardstick.
func (e *Evaluator) copyRates(s *Judged, set *copySet, real results.CopyRates, weights []float64) (byRatio *float64, rates *results.CopyRates) {
	near, ok := s.nearest[set]
	if !ok {
		near.ratio = set.images.nearest(s.pixels)
		near.pixels, near.features = distances(near.ratio), set.featureDistances(*s.looked)
		s.nearest[set] = near
	}
	if set.images.Len() > 1 {
		byRatio = Measured(weightedCopyShare(near.ratio, e.opt.CopyRatio, weights))
	}
	real.Pixels, real.Features = e.copies.rates(near.pixels, near.features, weights, e.size)
	return byRatio, &real
}
