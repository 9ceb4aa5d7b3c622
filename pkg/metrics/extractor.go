package metrics

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"
)

// Extractor turns images into the features that FID, KID and PRDC compare.
type Extractor interface {
	// Name says what the extractor is, for people: network, data, image size.
	Name() string
	// Identity is the SHA-256 of the weights in hexadecimal: numbers of two runs compare only
	// if it is the same.
	Identity() string
	// Dim is the number of features, D.
	Dim() int
	// ImageShape is the height, width and number of channels of the images Features takes. An
	// extractor that resizes its input returns 0 for height and width, and takes squares.
	ImageShape() (h, w, c int)
	// Features returns [n, D] for n images, flat [n, H, W, C] in [-1, 1]. It is safe for
	// concurrent use, one call at a time being computed.
	Features(images []float32, n int) (*mat.Dense, error)
}

// Labeller is an extractor that also names the class of an image, as [Classifier] does.
type Labeller interface {
	Extractor
	// Classes is the number of classes it knows.
	Classes() int
	// Judge returns the features [n, D] of n images and the class it sees in each.
	Judge(images []float32, n int) (features *mat.Dense, labels []int, err error)
}

// checkBackend returns an error where there is nothing to compute on.
func checkBackend(who string, backend compute.Backend) error {
	if backend == nil {
		return errors.Errorf("%s: no backend (nil); open one by backend.Open", who)
	}
	return nil
}

// forBatches calls run for the images in batches of the fixed size batch, which XLA compiles
// once. The last batch is filled up with zeros. run gets the flat images of a batch and the
// numbers, start to start+rows, of those that count.
func forBatches(images []float32, n, size, batch int, run func(flat []float32, start, rows int) error) error {
	if n < 0 || len(images) != n*size {
		return errors.Errorf("metrics: %d values for %d images of %d values each; need %d", len(images), n, size, n*size)
	}
	for start := 0; start < n; start += batch {
		rows := min(batch, n-start)
		flat := images[start*size : (start+rows)*size]
		if rows < batch {
			padded := make([]float32, batch*size)
			copy(padded, flat)
			flat = padded
		}
		if err := run(flat, start, rows); err != nil {
			return err
		}
	}
	return nil
}

// floatsOf copies a float32 tensor's values to float64.
func floatsOf(t *tensors.Tensor) ([]float64, error) {
	if t.DType() != dtypes.Float32 {
		return nil, errors.Errorf("metrics: a tensor of %s; need float32", t.Shape())
	}
	out := make([]float64, t.Size())
	err := tensors.ConstFlatData(t, func(flat []float32) {
		for i, v := range flat {
			out[i] = float64(v)
		}
	})
	return out, err
}
