package metrics

import (
	"math"
	"math/rand/v2"
	"path"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/pkg/errors"
)

// FeatureDim is the number of features of a [Classifier].
const FeatureDim = 64

// The tensors of a classifier, by name. Kernels are [height, width, in, out].
const (
	conv1Weights, conv1Biases     = "conv1/weights", "conv1/biases"
	conv2Weights, conv2Biases     = "conv2/weights", "conv2/biases"
	conv3Weights, conv3Biases     = "conv3/weights", "conv3/biases"
	featureWeights, featureBiases = "features/weights", "features/biases"
	logitWeights, logitBiases     = "logits/weights", "logits/biases"
	featureMean, featureStd       = "standard/mean", "standard/std" // not trained: see Classifier
)

// classifierShapes lists a classifier's tensors and their shapes.
func classifierShapes(channels, classes int) map[string][]int {
	return map[string][]int{
		conv1Weights: {3, 3, channels, 32}, conv1Biases: {32},
		conv2Weights: {3, 3, 32, 64}, conv2Biases: {64},
		conv3Weights: {3, 3, 64, 64}, conv3Biases: {64},
		featureWeights: {2 * 2 * 64, FeatureDim}, featureBiases: {FeatureDim},
		logitWeights: {FeatureDim, classes}, logitBiases: {classes},
		featureMean: {FeatureDim}, featureStd: {FeatureDim},
	}
}

// initialise draws He-normal weights, variance 2/fan-in, and zero biases. Features are not yet
// shifted or scaled.
func initialise(channels, classes int, seed uint64) map[string]*tensors.Tensor {
	out := make(map[string]*tensors.Tensor)
	for name, dims := range classifierShapes(channels, classes) {
		values := make([]float32, product(dims))
		if len(dims) > 1 {
			fanIn := product(dims[:len(dims)-1])
			// A stream of its own for each tensor: the order of a map is not fixed.
			rng := rand.New(rand.NewPCG(seed, streamOf(name)))
			for i := range values {
				values[i] = float32(rng.NormFloat64() * math.Sqrt(2/float64(fanIn)))
			}
		} else if name == featureStd {
			for i := range values {
				values[i] = 1
			}
		}
		out[name] = tensors.FromFlatDataAndDimensions(values, dims...)
	}
	return out
}

// classifierGraph builds the network: three 3×3 convolutions, padded by one pixel all round,
// that bring S×S to 4×4, the mean
// over 2×2, a layer of FeatureDim linear units h, and logits = Dense(ReLU(h)). x is [B, S, S, C]
// with S a multiple of 16; h is [B, FeatureDim] and logits [B, classes].
func classifierGraph(store *model.Store, x *Node) (h, logits *Node) {
	if x.Rank() != 4 || x.Shape().Dimensions[1]%16 != 0 || x.Shape().Dimensions[1] != x.Shape().Dimensions[2] {
		panic(errors.Errorf("metrics.Classifier: images are %s; need [batch, S, S, channels] with S a multiple of 16", x.Shape()))
	}
	g := x.Graph()
	param := func(name string) *Node { return store.GetVariable(path.Join("/", name)).NodeValue(g) }
	conv := func(x *Node, weights, biases string, stride int) *Node {
		y := Convolve(x, param(weights)).Strides(stride).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()
		return MaxScalar(Add(y, Reshape(param(biases), 1, 1, 1, -1)), 0)
	}
	dense := func(x *Node, weights, biases string) *Node {
		return Add(Dot(x, param(weights)).Product(), Reshape(param(biases), 1, -1))
	}
	batch := x.Shape().Dimensions[0]
	y := conv(x, conv1Weights, conv1Biases, x.Shape().Dimensions[1]/16) // [B, 16, 16, 32]
	y = conv(y, conv2Weights, conv2Biases, 2)                           // [B, 8, 8, 64]
	y = conv(y, conv3Weights, conv3Biases, 2)                           // [B, 4, 4, 64]
	y = ReduceMean(Reshape(y, batch, 2, 2, 2, 2, 64), 2, 4)             // [B, 2, 2, 64]
	h = dense(Reshape(y, batch, -1), featureWeights, featureBiases)
	return h, dense(MaxScalar(h, 0), logitWeights, logitBiases)
}

// trainStepGraph returns the graph function of a step of AdamW on the classifier's variables. It
// takes images x, [B, S, S, C], labels y, [B, 1] int32, and the learning rate lr, a scalar, and
// returns the mean cross-entropy.
func trainStepGraph(weightDecay float64) func(scope *model.Scope, x, y, lr *Node) *Node {
	return func(scope *model.Scope, x, y, lr *Node) *Node {
		_, logits := classifierGraph(scope.Store(), x)
		cost := ReduceAllMean(loss.SparseCategoricalCrossEntropyLogits([]*Node{y}, []*Node{logits}))
		optimizer.LearningRateVar(scope, lr.DType(), 0).SetNodeValue(lr)
		optimizer.Adam().WeightDecay(weightDecay).Done().UpdateGraph(scope, x.Graph(), cost)
		return cost
	}
}

// standardGraph returns (h - mean)/std of the images and the logits.
func standardGraph(scope *model.Scope, x *Node) []*Node {
	store, g := scope.Store(), x.Graph()
	h, logits := classifierGraph(store, x)
	mean := store.GetVariable(path.Join("/", featureMean)).NodeValue(g)
	std := store.GetVariable(path.Join("/", featureStd)).NodeValue(g)
	return []*Node{Div(Sub(h, Reshape(mean, 1, -1)), Reshape(std, 1, -1)), logits}
}

// newStore makes a store with the given tensors as variables.
func newStore(values map[string]*tensors.Tensor) (*model.Store, error) {
	store := model.NewStore()
	for name, t := range values {
		if _, err := store.CreateVariable(path.Join("/", name), t); err != nil {
			return nil, errors.Wrapf(err, "metrics.Classifier: tensor %s", name)
		}
	}
	return store, nil
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// streamOf gives each name a stream of the random numbers of one seed: FNV-1a of the name.
func streamOf(name string) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}
