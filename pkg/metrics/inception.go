package metrics

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/safetensors"
)

// inceptionBatch is the fixed batch of inference, small because 16 images of 299×299 already take
// a few hundred megabytes in the first layers.
const inceptionBatch = 16

// Inception is the Inception-v3 network [inception] in the variant on which FID is defined [fid],
// as an extractor of its last pooled features, 2048 in the published weights. It takes colour
// images of any size, squares unless [Inception.Sides] said otherwise, and resizes them bilinearly to 299×299, as the usual PyTorch port of
// FID does. Use [LoadInception].
type Inception struct {
	name, sha256 string
	dim          int
	h, w         int // of the images; 0: squares
	mu           sync.Mutex
	exec         *model.Exec
	store        *model.Store
}

// LoadInception reads the weights of Inception from a safetensors file with the tensor names of
// the PyTorch port of the published FID weights (pt_inception-2015-12-05): for each convolution
// NAME.conv.weight, [out, in, height, width], and NAME.bn.weight, .bias, .running_mean and
// .running_var, [out], as in "Mixed_7c.branch3x3dbl_3b.conv.weight". The file is made from the
// published one by
//
//	python -c "import torch, safetensors.torch as s; s.save_file(torch.load('pt_inception-2015-12-05-6726825d.pth'), 'inception.safetensors')"
//
// The numbers of channels come from the file. It returns an error if a tensor is missing or of
// another form than its place in the network asks, and for torchvision's ImageNet weights, which
// have the same names but give numbers that do not compare with any published FID.
func LoadInception(backend compute.Backend, path string) (*Inception, error) {
	if err := checkBackend("metrics.LoadInception", backend); err != nil {
		return nil, err
	}
	sum, err := atomicfile.SHA256(path)
	if err != nil {
		return nil, errors.Wrap(err, "metrics.LoadInception")
	}
	values, err := safetensors.ReadFileAll(path)
	if err != nil {
		return nil, errors.WithMessage(err, "metrics.LoadInception")
	}
	folded, err := foldInception(values)
	if err != nil {
		return nil, errors.WithMessagef(err, "metrics.LoadInception: %s", path)
	}
	store, err := newStore(folded)
	if err != nil {
		return nil, err
	}
	exec, err := model.NewExec(backend, store, inceptionGraph)
	if err != nil {
		return nil, errors.Wrap(err, "metrics.LoadInception")
	}
	x := &Inception{name: fmt.Sprintf("inception pool3 of %s", filepath.Base(path)), sha256: sum, exec: exec, store: store}
	width := func(conv string) int { return folded[conv+"/biases"].Shape().Dimensions[0] }
	for _, branch := range []string{"branch1x1", "branch3x3_2a", "branch3x3_2b", "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool"} {
		x.dim += width("Mixed_7c." + branch)
	}
	return x, nil
}

// Close frees the compiled graphs and the weights. The network must not be used afterwards.
func (x *Inception) Close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.exec.Finalize()
	x.store.Finalize()
}

// Name implements [Extractor].
func (x *Inception) Name() string { return x.name }

// Identity implements [Extractor]: it is the SHA-256 of the file.
func (x *Inception) Identity() string { return x.sha256 }

// Dim implements [Extractor].
func (x *Inception) Dim() int { return x.dim }

// ImageShape implements [Extractor]: images of any size with three channels, or of that given to [Inception.Sides].
func (x *Inception) ImageShape() (h, w, c int) { return x.h, x.w, 3 }

// Sides says that the images have h×w pixels, which a number of values alone does not. It is called before the first use.
func (x *Inception) Sides(h, w int) { x.h, x.w = h, w }

// Features returns the pooled features of n colour images, [n, Dim]. The first call with a
// new image size compiles the network.
func (x *Inception) Features(images []float32, n int) (*mat.Dense, error) {
	if n < 1 {
		return nil, errors.Errorf("metrics.Inception: %d images; need at least 1", n)
	}
	values := len(images) / n
	h, w, what := x.h, x.w, fmt.Sprintf("images of %d×%d pixels with", x.h, x.w)
	if h == 0 {
		h, what = int(math.Sqrt(float64(values/3))), "square images of"
		w = h
	}
	if h*w*3 != values || values*n != len(images) {
		return nil, errors.Errorf("metrics.Inception: %d values for %d images are not %s 3 channels", len(images), n, what)
	}
	if err := checkImages("metrics.Inception", images, values); err != nil {
		return nil, err
	}
	features := mat.NewDense(n, x.dim, nil)
	x.mu.Lock()
	defer x.mu.Unlock()
	err := forBatches(images, n, values, inceptionBatch, func(flat []float32, start, rows int) error {
		in := tensors.FromFlatDataAndDimensions(flat, inceptionBatch, h, w, 3)
		defer in.FinalizeAll()
		out, err := x.exec.Call1(in)
		if err != nil {
			return errors.Wrap(err, "metrics.Inception: the weights do not fit together")
		}
		defer out.FinalizeAll()
		flatOut, err := floatsOf(out)
		if err != nil {
			return err
		}
		for i := range rows {
			features.SetRow(start+i, flatOut[i*x.dim:(i+1)*x.dim])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return features, nil
}

// foldInception checks that the tensors of a file are those of the network, and joins each convolution with the
// normalisation behind it.
func foldInception(values map[string]*tensors.Tensor) (map[string]*tensors.Tensor, error) {
	if _, aux := values["AuxLogits.fc.weight"]; aux {
		return nil, errors.New("it has AuxLogits: these are torchvision's ImageNet weights; FID is defined on those of pt_inception-2015-12-05")
	}
	folded := make(map[string]*tensors.Tensor)
	for _, name := range inceptionConvolutions() {
		if err := foldConvolution(folded, values, name); err != nil {
			return nil, err
		}
	}
	return folded, nil
}

// inceptionConvolutions lists the names of the convolutions, in the order of the network.
func inceptionConvolutions() []string {
	names := strings.Fields("Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3")
	for _, b := range []struct{ blocks, branches string }{
		{"5b 5c 5d", "branch1x1 branch5x5_1 branch5x5_2 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3 branch_pool"},
		{"6a", "branch3x3 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3"},
		{"6b 6c 6d 6e", "branch1x1 branch7x7_1 branch7x7_2 branch7x7_3 " +
			"branch7x7dbl_1 branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5 branch_pool"},
		{"7a", "branch3x3_1 branch3x3_2 branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4"},
		{"7b 7c", "branch1x1 branch3x3_1 branch3x3_2a branch3x3_2b " +
			"branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a branch3x3dbl_3b branch_pool"},
	} {
		for _, block := range strings.Fields(b.blocks) {
			for _, branch := range strings.Fields(b.branches) {
				names = append(names, "Mixed_"+block+"."+branch)
			}
		}
	}
	return slices.Clip(names)
}
