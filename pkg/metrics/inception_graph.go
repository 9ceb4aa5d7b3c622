package metrics

import (
	"math"
	"path"
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"
)

// inceptionSide is the height and width of what the network sees.
const inceptionSide = 299

// inceptionGraph builds the network on images x, [B, H, W, 3] in [-1, 1], and returns the mean of
// its last feature maps, [B, 2048]. Three things differ from [inception] and from torchvision's,
// as in the network that [fid] used: average pooling does not count the padding, the last block
// pools by maximum instead, and the weights are of 2015.
func inceptionGraph(scope *model.Scope, x *Node) *Node {
	net := inceptionNet{store: scope.Store()}
	x = resizeBilinear(x, inceptionSide)
	x = net.conv(x, "Conv2d_1a_3x3", 2, false)
	x = net.conv(x, "Conv2d_2a_3x3", 1, false)
	x = net.conv(x, "Conv2d_2b_3x3", 1, true)
	x = MaxPool(x).Window(3).Strides(2).NoPadding().Done()
	x = net.conv(x, "Conv2d_3b_1x1", 1, false)
	x = net.conv(x, "Conv2d_4a_3x3", 1, false)
	x = MaxPool(x).Window(3).Strides(2).NoPadding().Done()
	for _, block := range []string{"Mixed_5b.", "Mixed_5c.", "Mixed_5d."} {
		x = net.blockA(x, block)
	}
	x = net.blockB(x, "Mixed_6a.")
	for _, block := range []string{"Mixed_6b.", "Mixed_6c.", "Mixed_6d.", "Mixed_6e."} {
		x = net.blockC(x, block)
	}
	x = net.blockD(x, "Mixed_7a.")
	x = net.blockE(x, "Mixed_7b.", averagePool)
	x = net.blockE(x, "Mixed_7c.", func(x *Node) *Node { return MaxPool(x).Window(3).Strides(1).PadSame().Done() })
	return ReduceMean(x, 1, 2)
}

// averagePool is the 3×3 mean of the neighbours there are: fewer than nine at the border.
func averagePool(x *Node) *Node { return MeanPool(x).Window(3).Strides(1).PadSame().Done() }

// inceptionNet builds convolutions from the folded weights in store.
type inceptionNet struct{ store *model.Store }

// conv is a convolution with folded batch norm and a ReLU; padded keeps height and width.
func (n inceptionNet) conv(x *Node, name string, stride int, padded bool) *Node {
	g := x.Graph()
	weights := n.store.GetVariable(path.Join("/", name, "weights")).NodeValue(g)
	biases := n.store.GetVariable(path.Join("/", name, "biases")).NodeValue(g)
	c := Convolve(x, weights).Strides(stride)
	if kernel := weights.Shape().Dimensions; padded {
		c = c.PaddingPerDim([][2]int{{kernel[0] / 2, kernel[0] / 2}, {kernel[1] / 2, kernel[1] / 2}})
	} else {
		c = c.NoPadding()
	}
	return MaxScalar(Add(c.Done(), Reshape(biases, 1, 1, 1, -1)), 0)
}

// chain applies padded convolutions of stride 1, one after the other.
func (n inceptionNet) chain(x *Node, block string, names ...string) *Node {
	for _, name := range names {
		x = n.conv(x, block+name, 1, true)
	}
	return x
}

func (n inceptionNet) blockA(x *Node, block string) *Node {
	return Concatenate([]*Node{
		n.chain(x, block, "branch1x1"),
		n.chain(x, block, "branch5x5_1", "branch5x5_2"),
		n.chain(x, block, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
		n.chain(averagePool(x), block, "branch_pool"),
	}, -1)
}

func (n inceptionNet) blockB(x *Node, block string) *Node {
	return Concatenate([]*Node{
		n.conv(x, block+"branch3x3", 2, false),
		n.conv(n.chain(x, block, "branch3x3dbl_1", "branch3x3dbl_2"), block+"branch3x3dbl_3", 2, false),
		MaxPool(x).Window(3).Strides(2).NoPadding().Done(),
	}, -1)
}

func (n inceptionNet) blockC(x *Node, block string) *Node {
	return Concatenate([]*Node{
		n.chain(x, block, "branch1x1"),
		n.chain(x, block, "branch7x7_1", "branch7x7_2", "branch7x7_3"),
		n.chain(x, block, "branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"),
		n.chain(averagePool(x), block, "branch_pool"),
	}, -1)
}

func (n inceptionNet) blockD(x *Node, block string) *Node {
	return Concatenate([]*Node{
		n.conv(n.chain(x, block, "branch3x3_1"), block+"branch3x3_2", 2, false),
		n.conv(n.chain(x, block, "branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3"), block+"branch7x7x3_4", 2, false),
		MaxPool(x).Window(3).Strides(2).NoPadding().Done(),
	}, -1)
}

func (n inceptionNet) blockE(x *Node, block string, pool func(*Node) *Node) *Node {
	three := n.chain(x, block, "branch3x3_1")
	double := n.chain(x, block, "branch3x3dbl_1", "branch3x3dbl_2")
	return Concatenate([]*Node{
		n.chain(x, block, "branch1x1"),
		n.chain(three, block, "branch3x3_2a"), n.chain(three, block, "branch3x3_2b"),
		n.chain(double, block, "branch3x3dbl_3a"), n.chain(double, block, "branch3x3dbl_3b"),
		n.chain(pool(x), block, "branch_pool"),
	}, -1)
}

// resizeBilinear resizes x, [B, H, W, C], to [B, side, side, C] as PyTorch's interpolate does with
// align_corners=False: pixel centres at half steps, the border repeated beyond it, no smoothing.
func resizeBilinear(x *Node, side int) *Node {
	h, w := x.Shape().Dimensions[1], x.Shape().Dimensions[2]
	if h != side {
		x = Einsum("byxc,hy->bhxc", x, Const(x.Graph(), bilinearWeights(h, side)))
	}
	if w != side {
		x = Einsum("bhxc,wx->bhwc", x, Const(x.Graph(), bilinearWeights(w, side)))
	}
	return x
}

// bilinearWeights returns the weight of each of in pixels in each of out pixels along one axis.
func bilinearWeights(in, out int) [][]float32 {
	rows := make([][]float32, out)
	scale := float64(in) / float64(out)
	for o := range rows {
		rows[o] = make([]float32, in)
		at := math.Max((float64(o)+0.5)*scale-0.5, 0)
		first := min(int(at), in-1)
		second := min(first+1, in-1)
		part := float32(at - float64(first))
		rows[o][first] += 1 - part
		rows[o][second] += part
	}
	return rows
}

// batchNormEpsilon is what the network adds to a variance.
const batchNormEpsilon = 1e-3

// foldConvolution joins a convolution without bias and its batch norm, γ·(y-μ)/sqrt(σ²+ε) + β,
// into one with a bias, and turns its kernel from [out, in, height, width] to
// [height, width, in, out]. It writes NAME/weights and NAME/biases.
func foldConvolution(to, from map[string]*tensors.Tensor, name string) error {
	kernel, found := from[name+".conv.weight"]
	if !found || kernel.DType() != dtypes.Float32 || kernel.Rank() != 4 {
		return errors.Errorf("no float32 tensor %s.conv.weight of four axes; need the layout of pt_inception-2015-12-05", name)
	}
	if kernel.Size() == 0 {
		return errors.Errorf("tensor %s.conv.weight is %s, without values", name, kernel.Shape())
	}
	dims := kernel.Shape().Dimensions
	out, in, h, w := dims[0], dims[1], dims[2], dims[3]
	flat, err := tensors.CopyFlatData[float32](kernel)
	if err != nil {
		return err
	}
	norm := make(map[string][]float32)
	for _, part := range []string{"weight", "bias", "running_mean", "running_var"} {
		t, found := from[name+".bn."+part]
		if !found || t.DType() != dtypes.Float32 || t.Rank() != 1 || t.Shape().Dimensions[0] != out {
			return errors.Errorf("no float32 tensor %s.bn.%s of %d values, one for each channel of the convolution", name, part, out)
		}
		if norm[part], err = tensors.CopyFlatData[float32](t); err != nil {
			return err
		}
	}
	weights, biases := make([]float32, len(flat)), make([]float32, out)
	for o := range out {
		scale := float64(norm["weight"][o]) / math.Sqrt(float64(norm["running_var"][o])+batchNormEpsilon)
		biases[o] = float32(float64(norm["bias"][o]) - float64(norm["running_mean"][o])*scale)
		for i := range in {
			for p := range h * w {
				weights[(p*in+i)*out+o] = float32(float64(flat[(o*in+i)*h*w+p]) * scale)
			}
		}
	}
	for _, v := range slices.Concat(weights, biases) {
		if v64 := float64(v); math.IsNaN(v64) || math.IsInf(v64, 0) {
			return errors.Errorf("the weights %s.conv with their normalisation %s.bn give %g; need finite weights and variances of 0 or more", name, name, v)
		}
	}
	to[name+"/weights"] = tensors.FromFlatDataAndDimensions(weights, h, w, in, out)
	to[name+"/biases"] = tensors.FromFlatDataAndDimensions(biases, out)
	return nil
}
