package diffusion

import (
	. "github.com/gomlx/gomlx/core/graph"

	"palimpsest/pkg/network"
)

// teacherTerm pulls predictions towards those of a frozen copy of the network.
var teacherTerm = &term{
	name: "Teacher", declared: func(e Extra) bool { return e.Teacher },
	vectors: func(Extra) []vector { return []vector{beside(scopeTeacher, 0, startWeight)} },
	columns: []field[float32]{{"Distil", func(b Batch) []float32 { return b.Distil }}},
	labels:  []field[int32]{{"TeacherY", func(b Batch) []int32 { return b.TeacherY }}},
	loss: func(x *termGraph, pred, xt, t *Node) *Node {
		in := network.Inputs{X: xt, T: t, Y: x.input("TeacherY")}
		taught, _ := x.n.split(x.n.forward(x.n.parts(xt, scopeTeacher), in))
		distil := x.imitation("Distil", pred, StopGradient(taught))
		x.report("Distil", distil)
		return distil
	},
	scalars: []scalar{{"Distil", func(r *StepResult, v float64) { r.Distil, r.TeacherRows = v, len(r.Rows) }}},
}

// imitation is Σ w_i·mean (pred - target)² with the weights of a column.
func (x *termGraph) imitation(weight string, pred, target *Node) *Node {
	return ReduceAllSum(Mul(x.column(weight), ReduceMean(Square(Sub(pred, target)), 1, 2, 3)))
}

// SetTeacher makes the teacher a copy of the trained weights as they are, or of their moving average. Until the first call
// the teacher is a copy of the network as it was initialised. The network must be extended by [Extra.Teacher].
func (n *Network) SetTeacher(fromEMA bool) error {
	if err := needs(n.extra.Teacher, "Teacher", "SetTeacher"); err != nil {
		return err
	}
	source := scopeModel
	if fromEMA {
		source = scopeEMA
	}
	return n.copyScope(scopeTeacher, source)
}

// Teacher returns the teacher as a [Denoiser], for generative replay. The network must be extended by [Extra.Teacher].
func (n *Network) Teacher() (Denoiser, error) {
	if err := needs(n.extra.Teacher, "Teacher", "Teacher"); err != nil {
		return nil, err
	}
	return networkDenoiser{n, 2}, nil
}

// copyScope sets one vector to another.
func (n *Network) copyScope(to, from string) error {
	if err := n.build(); err != nil {
		return err
	}
	value, err := n.vector(from).Value()
	if err != nil {
		return err
	}
	if value, err = value.Clone(); err != nil {
		return err
	}
	return n.vector(to).SetValue(value)
}
