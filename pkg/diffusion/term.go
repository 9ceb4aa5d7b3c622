package diffusion

import (
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/pkg/errors"
)

// term is one thing that a training step can do besides its denoising loss, in one value: what it keeps, what it takes of
// a [Batch], what it adds to the step's graph, and what it reports in the [StepResult]. A field that is left out does nothing.
type term struct {
	name     string           // of the field of [Extra] that declares it
	declared func(Extra) bool // by that field
	single   string           // where only one method may use it: what it does, for the sentence "a and b both ..."

	// What the term keeps in the network's store.
	vectors func(Extra) []vector    // a value for every weight
	others  func(Extra) []pathShape // variables of other shapes; they start at zero

	// What the term takes of a batch. A field that is nil or 0 enters the graph as zeros.
	columns   []field[float32]                // a number a row
	labels    []field[int32]                  // a label a row; where the field is nil, the batch's own labels
	images    []field[float32]                // an image a row
	strengths []strength                      // a number a step
	check     func(n *Network, b Batch) error // what sizes do not show; nil where they show everything

	// What the term adds to the graph, in this order. Every term does one before any does the next.
	noise    func(x *termGraph, drawn *Node) *Node                 // what takes the place of the noise drawn, [R, H, W, C]
	noisy    func(x *termGraph, noise, xt *Node) *Node             // what takes the place of x_t, [R, H, W, C]
	rows     func(x *termGraph, weighted *Node) *Node              // the rows' weighted denoising losses that are minimised, [R]
	loss     func(x *termGraph, pred, xt, t *Node) *Node           // a part of the loss, for autodiff
	pull     func(x *termGraph, grad *Node) (part, pulled *Node)   // a part of the loss, and grad with its gradient, written by hand
	gradient func(x *termGraph, grad *Node, weights []*Node) *Node // what takes the place of the gradient, [P]
	update   func(x *termGraph, before, after *Node) *Node         // what becomes of the weights, and of their average, [P]
	finish   func(x *termGraph)                                    // what follows the optimiser
	apart    bool                                                  // it needs termGraph.task

	// What the term reports: scalars that its part of the graph gives to termGraph.report.
	scalars []scalar
}

// field is a field of [Batch] with a value, or an image, for every row.
type field[T any] struct {
	name string
	of   func(Batch) []T
}

// strength is a field of [Batch] with one number.
type strength struct {
	name string
	of   func(Batch) float64
}

// scalar is a field of [StepResult].
type scalar struct {
	name string
	set  func(*StepResult, float64)
}

// ones is 1 for true and 0 for false, and nil for nil.
func ones(marks []bool) []float32 {
	if marks == nil {
		return nil
	}
	values := make([]float32, len(marks))
	for i, yes := range marks {
		if yes {
			values[i] = 1
		}
	}
	return values
}

// join lists one thing of all terms, in their order.
func join[T any](terms []*term, of func(*term) []T) (all []T) {
	for _, t := range terms {
		all = append(all, of(t)...)
	}
	return all
}

func columnsOf(t *term) []field[float32] { return t.columns }
func labelsOf(t *term) []field[int32]    { return t.labels }
func imagesOf(t *term) []field[float32]  { return t.images }
func strengthsOf(t *term) []strength     { return t.strengths }
func scalarsOf(t *term) []scalar         { return t.scalars }

// termInputs are the step graph's inputs after the first six, in the order in which [openTerms] finds them: all columns
// [R, columns], all strengths [strengths], each field of labels [R], each field of images [R, H, W, C]. There are none for
// what no term takes. b is one that [Network.checkTerms] has passed.
func (n *Network) termInputs(b Batch) (inputs []input) {
	if columns := join(n.terms, columnsOf); len(columns) > 0 {
		values := make([]float32, len(b.T)*len(columns))
		for k, c := range columns {
			for i, v := range c.of(b) {
				values[i*len(columns)+k] = v
			}
		}
		inputs = append(inputs, perRow(values, len(columns)))
	}
	if strengths := join(n.terms, strengthsOf); len(strengths) > 0 {
		values := make([]float32, len(strengths))
		for k, s := range strengths {
			values[k] = float32(s.of(b))
		}
		inputs = append(inputs, whole(values))
	}
	for _, l := range join(n.terms, labelsOf) {
		labels := l.of(b)
		if labels == nil {
			labels = b.Y
		}
		inputs = append(inputs, perRow(labels))
	}
	for _, image := range join(n.terms, imagesOf) {
		values := image.of(b)
		if values == nil {
			values = make([]float32, len(b.X))
		}
		inputs = append(inputs, perRow(values, n.Shape.H, n.Shape.W, n.Shape.Channels))
	}
	return inputs
}

// checkTerms reports the first field beyond the plain batch that does not fit.
func (n *Network) checkTerms(b Batch) error {
	for _, t := range terms {
		if slices.Contains(n.terms, t) {
			continue
		}
		if name := t.used(b); name != "" {
			return needs(false, t.name, "Batch."+name)
		}
	}
	for _, t := range n.terms {
		if err := t.fits(n, b); err != nil {
			return err
		}
	}
	return nil
}

// used names a field of b that belongs to the term and says something, or is "".
func (t *term) used(b Batch) string {
	for _, f := range slices.Concat(t.columns, t.images) {
		if len(f.of(b)) > 0 {
			return f.name
		}
	}
	for _, f := range t.labels {
		if len(f.of(b)) > 0 {
			return f.name
		}
	}
	for _, s := range t.strengths {
		if s.of(b) != 0 {
			return s.name
		}
	}
	return ""
}

// fits reports the first field of b that belongs to the term and does not fit the network.
func (t *term) fits(n *Network, b Batch) error {
	rows := len(b.T)
	size := func(name string, have, want int) error {
		if have == 0 || have == want {
			return nil
		}
		return errors.Errorf("diffusion: a batch of %d rows has %d values in %s; need %d, or none", rows, have, name, want)
	}
	for _, f := range t.columns {
		if err := size(f.name, len(f.of(b)), rows); err != nil {
			return err
		}
	}
	for _, f := range t.images {
		if err := size(f.name, len(f.of(b)), len(b.X)); err != nil {
			return err
		}
	}
	for _, f := range t.labels {
		labels := f.of(b)
		if err := size(f.name, len(labels), rows); err != nil {
			return err
		}
		if err := n.labelsInRange(labels); err != nil {
			return errors.WithMessage(err, f.name)
		}
	}
	for _, s := range t.strengths {
		if v := s.of(b); !(v >= 0) || math.IsInf(v, 0) {
			return errors.Errorf("diffusion: Batch.%s is %g; need a number >= 0", s.name, v)
		}
	}
	if t.check == nil {
		return nil
	}
	return t.check(n, b)
}

// termGraph is the part of one step's graph that terms add.
type termGraph struct {
	n        *Network
	g        *Graph
	inputs   map[string]*Node // by the names of the batch's fields, except for columns
	reported map[string]*Node // by the names of the result's fields

	columns *Node // [R, columns], nil without
	before  *Node // the weights before the update, [P] as all that follow them
	task    *Node // gradient of the denoising loss: alone where a term needs it apart, else with all that autodiff sees
}

// openTerms finds the inputs of [Network.termInputs] after the first six.
func (n *Network) openTerms(inputs []*Node) *termGraph {
	x := &termGraph{n: n, g: inputs[0].Graph(), inputs: map[string]*Node{}, reported: map[string]*Node{}}
	inputs = inputs[6:]
	next := func() (first *Node) {
		first, inputs = inputs[0], inputs[1:]
		return first
	}
	if len(join(n.terms, columnsOf)) > 0 {
		x.columns = next()
	}
	if strengths := join(n.terms, strengthsOf); len(strengths) > 0 {
		all := next()
		for k, s := range strengths {
			x.inputs[s.name] = Reshape(Slice(all, AxisElem(k)))
		}
	}
	for _, l := range join(n.terms, labelsOf) {
		x.inputs[l.name] = next()
	}
	for _, image := range join(n.terms, imagesOf) {
		x.inputs[image.name] = next()
	}
	return x
}

// input is a field of the batch: a strength [], labels [R] or images [R, H, W, C].
func (x *termGraph) input(name string) *Node { return x.inputs[name] }

// column is a field of the batch with a number a row, [R].
func (x *termGraph) column(name string) *Node {
	i := slices.IndexFunc(join(x.n.terms, columnsOf), func(f field[float32]) bool { return f.name == name })
	return Reshape(Slice(x.columns, AxisRange(), AxisElem(i)), -1)
}

// marked says, in the image's shape, whether a row's number in a column is above 0.
func (x *termGraph) marked(name string, image *Node) *Node {
	column := Reshape(x.column(name), image.Shape().Dimensions[0], 1, 1, 1)
	return GreaterThan(BroadcastToShape(column, image.Shape()), ScalarZero(x.g, image.DType()))
}

// vector is the value of what [beside] names.
func (x *termGraph) vector(scope string) *Node { return x.n.vector(scope).NodeValue(x.g) }

// report gives a field of the result its value, a scalar.
func (x *termGraph) report(name string, value *Node) { x.reported[name] = value }

// scalar is the value of a field of the result. It panics where no term reported it.
func (x *termGraph) scalar(name string) *Node {
	value := x.reported[name]
	if value == nil {
		panic(errors.Errorf("diffusion: a term declares the scalar %s and does not report it", name))
	}
	return value
}

// noised returns the noise, and x_t, as the terms have them.
func (x *termGraph) noised(x0, noise, signal, sigma *Node) (_, xt *Node) {
	for _, t := range x.n.terms {
		if t.noise != nil {
			noise = t.noise(x, noise)
		}
	}
	xt = addNoise(x0, noise, signal, sigma)
	for _, t := range x.n.terms {
		if t.noisy != nil {
			xt = t.noisy(x, noise, xt)
		}
	}
	return noise, xt
}

// gradient returns the step's loss and its gradient [P] as the optimiser should see it before clipping. weighted [R] is the
// denoising loss of each row times its weight, pred and xt are [R, H, W, C], weights the parts that pred comes from.
func (x *termGraph) gradient(weighted, pred, xt, t *Node, weights []*Node) (loss, grad *Node) {
	for _, t := range x.n.terms {
		if t.rows != nil {
			weighted = t.rows(x, weighted)
		}
	}
	denoise := ReduceAllSum(weighted)
	var parts []*Node
	for _, term := range x.n.terms {
		if term.loss != nil {
			parts = append(parts, term.loss(x, pred, xt, t))
		}
	}
	loss = denoise
	if len(parts) > 0 {
		loss = Add(denoise, sum(parts))
	}
	if apart := slices.ContainsFunc(x.n.terms, func(t *term) bool { return t.apart }); apart && len(parts) > 0 {
		x.task = flatGradient(denoise, weights)
		grad = Add(x.task, flatGradient(sum(parts), weights))
	} else {
		x.task = flatGradient(loss, weights)
		grad = x.task
	}
	if len(x.n.terms) == 0 {
		return loss, grad
	}
	x.report("Denoise", denoise)
	x.before = x.vector(scopeModel)
	parts = nil
	for _, t := range x.n.terms {
		if t.pull != nil {
			var part *Node
			part, grad = t.pull(x, grad)
			parts = append(parts, part)
		}
	}
	if len(parts) > 0 {
		loss = Add(loss, sum(parts))
	}
	for _, t := range x.n.terms {
		if t.gradient != nil {
			grad = t.gradient(x, grad, weights)
		}
	}
	return loss, grad
}

// sum adds up scalars from the first to the last.
func sum(parts []*Node) *Node {
	all := parts[0]
	for _, part := range parts[1:] {
		all = Add(all, part)
	}
	return all
}

// updated is what becomes of a vector of weights: after, unless a term has it otherwise.
func (x *termGraph) updated(before, after *Node) *Node {
	for _, t := range x.n.terms {
		if t.update != nil {
			after = t.update(x, before, after)
		}
	}
	return after
}

// finish builds what follows the optimiser's update.
func (x *termGraph) finish() {
	if slices.ContainsFunc(x.n.terms, func(t *term) bool { return t.update != nil }) {
		w := x.n.vector(scopeModel)
		w.SetNodeValue(x.updated(x.before, w.NodeValue(x.g)))
	}
	for _, t := range x.n.terms {
		if t.finish != nil {
			t.finish(x)
		}
	}
}

// scalars are the fields of the result that terms report, in the order in which the step returns them after loss and norm.
func (n *Network) scalars() []scalar {
	if len(n.terms) == 0 {
		return nil
	}
	denoise := scalar{"Denoise", func(r *StepResult, v float64) { r.Denoise = v }}
	return append([]scalar{denoise}, join(n.terms, scalarsOf)...)
}
