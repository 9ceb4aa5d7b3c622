package diffusion

import (
	. "github.com/gomlx/gomlx/core/graph"

	"palimpsest/pkg/network"
)

// extraGraph is the part of one step's graph that extensions add.
type extraGraph struct {
	n                *Network
	g                *Graph
	marks, strengths *Node
	teacherY         *Node // nil without a teacher
	noise, target    *Node // nil where nothing is given

	before *Node // the weights before the update, [P] as all that follow them
	task   *Node // gradient of the denoising loss alone

	denoise, distil, given, penalty, directions, reference, projected *Node // scalars of [StepResult]
}

// openExtra finds the inputs of [Network.extraInputs] after the first six.
func (n *Network) openExtra(inputs []*Node) *extraGraph {
	x := &extraGraph{n: n, g: inputs[0].Graph(), marks: inputs[6], strengths: inputs[7]}
	rest := inputs[8:]
	if n.extra.Teacher {
		x.teacherY, rest = rest[0], rest[1:]
	}
	if n.extra.Given {
		x.noise, x.target = rest[0], rest[1]
	}
	zero := ScalarZero(x.g, inputs[0].DType())
	x.distil, x.given, x.penalty, x.directions, x.reference, x.projected = zero, zero, zero, zero, zero, zero
	return x
}

// mark is a column of the marks, [R].
func (x *extraGraph) mark(i int) *Node { return Reshape(Slice(x.marks, AxisRange(), AxisElem(i)), -1) }

// marked tells, like the image, whether a row's mark is above 0.
func (x *extraGraph) marked(i int, image *Node) *Node {
	column := Reshape(x.mark(i), image.Shape().Dimensions[0], 1, 1, 1)
	return GreaterThan(BroadcastToShape(column, image.Shape()), ScalarZero(x.g, image.DType()))
}

// givenNoise replaces noise where it is given, and returns it with the x_t that follows, which is the noise itself in rows
// of pure noise.
func (x *extraGraph) givenNoise(x0, drawn, signal, sigma *Node) (noise, xt *Node) {
	noise = drawn
	if x.n.extra.Given {
		noise = Where(x.marked(markGiven, noise), x.noise, noise)
	}
	xt = Add(Mul(signal, x0), Mul(sigma, noise))
	return noise, Where(x.marked(markPure, xt), noise, xt)
}

// gradient returns the step's loss and its gradient as the optimiser should see it before clipping. weighted [R] is the
// denoising loss of each row times its weight, pred and xt are [R, H, W, C], weights the parts that pred comes from.
func (x *extraGraph) gradient(weighted, pred, xt, t *Node, weights []*Node) (loss, grad *Node) {
	e := x.n.extra
	if e.Projection {
		reference := x.mark(markReference)
		x.reference = ReduceAllSum(Mul(weighted, reference))
		weighted = Mul(weighted, OneMinus(reference))
	}
	x.denoise = ReduceAllSum(weighted)
	if e.Teacher {
		taught, _ := x.n.split(x.n.forward(x.n.parts(xt, scopeTeacher), network.Inputs{X: xt, T: t, Y: x.teacherY}))
		x.distil = x.imitation(markDistil, pred, StopGradient(taught))
	}
	if e.Given {
		x.given = x.imitation(markTarget, pred, x.target)
	}
	imitated := Add(x.distil, x.given)
	loss = Add(x.denoise, imitated)

	x.before = x.vector(scopeModel)
	if e.Path && (e.Teacher || e.Given) {
		// The path integral wants the denoising loss's gradient alone.
		x.task = flatGradient(x.denoise, weights)
		grad = Add(x.task, flatGradient(imitated, weights))
	} else {
		x.task = flatGradient(loss, weights)
		grad = x.task
	}
	if e.Penalty {
		grad = x.addPenalty(grad)
	}
	if e.Directions > 0 {
		grad = x.addDirections(grad)
	}
	loss = Add(loss, Add(x.penalty, x.directions))
	if e.Mask {
		grad = x.masked(grad)
	}
	if e.Projection {
		reference := flatGradient(x.reference, weights)
		if e.Mask {
			reference = x.masked(reference)
		}
		grad = x.project(grad, reference)
	}
	return loss, grad
}

// imitation is Σ w_i·mean (pred - target)² with the weights of a mark.
func (x *extraGraph) imitation(weight int, pred, target *Node) *Node {
	return ReduceAllSum(Mul(x.mark(weight), ReduceMean(Square(Sub(pred, target)), 1, 2, 3)))
}

// vector is the value of what [beside] names.
func (x *extraGraph) vector(scope string) *Node { return x.n.vector(scope).NodeValue(x.g) }

// afterUpdate builds what follows the optimiser's update.
func (x *extraGraph) afterUpdate() {
	if x.n.extra.Mask {
		x.holdMasked()
	}
	if x.n.extra.Path {
		x.followPath()
	}
}

// parts are the scalars after loss and norm, each [1].
func (x *extraGraph) parts() []*Node {
	list := make([]*Node, numScalars-outDenoise)
	// In order: a graph that differs from process to process is compiled anew in each (package executables).
	for i, part := range []*Node{outDenoise: x.denoise, outDistil: x.distil, outTarget: x.given, outPenalty: x.penalty,
		outDirections: x.directions, outReference: x.reference, outProjected: x.projected}[outDenoise:] {
		list[i] = Reshape(part, 1)
	}
	return list
}
