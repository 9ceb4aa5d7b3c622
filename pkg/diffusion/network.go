package diffusion

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/pkg/errors"

	"palimpsest/pkg/unet"
)

// Scopes of the store that hold a network's weights.
const (
	scopeModel = "model" // trained weights
	scopeEMA   = "ema"   // their exponential moving average
)

// TrainConfig holds the optimiser's settings.
type TrainConfig struct {
	LearningRate float64 `yaml:"learning_rate" json:"learning_rate"`
	WarmUp       int     `yaml:"warm_up" json:"warm_up"`           // steps over which the learning rate rises linearly from 0
	WeightDecay  float64 `yaml:"weight_decay" json:"weight_decay"` // above 0: AdamW
	ClipNorm     float64 `yaml:"clip_norm" json:"clip_norm"`       // largest norm of the whole gradient; 0: no clipping
	EMA          float64 `yaml:"ema" json:"ema"`                   // decay of the averaged weights, reached as min(EMA, (1+n)/(10+n)) at step n
	LossWeight   string  `yaml:"loss_weight" json:"loss_weight"`   // weight of L_simple by timestep, as [Process.LossWeights] names it; "": uniform
	VLBWeight    float64 `yaml:"vlb_weight" json:"vlb_weight"`     // weight of the variational bound beside L_simple, for learned variances ([iddpm]: 0.001)

	// Objective is what a row's loss is: "simple" (or nothing), the mean squared error of the prediction, or "vlb", T
	// times the term of the variational bound at the row's timestep in bits per dimension, mean and variance trained by
	// it alike: averaged over uniform timesteps, the bound itself but for its prior ([iddpm]'s L_vlb).
	Objective string `yaml:"objective,omitempty" json:"objective,omitempty"`
}

// What a row's loss is.
const (
	ObjectiveSimple = "simple" // L_simple, [ddpm] eq. 14, with the bound beside it where vlb_weight is above 0
	ObjectiveVLB    = "vlb"    // T·L_t in bits per dimension, [iddpm] section 3.3
)

// Validate reports the first setting that makes no sense.
func (c TrainConfig) Validate() error {
	switch {
	case !(c.LearningRate > 0):
		return errors.Errorf("diffusion: learning_rate is %g; need > 0", c.LearningRate)
	case c.WarmUp < 0 || c.WeightDecay < 0 || c.ClipNorm < 0 || c.VLBWeight < 0:
		return errors.Errorf("diffusion: warm_up %d, weight_decay %g, clip_norm %g, vlb_weight %g; need >= 0",
			c.WarmUp, c.WeightDecay, c.ClipNorm, c.VLBWeight)
	case c.EMA < 0 || c.EMA >= 1:
		return errors.Errorf("diffusion: ema is %g; need 0 <= ema < 1", c.EMA)
	case c.Objective != "" && c.Objective != ObjectiveSimple && c.Objective != ObjectiveVLB:
		return errors.Errorf("diffusion: objective is %q; choose \"simple\" or \"vlb\"", c.Objective)
	case c.Objective == ObjectiveVLB && c.VLBWeight > 0:
		return errors.Errorf("diffusion: objective \"vlb\" with vlb_weight %g; vlb_weight adds the bound to \"simple\", so set it to 0 or choose \"simple\"",
			c.VLBWeight)
	case c.Objective == ObjectiveVLB && c.LossWeight != "" && c.LossWeight != "uniform":
		return errors.Errorf("diffusion: objective \"vlb\" with loss_weight %q; the bound weighs timesteps itself, so leave loss_weight empty or choose \"simple\"",
			c.LossWeight)
	}
	return nil
}

// Network is a U-Net with its process, optimiser state and averaged weights on one backend. It is not to be used by
// several goroutines at once.
type Network struct {
	Process *Process
	UNet    unet.Config
	Train   TrainConfig

	backend compute.Backend
	store   *model.Store
	seed    uint64
	weights []float64 // of the loss, by timestep
	step    *model.Exec
	outputs [2]*model.Exec // raw, EMA

	built     bool // all variables are in the store
	predicted atomic.Int64
}

// NewNetwork prepares a network whose weights are drawn from seed. Nothing is compiled before the first call.
func NewNetwork(backend compute.Backend, p *Process, u unet.Config, c TrainConfig, seed uint64) (*Network, error) {
	if u.OutChannels != p.OutChannels(u.Channels) {
		return nil, errors.Errorf("diffusion: variance %q needs a network with %d output channels, not %d",
			p.Variance, p.OutChannels(u.Channels), u.OutChannels)
	}
	if err := u.Validate(); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	weights, err := p.LossWeights(c.LossWeight)
	if err != nil {
		return nil, err
	}
	n := &Network{Process: p, UNet: u, Train: c, backend: backend, store: model.NewStore(), seed: seed, weights: weights}
	if n.step, err = model.NewExec(backend, n.store, n.stepGraph); err != nil {
		return nil, err
	}
	n.step.SetMaxCache(1)
	for i, name := range []string{scopeModel, scopeEMA} {
		n.outputs[i], err = model.NewExec(backend, n.store, func(scope *model.Scope, x, t, y *Node) *Node {
			return u.Forward(n.scope(name), seed, unet.Inputs{X: x, T: t, Y: y})
		})
		if err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Close frees the compiled graphs and the weights. The network must not be used afterwards.
func (n *Network) Close() {
	n.step.Finalize()
	for _, exec := range n.outputs {
		exec.Finalize()
	}
	n.store.Finalize()
}

func (n *Network) scope(name string) *model.Scope { return n.store.RootScope().At("%s", name) }

// Batch is one training step's input of R rows; R is the same at every step of a run, so the step compiles once.
type Batch struct {
	X []float32 // [R, H, W, C] images in [-1, 1]
	Y []int32   // [R] labels; ignored by an unconditional network
	T []int32   // [R] timesteps
	W []float32 // [R] weight of each row in the loss, beside its timestep's own ([TrainConfig.LossWeight])
}

// StepResult tells what one step did.
type StepResult struct {
	Loss     float64   // Σ W_i·w(t_i)·l_i before the update, w being the timestep's own weight
	Rows     []float32 // [R] l_i, each the mean over a row's dimensions
	GradNorm float64   // norm of the gradient before clipping
}

// columns of the per-row coefficients the step graph takes.
const (
	colSignal = iota // sqrt(ᾱ)
	colSigma         // sqrt(1-ᾱ)
	colWeight        // weight of the row
	colMeanX0        // posterior mean's weight of x_0
	colMeanXt        // posterior mean's weight of x_t
	colLogPosterior
	colLogVar // ln of the reverse step's variance; the largest where it is learned
	colFirst  // 1 at t = 0
	numCols
)

// coefficients returns what the step graph needs to know of each row's timestep t [R] and weight w [R], [R, numCols];
// weights [T] are those of the timesteps.
func (p *Process) coefficients(t []int32, w []float32, weights []float64) ([]float32, error) {
	coef := make([]float32, len(t)*numCols)
	for i, t := range t {
		if t < 0 || int(t) >= p.T {
			return nil, errors.Errorf("diffusion: timestep %d of row %d is outside 0 .. %d", t, i, p.T-1)
		}
		c := coef[i*numCols:]
		c[colSignal], c[colSigma], c[colWeight] = float32(p.SqrtAlphaBar[t]), float32(p.SqrtOneMinAlphaBar[t]), w[i]*float32(weights[t])
		c[colMeanX0], c[colMeanXt] = float32(p.PosteriorMeanX0[t]), float32(p.PosteriorMeanXt[t])
		c[colLogPosterior], c[colLogVar] = float32(p.PosteriorLogVar[t]), float32(p.ReverseLogVar(int(t), 1))
		if t == 0 {
			c[colFirst] = 1
		}
	}
	return coef, nil
}

// Step does one optimiser step on b. index counts the steps since the optimiser started (from 0) and sets the
// warm-up and the EMA's decay; the noise and dropout masks are a function of noiseSeed and the batch's shape alone,
// so a step can be repeated exactly.
func (n *Network) Step(b Batch, index int, noiseSeed uint64) (StepResult, error) {
	rows, dim := len(b.T), n.UNet.ImageSize*n.UNet.ImageSize*n.UNet.Channels
	if rows == 0 || len(b.X) != rows*dim || len(b.W) != rows || len(b.Y) != rows {
		return StepResult{}, errors.Errorf("diffusion: a batch of %d timesteps has %d pixels, %d labels and %d weights; need %d, %d and %d",
			rows, len(b.X), len(b.Y), len(b.W), rows*dim, rows, rows)
	}
	if err := n.labelsInRange(b.Y); err != nil {
		return StepResult{}, err
	}
	if err := n.build(); err != nil {
		return StepResult{}, err
	}
	coef, err := n.Process.coefficients(b.T, b.W, n.weights)
	if err != nil {
		return StepResult{}, err
	}
	lr := n.Train.LearningRate
	if index < n.Train.WarmUp {
		lr *= float64(index+1) / float64(n.Train.WarmUp)
	}
	decay := min(n.Train.EMA, float64(1+index)/float64(10+index))
	u := n.UNet
	out, err := n.step.Call(
		tensors.FromFlatDataAndDimensions(b.X, rows, u.ImageSize, u.ImageSize, u.Channels),
		tensors.FromFlatDataAndDimensions(b.T, rows),
		tensors.FromFlatDataAndDimensions(b.Y, rows),
		tensors.FromFlatDataAndDimensions(coef, rows, numCols),
		tensors.FromFlatDataAndDimensions([]float32{float32(lr), float32(decay)}, 2),
		rngState(noiseSeed))
	if err != nil {
		return StepResult{}, errors.WithMessage(err, "diffusion: training step")
	}
	res := StepResult{Rows: tensors.MustCopyFlatData[float32](out[1])}
	scalars := tensors.MustCopyFlatData[float32](out[0])
	res.Loss, res.GradNorm = float64(scalars[0]), float64(scalars[1])
	for _, t := range out {
		t.MustFinalizeAll()
	}
	if math.IsNaN(res.Loss) || math.IsInf(res.Loss, 0) {
		return res, errors.Errorf("diffusion: the loss is %g at step %d; lower learning_rate (now %g) or set clip_norm", res.Loss, index, n.Train.LearningRate)
	}
	return res, nil
}

// stepGraph builds loss, gradient, clipping, Adam and EMA in one graph.
func (n *Network) stepGraph(_ *model.Scope, x0, t, y, coef, settings, rng *Node) []*Node {
	g := x0.Graph()
	root := n.store.RootScope()
	column := func(i int) *Node { return Slice(coef, AxisRange(), AxisElem(i)) } // [R, 1]
	perRow := func(i int) *Node { return Reshape(column(i), x0.Shape().Dimensions[0], 1, 1, 1) }

	signal, sigma := perRow(colSignal), perRow(colSigma)
	rng, noise, xt := addNoise(rng, x0, signal, sigma)
	in := unet.Inputs{X: xt, T: t, Y: y}
	if n.UNet.Dropout > 0 {
		in.Dropout = rng
	}
	out := n.UNet.Forward(n.scope(scopeModel), n.seed, in)

	pred, variance := out, (*Node)(nil)
	if c := n.UNet.Channels; n.Process.Variance == LearnedRange {
		pred = Slice(out, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, c))
		variance = Slice(out, AxisRange(), AxisRange(), AxisRange(), AxisRange(c, 2*c))
	}
	var target *Node
	switch n.Process.Prediction {
	case PredictNoise:
		target = noise
	case PredictImage:
		target = x0
	default:
		target = Sub(Mul(signal, noise), Mul(sigma, x0))
	}
	rows := n.rowLosses(x0, pred, target, variance, perRow)
	loss := ReduceAllSum(Mul(rows, Reshape(column(colWeight), -1)))

	grads := root.BuildTrainableVariablesGradientsGraph(loss)
	norm := ScalarZero(g, loss.DType())
	for _, d := range grads {
		norm = Add(norm, ReduceAllSum(Square(d)))
	}
	norm = Sqrt(norm)
	if n.Train.ClipNorm > 0 {
		scale := MinScalar(DivScalar(Reciprocal(AddScalar(norm, 1e-12)), 1/n.Train.ClipNorm), 1)
		for i := range grads {
			grads[i] = Mul(grads[i], scale)
		}
	}
	lr := optimizer.LearningRateVar(root, loss.DType(), n.Train.LearningRate)
	lr.SetNodeValue(Reshape(Slice(settings, AxisElem(0))))
	optimizer.Adam().LearningRate(-1).WeightDecay(n.Train.WeightDecay).Done().(interface {
		UpdateGraphWithGradients(*model.Scope, []*Node, dtypes.DType)
	}).UpdateGraphWithGradients(root, grads, loss.DType())

	n.averageWeights(g, Reshape(Slice(settings, AxisElem(1))))
	return []*Node{Concatenate([]*Node{Reshape(loss, 1), Reshape(norm, 1)}, 0), rows}
}

// rowLosses builds the loss of each row, [R], that [TrainConfig.Objective] names.
func (n *Network) rowLosses(x0, pred, target, variance *Node, perRow func(int) *Node) *Node {
	T := float64(n.Process.T)
	if n.Train.Objective == ObjectiveVLB {
		return MulScalar(n.Process.boundTerm(x0, pred, target, variance, perRow), T)
	}
	rows := ReduceMean(Square(Sub(pred, target)), 1, 2, 3)
	if variance != nil && n.Train.VLBWeight > 0 {
		// The mean is held fixed: the bound trains the variance only, [iddpm] section 3.1.
		bound := n.Process.boundTerm(x0, StopGradient(pred), target, variance, perRow)
		rows = Add(rows, MulScalar(bound, n.Train.VLBWeight*T))
	}
	return rows
}

// addNoise draws noise like x0 and returns it with x_t = signal·x0 + sigma·noise, [ddpm] eq. 4, and the next random
// state.
func addNoise(rng, x0, signal, sigma *Node) (next, noise, xt *Node) {
	next, noise = RandomNormal(rng, x0.Shape())
	noise = StopGradient(noise)
	return next, noise, Add(Mul(signal, x0), Mul(sigma, noise))
}

// averageWeights adds the update ema = decay·ema + (1-decay)·weights. The averages are not trainable, so the
// optimiser neither decays them nor keeps moments for them.
func (n *Network) averageWeights(g *Graph, decay *Node) {
	weights, err := unet.Weights(n.scope(scopeModel))
	if err != nil {
		panic(err)
	}
	for _, w := range weights {
		avg := n.store.GetVariable(averageOf(w))
		avg.SetNodeValue(Add(Mul(decay, avg.NodeValue(g)), Mul(OneMinus(decay), w.NodeValue(g))))
	}
}

// rngState spreads a seed over the state of GoMLX's counter-based generator.
func rngState(seed uint64) *tensors.Tensor {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	src := rand.NewChaCha8(key)
	state := make([]uint64, RNGStateShape.Size())
	for i := range state {
		state[i] = src.Uint64()
	}
	return tensors.FromFlatDataAndDimensions(state, RNGStateShape.Dimensions...)
}
