package metrics

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"time"

	"palimpsest/datasets"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"
)

// TrainConfig holds the settings of [TrainClassifier].
type TrainConfig struct {
	Seed         uint64  `json:"seed"`          // of the initial weights, the order and the augmentation
	Epochs       int     `json:"epochs"`        // passes over the training images
	BatchSize    int     `json:"batch_size"`    // images a step
	LearningRate float64 `json:"learning_rate"` // highest: linear warm-up over 200 steps, then cosine to 0
	WeightDecay  float64 `json:"weight_decay"`  // of AdamW
	ValFraction  float64 `json:"val_fraction"`  // of the training split held out, class by class
	Shift        int     `json:"shift"`         // images move by up to this many pixels each way, black coming in
	Flip         bool    `json:"flip"`          // half of the images are mirrored left to right
}

// DefaultTrainConfig returns the settings of the shipped weights for a dataset at a size; they were
// chosen by validation accuracy. Digits are not mirrored, and only photographs are shifted: clothes
// and digits are centred already.
func DefaultTrainConfig(dataset string, size int) TrainConfig {
	cfg := TrainConfig{Seed: 0, Epochs: 12, BatchSize: 64, LearningRate: 2e-3, WeightDecay: 1e-3, ValFraction: 0.05,
		Flip: !strings.Contains(dataset, "mnist") || dataset == "fashion-mnist"}
	if strings.HasPrefix(dataset, "cifar") {
		cfg.Shift = size / 16
	}
	return cfg
}

// Validate returns an error that names the first setting out of range.
func (c TrainConfig) Validate() error {
	switch {
	case c.Epochs < 1:
		return errors.Errorf("metrics.TrainConfig: %d epochs; need at least 1", c.Epochs)
	case c.BatchSize < 1:
		return errors.Errorf("metrics.TrainConfig: batches of %d; need at least 1", c.BatchSize)
	case !(c.LearningRate > 0) || math.IsInf(c.LearningRate, 0):
		return errors.Errorf("metrics.TrainConfig: learning rate %g; need a finite number above 0", c.LearningRate)
	case !(c.WeightDecay >= 0) || math.IsInf(c.WeightDecay, 0):
		return errors.Errorf("metrics.TrainConfig: weight decay %g; need a finite number of 0 or more", c.WeightDecay)
	case !(c.ValFraction > 0 && c.ValFraction < 1):
		return errors.Errorf("metrics.TrainConfig: validation fraction %g; need more than 0 and less than 1", c.ValFraction)
	case c.Shift < 0:
		return errors.Errorf("metrics.TrainConfig: shift by %d pixels; need 0 or more", c.Shift)
	}
	return nil
}

// TrainClassifier trains a classifier on the training split of data, prepared by prep to images
// of S×S with S a multiple of 16, and writes its progress to out. Part of the split is held out
// to watch the training, where a class has images to spare; the test split is used once, after the last step, to state the accuracy.
// One seed gives the same weights again on the same backend and machine. It ends with ctx.Err()
// at the next step after ctx is done. Where out is nil nothing is written.
func TrainClassifier(ctx context.Context, backend compute.Backend, data *datasets.Dataset, prep datasets.Prep,
	cfg TrainConfig, out io.Writer) (*Classifier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := checkBackend("metrics.TrainClassifier", backend); err != nil {
		return nil, err
	}
	if data == nil || data.Train == nil || data.Test == nil {
		return nil, errors.New("metrics.TrainClassifier: a set without training or test images of one size; open it by datasets.Open, and bring files to one size by its Prepared")
	}
	if out == nil {
		out = io.Discard
	}
	prep = canonicalPrep(data.Name, prep)
	if prep.Method != "none" { // else the images say
		if err := checkSide(prep.Size); err != nil {
			return nil, err
		}
	}
	rest, held, err := datasets.HoldOut(data.Train.Labels, cfg.ValFraction, cfg.Seed)
	if err != nil {
		return nil, err
	}
	var train, val, test *datasets.Images
	for to, from := range map[**datasets.Images]*datasets.Images{
		&train: data.Train.Select(rest), &val: data.Train.Select(held), &test: data.Test} {
		if *to, err = prep.Apply(from); err != nil {
			return nil, err
		}
	}
	if train.N < cfg.BatchSize {
		return nil, errors.Errorf("metrics.TrainClassifier: %d training images for batches of %d; need a whole batch", train.N, cfg.BatchSize)
	}
	if train.H != train.W {
		return nil, errors.Errorf("metrics.TrainClassifier: images are %d×%d; need squares: prepare them by the method \"pad\" or \"area\"", train.H, train.W)
	}
	if err := checkSide(train.H); err != nil {
		return nil, err
	}
	info := ClassifierInfo{Dataset: data.Name, DataSHA256: data.Hash, Prep: prep, Size: train.H, Channels: train.C,
		Classes: data.Classes, FeatureDim: FeatureDim, Config: cfg, TrainN: train.N, ValN: val.N, TestN: test.N,
		Backend: fmt.Sprintf("%s on %s/%s", backend.Name(), runtime.GOOS, runtime.GOARCH)}
	t := &trainer{info: info, train: train, val: val, out: out}
	values, err := t.run(ctx, backend)
	if err != nil {
		return nil, err
	}
	c, err := newClassifier(backend, info, values)
	if err != nil {
		return nil, err
	}
	content, err := encodeWeights(values)
	if err != nil {
		return nil, err
	}
	c.Info.SHA256 = sha256Hex(content)
	for to, of := range map[*float64]*datasets.Images{&c.Info.ValAccuracy: val, &c.Info.TestAccuracy: test} {
		if of.N == 0 { // of classes of one image none is held out
			continue
		}
		if *to, err = c.Accuracy(of); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(out, "%s: test accuracy %.4f on %d images, weights %s\n", c.Name(), c.Info.TestAccuracy, test.N, c.Info.SHA256[:12])
	return c, nil
}

// trainer is one training.
type trainer struct {
	info       ClassifierInfo
	train, val *datasets.Images
	out        io.Writer
}

// run takes all steps and returns the tensors of the classifier.
func (t *trainer) run(ctx context.Context, backend compute.Backend) (map[string]*tensors.Tensor, error) {
	cfg := t.info.Config
	store, err := newStore(initialise(t.info.Channels, len(t.info.Classes), cfg.Seed))
	if err != nil {
		return nil, err
	}
	defer store.Finalize()
	step, err := model.NewExec(backend, store, trainStepGraph(cfg.WeightDecay))
	if err != nil {
		return nil, errors.Wrap(err, "metrics.TrainClassifier")
	}
	defer step.Finalize()
	// The classifier as it is between the steps, its features not yet standardised.
	now := &Classifier{Info: t.info}
	if now.exec, err = model.NewExec(backend, store, standardGraph); err != nil {
		return nil, errors.Wrap(err, "metrics.TrainClassifier")
	}
	defer now.exec.Finalize()
	perEpoch := t.train.N / cfg.BatchSize // an incomplete last batch is left out: another one each epoch
	total, start := perEpoch*cfg.Epochs, time.Now()
	flat, labels := make([]float32, cfg.BatchSize*t.train.ImageSize()), make([]int32, cfg.BatchSize)
	for epoch := range cfg.Epochs {
		order := rand.New(rand.NewPCG(cfg.Seed, 1<<32|uint64(epoch))).Perm(t.train.N)
		sum := 0.0
		for b := range perEpoch {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			n := epoch*perEpoch + b
			t.fillBatch(flat, labels, order[b*cfg.BatchSize:(b+1)*cfg.BatchSize], n)
			x := tensors.FromFlatDataAndDimensions(flat, cfg.BatchSize, t.train.H, t.train.W, t.train.C)
			y := tensors.FromFlatDataAndDimensions(labels, cfg.BatchSize, 1)
			cost, err := step.Call1(x, y, float32(learningRate(cfg.LearningRate, n, total)))
			if err != nil {
				return nil, errors.Wrapf(err, "metrics.TrainClassifier: step %d", n)
			}
			sum += float64(tensors.ToScalar[float32](cost))
			x.FinalizeAll()
			y.FinalizeAll()
			cost.FinalizeAll()
		}
		loss := sum / float64(perEpoch)
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return nil, errors.Errorf("metrics.TrainClassifier: the loss is %g after epoch %d; lower the learning rate, now %g",
				loss, epoch+1, cfg.LearningRate)
		}
		if err := t.report(now, epoch, loss, start); err != nil {
			return nil, err
		}
	}
	if err := t.standardise(now, store); err != nil {
		return nil, err
	}
	return valuesOf(store, t.info)
}

// progressLines is how many lines of progress a training of many epochs writes.
const progressLines = 12

// report writes a line of progress with the validation accuracy so far.
func (t *trainer) report(now *Classifier, epoch int, loss float64, start time.Time) error {
	if every := (t.info.Config.Epochs + progressLines - 1) / progressLines; (epoch+1)%every != 0 && epoch+1 < t.info.Config.Epochs {
		return nil
	}
	known := ""
	if t.val.N > 0 {
		acc, err := now.Accuracy(t.val)
		if err != nil {
			return err
		}
		known = fmt.Sprintf("validation accuracy %.4f, ", acc)
	}
	done, spent := epoch+1, time.Since(start)
	left := time.Duration(float64(spent) / float64(done) * float64(t.info.Config.Epochs-done)).Round(time.Second)
	fmt.Fprintf(t.out, "epoch %d of %d: loss %.4f, %s%.0f images/s, %v left\n", done, t.info.Config.Epochs,
		loss, known, float64(done*t.train.N)/spent.Seconds(), left)
	return nil
}

// standardise sets the shift and scale of the features to those of the training images, without
// augmentation.
func (t *trainer) standardise(now *Classifier, store *model.Store) error {
	h, err := now.Features(t.train.Scaled(), t.train.N)
	if err != nil {
		return err
	}
	s, err := NewStats(h)
	if err != nil {
		return err
	}
	mean, std := make([]float32, FeatureDim), make([]float32, FeatureDim)
	for j := range FeatureDim {
		mean[j], std[j] = float32(s.Mean[j]), float32(math.Sqrt(s.Cov.At(j, j)))
		if std[j] < 1e-6 {
			return errors.Errorf("metrics.TrainClassifier: feature %d is the same for all training images; train with another seed", j)
		}
	}
	if err := store.GetVariable("/" + featureMean).SetValue(tensors.FromFlatDataAndDimensions(mean, FeatureDim)); err != nil {
		return err
	}
	return store.GetVariable("/" + featureStd).SetValue(tensors.FromFlatDataAndDimensions(std, FeatureDim))
}

// fillBatch writes the images of the given numbers, augmented, and their labels. What it draws
// depends on the seed and the step alone.
func (t *trainer) fillBatch(flat []float32, labels []int32, rows []int, step int) {
	cfg, size := t.info.Config, t.train.ImageSize()
	rng := rand.New(rand.NewPCG(cfg.Seed, 2<<32|uint64(step)))
	moved := make([]uint8, size)
	for i, r := range rows {
		labels[i] = t.train.Labels[r]
		dy, dx := rng.IntN(2*cfg.Shift+1)-cfg.Shift, rng.IntN(2*cfg.Shift+1)-cfg.Shift
		shiftImage(moved, t.train.Image(r), t.train.H, t.train.W, t.train.C, dy, dx)
		if flip := rng.IntN(2) == 1; flip && cfg.Flip {
			datasets.FlipRow(moved, t.train.H, t.train.W, t.train.C)
		}
		datasets.Scale(flat[i*size:], moved)
	}
}

// shiftImage writes src, [h, w, c], moved by dy rows and dx columns to dst; black comes in.
func shiftImage(dst, src []uint8, h, w, c, dy, dx int) {
	clear(dst)
	for y := max(0, dy); y < min(h, h+dy); y++ {
		from, to := max(0, dx), min(w, w+dx)
		copy(dst[(y*w+from)*c:(y*w+to)*c], src[((y-dy)*w+from-dx)*c:])
	}
}

// learningRate warms up over 200 steps, or a tenth of all if that is fewer, then falls as a
// cosine to 0.
func learningRate(highest float64, step, total int) float64 {
	warm := min(200, total/10)
	if step < warm {
		return highest * float64(step+1) / float64(warm)
	}
	return highest * (1 + math.Cos(math.Pi*float64(step-warm)/float64(max(1, total-warm)))) / 2
}

// valuesOf copies a classifier's tensors out of a store.
func valuesOf(store *model.Store, info ClassifierInfo) (map[string]*tensors.Tensor, error) {
	out := make(map[string]*tensors.Tensor)
	for name := range classifierShapes(info.Channels, len(info.Classes)) {
		value, err := store.GetVariable("/" + name).Value()
		if err != nil {
			return nil, err
		}
		if out[name], err = value.LocalClone(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
