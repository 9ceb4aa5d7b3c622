package diffusion

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"

	"palimpsest/pkg/network"
)

// linear says whether a sampler's steps are those of [Process.LinearSteps], and nobody looks at what is between.
func (c SamplerConfig) linear() bool {
	s, err := c.sampler()
	return err == nil && s.linear != nil && c.Eta == 0 && c.OnEstimate == nil
}

// LinearSteps writes a deterministic sampler as numbers (t, a, b, c, d, e), a step each, from noise to image: with out the
// network's output at t,
//
//	x_0 = clip(a·x + b·out)    x' = c·x + d·x_0 + e·(x_0 of the step before)
//
// which is what [Sample] computes with the same settings. It is an error if the sampler does not draw from p, or has noise (eta above
// 0), or looks at the network twice a step.
func (p *Process) LinearSteps(c SamplerConfig) ([][6]float64, error) {
	if err := c.ValidateFor(p); err != nil {
		return nil, err
	}
	kept, err := c.Timesteps(p.Schedule)
	if err != nil {
		return nil, err
	}
	s, err := p.Respace(kept)
	if err != nil {
		return nil, err
	}
	r := &Process{s, p.Prediction, p.Variance}
	of, err := c.sampler()
	if err != nil {
		return nil, err
	}
	if of.linear == nil || c.Eta != 0 {
		return nil, errors.Errorf("diffusion: the steps of sampler %q with eta %g are no linear ones: they have noise, or look at the network twice; take \"ddim\" with eta 0, \"dpm++2m\" or, of a flow, \"euler\"", c.Name, c.Eta)
	}
	var steps [][6]float64
	for k := len(kept) - 1; k >= 0; k-- {
		a := r.X0(1, 0, k)
		step := [6]float64{float64(kept[k]), a, r.X0(1, 1, k) - a}
		if k > 0 {
			step[3], step[4], step[5] = of.linear(r, k)
		} else { // the image itself
			step[4] = 1
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// looper is a denoiser that takes images from noise to the end in one call.
type looper interface {
	// loops says whether that is to be done: where the device is the processor, [Sample]'s own arithmetic, of float64, costs
	// next to nothing.
	loops() bool
	// loop does the steps of [Process.LinearSteps] on x [B, D], labels y [B], in float32, clipping estimates to ±bound.
	loop(steps [][6]float64, bound float64, x []float32, y []int32) ([]float32, error)
}

func (d networkDenoiser) loops() bool { return d.network.far }

func (d networkDenoiser) loop(steps [][6]float64, bound float64, x []float32, y []int32) ([]float32, error) {
	n, rows := d.network, len(y)
	if len(x) != rows*n.Shape.Values() {
		return nil, errors.Errorf("diffusion: %d labels and %d pixels; need %d pixels", rows, len(x), rows*n.Shape.Values())
	}
	if err := n.labelsInRange(y); err != nil {
		return nil, err
	}
	if err := n.build(); err != nil {
		return nil, err
	}
	table := make([]float32, 0, 6*len(steps))
	for _, step := range steps {
		for _, v := range step {
			table = append(table, float32(v))
		}
	}
	n.predicted.Add(int64(rows * len(steps)))
	u := n.Shape
	out, err := n.loops[d.which].Call1(tensors.FromFlatDataAndDimensions(x, rows, u.H, u.W, u.Channels),
		tensors.FromFlatDataAndDimensions(y, rows), tensors.FromFlatDataAndDimensions(table, len(steps), 6), tensors.FromScalar(float32(bound)))
	if err != nil {
		return nil, errors.WithMessage(err, "diffusion: sampling on the device")
	}
	defer out.MustFinalizeAll()
	return tensors.CopyFlatData[float32](out)
}

// loopGraph is a sampler as one program: a loop over the rows of table [K, 6], whose state is all it looks at.
func (n *Network) loopGraph(scope string) func(_ *model.Scope, x, y, table, bound *Node) *Node {
	return func(_ *model.Scope, x, y, table, bound *Node) *Node {
		g, steps := x.Graph(), int32(table.Shape().Dimensions[0])
		weights := n.vector(scope).NodeValue(x)
		state := []*Node{Const(g, int32(0)), x, ZerosLike(x), weights, y, table, bound}
		names := []string{"k", "x", "past", "weights", "y", "table", "bound"}
		open := func(g *Graph) []*Node {
			inside := make([]*Node, len(state))
			for i, s := range state {
				inside[i] = Parameter(g, names[i], s.Shape())
			}
			return inside
		}
		more := NewClosure(g, func(g *Graph) []*Node { return []*Node{LessThan(open(g)[0], Const(g, steps))} })
		step := NewClosure(g, func(g *Graph) []*Node {
			s := open(g)
			k, x, past, weights, y, table, bound := s[0], s[1], s[2], s[3], s[4], s[5], s[6]
			row := Gather(table, Reshape(k, 1)) // [6]
			at := func(i int) *Node { return BroadcastToShape(Reshape(Slice(row, AxisElem(i)), 1, 1, 1, 1), x.Shape()) }
			t := BroadcastToShape(Reshape(ConvertDType(Slice(row, AxisElem(0)), dtypes.Int32), 1), shapes.Make(dtypes.Int32, x.Shape().Dimensions[0]))
			out, _ := n.split(n.forward(n.cut(weights), network.Inputs{X: x, T: t, Y: y, NoGradient: true}))
			limit := BroadcastToShape(Reshape(bound, 1, 1, 1, 1), x.Shape())
			image := Max(Min(Add(Mul(at(1), x), Mul(at(2), out)), limit), Neg(limit))
			x = Add(Add(Mul(at(3), x), Mul(at(4), image)), Mul(at(5), past))
			return []*Node{AddScalar(k, 1), x, image, weights, y, table, bound}
		})
		return While(more, step, state...)[1]
	}
}

// runLoop takes one batch from noise to images in s.x in one call of the device.
func (s *sampling) runLoop() error {
	bound := math.Inf(1)
	if s.o.Clip {
		bound = 1
	}
	for i, x := range s.x {
		s.seen[i] = float32(x)
	}
	out, err := s.looper.loop(s.steps, bound, s.seen, s.y)
	if err != nil {
		return err
	}
	for i, x := range out {
		s.x[i] = float64(x)
	}
	return nil
}
