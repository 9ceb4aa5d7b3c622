package cl

import (
	"context"
	"iter"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// rows returns count rows of a task's images, one a batch, for importances of weights, and a seed for their noise. The
// i-th row has a timestep from the i-th of count equal parts of 0 .. T-1, so that all noise levels count alike, and an
// image of its own while there are as many.
func (s Setup) rows(task int, train *datasets.Images, count int) (batches iter.Seq[diffusion.Batch], seed uint64) {
	rng := s.rng(task)
	order, seed := rng.Perm(train.N), rng.Uint64()
	return func(yield func(diffusion.Batch) bool) {
		for i := range count {
			image := order[i%train.N]
			x := make([]float32, train.ImageSize())
			datasets.Scale(x, train.Image(image))
			t := int32((float64(i) + rng.Float64()) / float64(count) * float64(s.Timesteps))
			row := diffusion.Batch{X: x, Y: []int32{train.Labels[image]}, T: []int32{min(t, int32(s.Timesteps-1))}}
			if !yield(row) {
				return
			}
		}
	}, seed
}

// fisher is the Fisher information of count rows of a task's images; its evaluations are counted.
func (n *InNetwork) fisher(ctx context.Context, task int, train *datasets.Images, count int) (*diffusion.Importance, error) {
	return n.importance(ctx, n.Setup.Network.Fisher, task, train, count)
}

// sensitivity is how the prediction depends on each weight, of count rows of a task's images; its evaluations are counted.
func (n *InNetwork) sensitivity(ctx context.Context, task int, train *datasets.Images, count int) (*diffusion.Importance, error) {
	return n.importance(ctx, n.Setup.Network.MAS, task, train, count)
}

// importance is fisher or sensitivity, as of says.
func (n *InNetwork) importance(ctx context.Context, of func(context.Context, iter.Seq[diffusion.Batch], uint64) (*diffusion.Importance, error),
	task int, train *datasets.Images, count int) (*diffusion.Importance, error) {
	batches, seed := n.Setup.rows(task, train, count)
	found, err := of(ctx, batches, seed)
	if err == nil {
		n.Evaluations += int64(found.Rows)
	}
	return found, err
}

// addImportance makes decay·F + scale·f the importance of the network's penalty, F being the one before, and the weights as
// they are its anchor.
func addImportance(n *diffusion.Network, decay, scale float64, f []float32) error {
	importance, _, err := n.Penalty()
	if err != nil {
		return err
	}
	for i := range importance {
		importance[i] = float32(decay*float64(importance[i]) + scale*float64(f[i]))
	}
	theta, err := n.Weights(false)
	if err != nil {
		return err
	}
	return n.SetPenalty(importance, theta)
}
