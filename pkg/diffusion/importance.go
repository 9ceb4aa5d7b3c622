package diffusion

import (
	"context"
	"encoding/binary"
	"iter"
	"math/rand/v2"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"

	"palimpsest/pkg/network"
)

// Importance is an average over rows of the gradients g_i of single rows with respect to the trained weights, all [P] in
// the order of [Network.Weights].
type Importance struct {
	Mean     []float32 // Σ w_i·g_i / Σ w_i
	Square   []float32 // Σ w_i·g_i² / Σ w_i
	Absolute []float32 // Σ w_i·|g_i| / Σ w_i
	Rows     int       // rows seen
}

// Fisher returns the moments of the gradients of single rows' losses, w(t_i)·l_i as [Batch] has them: Square is the
// diagonal of the empirical Fisher information, Mean the direction of its rank-1 approximation ([ewc], [rank1]). Squares
// are of each row's own gradient, never of a batch's.
//
// Of each batch X, Y, T count, W as the weight w_i in the averages (nil: equal weights; rows of weight 0 are skipped), and
// Noise where GivenNoise marks a row. The noise of the i-th row of all batches is otherwise a function of seed, i and its
// timestep alone. Batches may be of any size. Rows are evaluated one at a time, forwards and backwards, with dropout off;
// they do not count as predictions. It fails where a batch does not fit, no row has weight, or ctx ends.
func (n *Network) Fisher(ctx context.Context, batches iter.Seq[Batch], seed uint64) (*Importance, error) {
	return n.importance(ctx, n.importances[0], batches, seed)
}

// MAS returns the moments of the gradients of ‖prediction(x_t, t, y)‖², the squared length of each row's prediction
// (without variances): Absolute is the importance of [mas] eq. 3. All else is as in [Network.Fisher]. No label of the data
// enters but the condition y.
func (n *Network) MAS(ctx context.Context, batches iter.Seq[Batch], seed uint64) (*Importance, error) {
	return n.importance(ctx, n.importances[1], batches, seed)
}

func lossOfRow(_, loss *Node) *Node     { return ReduceAllSum(loss) }
func squaredOutput(pred, _ *Node) *Node { return ReduceAllSum(Square(pred)) }

// importanceGraph adds one row's weighted gradient, its squares and its absolute values to sums [P].
func (n *Network) importanceGraph(of func(pred, loss *Node) *Node) func(_ *model.Scope, inputs []*Node) []*Node {
	return func(_ *model.Scope, inputs []*Node) []*Node {
		x0, noise, t, y, coef, weight := inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], inputs[5]
		perRow := func(i int) *Node { return Reshape(Slice(coef, AxisRange(), AxisElem(i)), 1, 1, 1, 1) }
		signal, sigma := perRow(colSignal), perRow(colSigma)
		xt := Add(Mul(signal, x0), Mul(sigma, noise))
		weights := n.parts(x0, scopeModel)
		pred, variance := n.split(n.forward(weights, network.Inputs{X: xt, T: t, Y: y}))
		rows := n.rowLosses(x0, pred, n.Process.target(x0, noise, signal, sigma), variance, perRow)
		g := flatGradient(of(pred, Mul(rows, Reshape(perRow(colWeight), -1))), weights)
		return []*Node{
			Add(inputs[6], Mul(weight, g)), Add(inputs[7], Mul(weight, Square(g))), Add(inputs[8], Mul(weight, Abs(g))),
		}
	}
}

// importance runs the rows of batches through exec, which keeps the sums on the device.
func (n *Network) importance(ctx context.Context, exec *model.Exec, batches iter.Seq[Batch], seed uint64) (result *Importance, err error) {
	if batches == nil {
		return nil, errors.New("diffusion: importance of weights over no batches (nil); give at least one row of weight above 0")
	}
	if err := n.build(); err != nil {
		return nil, err
	}
	sums := make([]*tensors.Tensor, 3)
	for i := range sums {
		sums[i] = tensors.FromFlatDataAndDimensions(make([]float32, n.Parameters()), n.Parameters())
	}
	defer func() {
		for _, s := range sums {
			s.MustFinalizeAll()
		}
	}()
	result, total, index := &Importance{}, 0.0, 0
	for b := range batches {
		if err := n.checkRows(b); err != nil {
			return nil, err
		}
		for i := range b.T {
			if err := ctx.Err(); err != nil {
				return nil, errors.WithMessagef(err, "diffusion: importance of weights stopped after %d rows", index)
			}
			index++
			weight := float32(1)
			if b.W != nil {
				weight = b.W[i]
			}
			if weight == 0 {
				continue
			}
			inputs, err := n.importanceInputs(b, i, n.rowNoise(b, i, seed, index-1), weight, sums)
			if err != nil {
				return nil, err
			}
			next, err := exec.Call(inputs...)
			if err != nil {
				return nil, errors.WithMessage(err, "diffusion: importance of weights")
			}
			for k, s := range next {
				sums[k].MustFinalizeAll()
				sums[k] = s
			}
			total += float64(weight)
			result.Rows++
		}
	}
	if total == 0 {
		return nil, errors.New("diffusion: importance of weights over no rows; give at least one of weight above 0")
	}
	for k, to := range []*[]float32{&result.Mean, &result.Square, &result.Absolute} {
		if *to, err = tensors.CopyFlatData[float32](sums[k]); err != nil {
			return nil, err
		}
		for i := range *to {
			(*to)[i] = float32(float64((*to)[i]) / total)
		}
	}
	return result, nil
}

// checkRows reports what does not fit in a batch of rows to be seen one at a time.
func (n *Network) checkRows(b Batch) error {
	rows, dim := len(b.T), n.Shape.Values()
	switch {
	case len(b.X) != rows*dim || len(b.Y) != rows || (b.W != nil && len(b.W) != rows):
		return errors.Errorf("diffusion: a batch of %d timesteps has %d pixels, %d labels and %d weights; need %d, %d and %d (or no weights)",
			rows, len(b.X), len(b.Y), len(b.W), rows*dim, rows, rows)
	case b.GivenNoise != nil && (len(b.GivenNoise) != rows || len(b.Noise) != rows*dim):
		return errors.Errorf("diffusion: a batch of %d rows has %d values in GivenNoise and %d in Noise; need %d and %d",
			rows, len(b.GivenNoise), len(b.Noise), rows, rows*dim)
	}
	for i, w := range b.W {
		if !finite(float64(w)) {
			return errors.Errorf("diffusion: row %d has weight %g in an average; need a finite number >= 0", i, w)
		}
	}
	if err := n.Process.timestepsInRange(b.T); err != nil {
		return err
	}
	return n.labelsInRange(b.Y)
}

// rowNoise is the noise of row i of b, the index-th of all.
func (n *Network) rowNoise(b Batch, i int, seed uint64, index int) []float32 {
	dim := len(b.X) / len(b.T)
	if b.GivenNoise != nil && b.GivenNoise[i] {
		return b.Noise[i*dim : (i+1)*dim]
	}
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(index))
	binary.LittleEndian.PutUint64(key[16:], uint64(b.T[i]))
	copy(key[24:], "weights")
	rng := rand.New(rand.NewChaCha8(key))
	noise := make([]float32, dim)
	for j := range noise {
		noise[j] = float32(rng.NormFloat64())
	}
	return noise
}

// importanceInputs are the inputs of importanceGraph for row i of b.
func (n *Network) importanceInputs(b Batch, i int, noise []float32, weight float32, sums []*tensors.Tensor) ([]any, error) {
	u, dim := n.Shape, len(noise)
	image := func(values []float32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(values, 1, u.H, u.W, u.Channels)
	}
	coef, err := n.Process.coefficients(b.T[i:i+1], []float32{1}, n.weights)
	if err != nil {
		return nil, err
	}
	return []any{image(b.X[i*dim : (i+1)*dim]), image(noise), tensors.FromFlatDataAndDimensions(b.T[i:i+1], 1),
		tensors.FromFlatDataAndDimensions(b.Y[i:i+1], 1), tensors.FromFlatDataAndDimensions(coef, 1, numCols),
		tensors.FromFlatDataAndDimensions([]float32{weight}), sums[0], sums[1], sums[2]}, nil
}
