package metrics

import (
	"sync"

	"palimpsest/datasets"
	"palimpsest/pkg/results"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"
)

// ClassifierInfo says what a [Classifier] is and how it came about; it is stored beside the
// weights.
type ClassifierInfo struct {
	Dataset    string        `json:"dataset"`      // what it was trained on: the training split of this set
	DataSHA256 string        `json:"data_sha256"`  // datasets.Dataset.Hash of it
	Prep       datasets.Prep `json:"prep"`         // how images were brought to Size
	Size       int           `json:"size"`         // height and width of the images, a multiple of 16
	Channels   int           `json:"channels"`     // 1 or 3
	Classes    []string      `json:"classes"`      // names; a label is an index
	FeatureDim int           `json:"feature_dim"`  // always FeatureDim
	Config     TrainConfig   `json:"config"`       // settings and seed of the training
	TrainN     int           `json:"train_images"` // images learned from
	ValN       int           `json:"val_images"`   // images of the training split held out to watch the training
	TestN      int           `json:"test_images"`
	// ValAccuracy and TestAccuracy are shares of right answers after the last step. The test split
	// chose nothing: no setting, no stopping, no version of the weights.
	ValAccuracy  float64 `json:"val_accuracy"`
	TestAccuracy float64 `json:"test_accuracy"`
	Backend      string  `json:"backend"`        // what it was trained on; other backends round differently
	SHA256       string  `json:"weights_sha256"` // of the weights file
}

// Classifier is a small convolutional network that names the class of an image and whose
// penultimate layer gives the features for grey images, where Inception's are advised against
// by the authors of [fid].
//
// Features are the 64 linear outputs of that layer, before its ReLU, each shifted and scaled to
// mean 0 and variance 1 over the training split. Before the ReLU they are nearer to the
// Gaussians that FID supposes, and no unit that is always off makes a covariance singular.
// Standardised, every feature has a say in FID and in distances, and the cubic kernel of KID,
// which is (x·y/64 + 1)³, meets products of the size it was made for.
type Classifier struct {
	Info ClassifierInfo

	values map[string]*tensors.Tensor
	mu     sync.Mutex
	exec   *model.Exec
	store  *model.Store // of values
}

// inferenceBatch is the fixed batch of inference: XLA compiles once.
const inferenceBatch = 250

// newClassifier makes a classifier of the given tensors.
func newClassifier(backend compute.Backend, info ClassifierInfo, values map[string]*tensors.Tensor) (*Classifier, error) {
	if err := checkBackend("metrics.Classifier", backend); err != nil {
		return nil, err
	}
	store, err := newStore(values)
	if err != nil {
		return nil, err
	}
	exec, err := model.NewExec(backend, store, standardGraph)
	if err != nil {
		return nil, errors.Wrap(err, "metrics.Classifier")
	}
	return &Classifier{Info: info, values: values, exec: exec, store: store}, nil
}

// Close frees the compiled graph and the weights. The classifier must not be used afterwards.
func (c *Classifier) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.exec.Finalize()
	c.store.Finalize()
	c.values = nil
}

// Name implements [Extractor].
func (c *Classifier) Name() string { return "classifier " + c.FileName() }

// Protocol says what the classifier has learned from and how often it is right.
func (c *Classifier) Protocol() *results.ClassifierProtocol {
	p := &results.ClassifierProtocol{Classes: len(c.Info.Classes), Train: c.Info.TrainN, Test: c.Info.TestN}
	if p.Test > 0 {
		p.TestAccuracy = Measured(c.Info.TestAccuracy)
	}
	return p
}

// Identity implements [Extractor].
func (c *Classifier) Identity() string { return c.Info.SHA256 }

// Dim implements [Extractor].
func (c *Classifier) Dim() int { return FeatureDim }

// Classes implements [Labeller].
func (c *Classifier) Classes() int { return len(c.Info.Classes) }

// ImageShape implements [Extractor].
func (c *Classifier) ImageShape() (h, w, channels int) {
	return c.Info.Size, c.Info.Size, c.Info.Channels
}

// Features returns the standardised features of n images, [n, 64].
func (c *Classifier) Features(images []float32, n int) (*mat.Dense, error) {
	features, _, err := c.forward(images, n)
	return features, err
}

// Judge implements [Labeller]: the features of n images and the likeliest class of each.
func (c *Classifier) Judge(images []float32, n int) (*mat.Dense, []int, error) {
	features, logits, err := c.forward(images, n)
	if err != nil {
		return nil, nil, err
	}
	labels := make([]int, n)
	for i := range labels {
		row := logits.RawRowView(i)
		for k, v := range row {
			if v > row[labels[i]] {
				labels[i] = k
			}
		}
	}
	return features, labels, nil
}

// Accuracy returns the share of images whose class it names rightly. The images must be of the
// size the classifier was made for.
func (c *Classifier) Accuracy(images *datasets.Images) (float64, error) {
	if err := images.Validate(); err != nil {
		return 0, errors.WithMessage(err, "metrics.Classifier.Accuracy")
	}
	_, labels, err := c.Judge(images.Scaled(), images.N)
	if err != nil {
		return 0, err
	}
	want := make([]int, images.N)
	for i, l := range images.Labels {
		want[i] = int(l)
	}
	return Accuracy(labels, want)
}

// forward runs the network in fixed batches.
func (c *Classifier) forward(images []float32, n int) (features, logits *mat.Dense, err error) {
	if n < 1 {
		return nil, nil, errors.Errorf("metrics.Classifier: %d images; need at least 1", n)
	}
	if c == nil || c.exec == nil {
		return nil, nil, errors.New("metrics.Classifier: it has no weights; take one by metrics.LoadClassifier or TrainClassifier")
	}
	if err := checkImages("metrics.Classifier", images, len(images)/n); err != nil {
		return nil, nil, err
	}
	size, classes := c.Info.Size, len(c.Info.Classes)
	features, logits = mat.NewDense(n, FeatureDim, nil), mat.NewDense(n, classes, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	err = forBatches(images, n, size*size*c.Info.Channels, inferenceBatch, func(flat []float32, start, rows int) error {
		x := tensors.FromFlatDataAndDimensions(flat, inferenceBatch, size, size, c.Info.Channels)
		defer x.FinalizeAll()
		out, err := c.exec.Call(x)
		if err != nil {
			return errors.Wrap(err, "metrics.Classifier")
		}
		for k, to := range []*mat.Dense{features, logits} {
			values, err := floatsOf(out[k])
			if err != nil {
				return err
			}
			_, d := to.Dims()
			for i := range rows {
				to.SetRow(start+i, values[i*d:(i+1)*d])
			}
			if err := out[k].FinalizeAll(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return features, logits, nil
}
