package diffusion

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/pkg/errors"
)

// givenTerm trains on noise and predictions that the batch gives.
var givenTerm = &term{
	name: "Given", declared: func(e Extra) bool { return e.Given },
	columns: []field[float32]{
		{"GivenNoise", func(b Batch) []float32 { return ones(b.GivenNoise) }},
		{"TargetW", func(b Batch) []float32 { return b.TargetW }}},
	images: []field[float32]{
		{"Noise", func(b Batch) []float32 { return b.Noise }},
		{"Target", func(b Batch) []float32 { return b.Target }}},
	check: func(_ *Network, b Batch) error {
		if slices.Contains(b.GivenNoise, true) && b.Noise == nil {
			return errors.New("diffusion: GivenNoise marks rows, but Noise is nil; give [R, H, W, C]")
		}
		if b.Target == nil && slices.ContainsFunc(b.TargetW, func(w float32) bool { return w != 0 }) {
			return errors.New("diffusion: TargetW weighs rows, but Target is nil; give [R, H, W, C]")
		}
		return nil
	},
	noise: func(x *termGraph, drawn *Node) *Node {
		return Where(x.marked("GivenNoise", drawn), x.input("Noise"), drawn)
	},
	loss: func(x *termGraph, pred, _, _ *Node) *Node {
		given := x.imitation("TargetW", pred, x.input("Target"))
		x.report("Target", given)
		return given
	},
	scalars: []scalar{{"Target", func(r *StepResult, v float64) { r.Target = v }}},
}

// pureNoiseTerm is part of every step that has any other: rows whose x_t is the noise.
var pureNoiseTerm = &term{
	name: "anything", declared: Extra.any,
	columns: []field[float32]{{"PureNoise", func(b Batch) []float32 { return ones(b.PureNoise) }}},
	check: func(_ *Network, b Batch) error {
		for i, pure := range b.PureNoise {
			if pure && b.W[i] != 0 {
				return errors.Errorf("diffusion: row %d is of pure noise and has weight %g in the denoising loss; need 0", i, b.W[i])
			}
		}
		return nil
	},
	noisy: func(x *termGraph, noise, xt *Node) *Node { return Where(x.marked("PureNoise", xt), noise, xt) },
}
