package metrics

import (
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/pkg/errors"

	"palimpsest/pkg/oneline"
)

// keep adds a node.
func (p *plainNet) keep(n *protos.NodeProto) {
	p.nodes = append(p.nodes, n)
	for _, o := range n.Output {
		p.from[o] = n
	}
}

// add adds an operation, and returns the name of its output.
func (p *plainNet) add(op string, inputs []string, attributes ...*protos.AttributeProto) string {
	out := fmt.Sprintf("%s/plain %d", inputs[0], len(p.nodes))
	p.keep(&protos.NodeProto{OpType: op, Name: out, Input: inputs, Output: []string{out}, Attribute: attributes})
	return out
}

// value adds a constant.
func (p *plainNet) value(t *protos.TensorProto) string {
	out := fmt.Sprintf("plain %d", len(p.nodes))
	p.keep(&protos.NodeProto{OpType: "Constant", Name: out, Output: []string{out}, Attribute: []*protos.AttributeProto{{Name: "value", Type: protos.AttributeProto_TENSOR, T: t}}})
	return out
}

// float and int add a number, floats and ints a list of them.
func (p *plainNet) float(v float32) string {
	return p.value(&protos.TensorProto{DataType: int32(protos.TensorProto_FLOAT), FloatData: []float32{v}})
}
func (p *plainNet) floats(v ...float32) string {
	return p.value(&protos.TensorProto{DataType: int32(protos.TensorProto_FLOAT), FloatData: v, Dims: []int64{int64(len(v))}})
}
func (p *plainNet) int(v int64) string {
	return p.value(&protos.TensorProto{DataType: int32(protos.TensorProto_INT64), Int64Data: []int64{v}})
}
func (p *plainNet) ints(v []int64) string {
	return p.value(&protos.TensorProto{DataType: int32(protos.TensorProto_INT64), Int64Data: v, Dims: []int64{int64(len(v))}})
}

// known are the numbers of an input, if they stand in the file.
func (p *plainNet) known(name string) ([]float64, bool) {
	t := p.weights[name]
	if n := p.from[name]; n != nil && n.OpType == "Constant" {
		t = attribute(n, "value").GetT()
	}
	if t == nil {
		return nil, false
	}
	var values []float64
	switch raw := t.GetRawData(); protos.TensorProto_DataType(t.GetDataType()) {
	case protos.TensorProto_FLOAT:
		for _, v := range t.GetFloatData() {
			values = append(values, float64(v))
		}
		for ; len(raw) >= 4; raw = raw[4:] {
			values = append(values, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
		}
	case protos.TensorProto_INT64:
		for _, v := range t.GetInt64Data() {
			values = append(values, float64(v))
		}
		for ; len(raw) >= 8; raw = raw[8:] {
			values = append(values, float64(int64(binary.LittleEndian.Uint64(raw))))
		}
	case protos.TensorProto_INT32:
		for _, v := range t.GetInt32Data() {
			values = append(values, float64(v))
		}
		for ; len(raw) >= 4; raw = raw[4:] {
			values = append(values, float64(int32(binary.LittleEndian.Uint32(raw))))
		}
	case protos.TensorProto_BOOL:
		for _, v := range t.GetInt32Data() {
			values = append(values, float64(v))
		}
		for _, v := range raw {
			values = append(values, float64(v))
		}
	default:
		return nil, false
	}
	return values, true
}

// input is the name of an input, "" where it is left out.
func input(n *protos.NodeProto, i int) string {
	if i < len(n.Input) {
		return n.Input[i]
	}
	return ""
}

// setInput sets an input.
func setInput(n *protos.NodeProto, i int, name string) {
	for len(n.Input) <= i {
		n.Input = append(n.Input, "")
	}
	n.Input[i] = name
}

func intAttribute(name string, v int64) *protos.AttributeProto {
	return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_INT, I: v}
}
func intsAttribute(name string, v ...int64) *protos.AttributeProto {
	return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_INTS, Ints: v}
}

// attribute is a node's attribute, nil where it has none of that name.
func attribute(node *protos.NodeProto, name string) *protos.AttributeProto {
	for _, a := range node.GetAttribute() {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

// floatOf is the value of a node's attribute.
func floatOf(n *protos.NodeProto, name string, otherwise float32) float32 {
	if a := attribute(n, name); a != nil {
		return a.GetF()
	}
	return otherwise
}

// intOf is the value of a node's attribute.
func intOf(n *protos.NodeProto, name string, otherwise int64) int64 {
	if a := attribute(n, name); a != nil {
		return a.GetI()
	}
	return otherwise
}

// textOf is the value of a node's attribute.
func textOf(n *protos.NodeProto, name, otherwise string) string {
	if a := attribute(n, name); a != nil {
		return string(a.GetS())
	}
	return otherwise
}

// drop removes attributes.
func drop(n *protos.NodeProto, names ...string) {
	n.Attribute = slices.DeleteFunc(n.Attribute, func(a *protos.AttributeProto) bool { return slices.Contains(names, a.GetName()) })
}

// dropping keeps a node without attributes that the library does not take, be they of no effect.
func dropping(names ...string) func(*plainNet, *protos.NodeProto) error {
	return func(p *plainNet, n *protos.NodeProto) error {
		drop(n, names...)
		p.keep(n)
		return nil
	}
}

// constant gives a constant's numbers as a tensor.
func (p *plainNet) constant(n *protos.NodeProto) error {
	if len(n.Attribute) != 1 {
		return errors.Errorf("has %d values; need one", len(n.Attribute))
	}
	switch a := n.Attribute[0]; a.GetName() {
	case "value":
		p.keep(n)
	case "value_float":
		p.float(a.GetF())
	case "value_int":
		p.int(a.GetI())
	case "value_ints":
		p.ints(a.GetInts())
	case "value_floats":
		p.floats(a.GetFloats()...)
	}
	return nil
}

// clip takes limits that are attributes, as they were before opset 11.
func (p *plainNet) clip(n *protos.NodeProto) error {
	for i, name := range []string{"min", "max"} {
		if a := attribute(n, name); a != nil {
			setInput(n, 1+i, p.float(a.GetF()))
		}
	}
	return dropping("min", "max")(p, n)
}

// softmax computes the softmax over an axis or, before opset 13, over all axes from one on, and its logarithm x - max - ln Σ exp(x - max).
func (p *plainNet) softmax(n *protos.NodeProto) error {
	x, axis := n.Input[0], intOf(n, "axis", -1)
	if p.opset < 13 {
		x, axis = p.add("Flatten", n.Input[:1], intAttribute("axis", intOf(n, "axis", 1))), -1
	}
	if n.OpType == "Softmax" {
		x = p.add("Softmax", []string{x}, intAttribute("axis", axis))
	} else {
		x = p.add("Sub", []string{x, p.add("ReduceMax", []string{x}, intsAttribute("axes", axis))})
		sum := p.add("ReduceSum", []string{p.add("Exp", []string{x})}, intsAttribute("axes", axis))
		x = p.add("Sub", []string{x, p.add("Log", []string{sum})})
	}
	p.like(x, n.Input[0])
	return nil
}

// like brings x to the shape of what has as many values.
func (p *plainNet) like(x, of string) string {
	return p.add("Reshape", []string{x, p.add("Shape", []string{of})})
}

// split takes sizes that are an attribute, as they were before opset 13.
func (p *plainNet) split(n *protos.NodeProto) error {
	if a := attribute(n, "split"); a != nil {
		setInput(n, 1, p.ints(a.GetInts()))
	}
	if a := attribute(n, "num_outputs"); a != nil && a.GetI() != int64(len(n.Output)) {
		return errors.Errorf("has num_outputs %d, but %d outputs", a.GetI(), len(n.Output))
	}
	return dropping("split", "num_outputs")(p, n)
}

// topK takes a number that is an attribute, as it was before opset 10.
func (p *plainNet) topK(n *protos.NodeProto) error {
	if a := attribute(n, "k"); a != nil {
		setInput(n, 1, p.int(a.GetI()))
	}
	return dropping("k")(p, n)
}

// gelu tells the approximation from the function.
func (p *plainNet) gelu(n *protos.NodeProto) error {
	if textOf(n, "approximate", "") == "tanh" {
		n.OpType = "FastGelu"
	}
	return dropping("approximate")(p, n)
}

// shape refuses an end of 0, which the library takes for none.
func (p *plainNet) shape(n *protos.NodeProto) error {
	if a := attribute(n, "end"); a != nil && a.GetI() == 0 {
		return errors.New("has end 0, which leaves nothing")
	}
	p.keep(n)
	return nil
}

// plainEquation has each axis at most once in each of its terms.
var plainEquation = regexp.MustCompile(`^([A-Za-z ]+),([A-Za-z ]+)->([A-Za-z ]*)$`)

// einsum refuses equations that are more than products of two.
func (p *plainNet) einsum(n *protos.NodeProto) error {
	equation := textOf(n, "equation", "")
	terms := plainEquation.FindStringSubmatch(equation)
	if terms == nil || slices.ContainsFunc(terms[1:], func(t string) bool {
		axes := []rune(t)
		slices.Sort(axes)
		axes = slices.DeleteFunc(axes, func(r rune) bool { return r == ' ' })
		return len(slices.Compact(slices.Clone(axes))) < len(axes)
	}) {
		return errors.Errorf("has equation %s; it can be computed where it is of two inputs, has -> and no axis twice in one of them", oneline.Text(equation))
	}
	p.keep(n)
	return nil
}

// slice takes limits that are attributes, as they were before opset 10, and goes backwards, which the library does not.
func (p *plainNet) slice(n *protos.NodeProto) error {
	for i, name := range []string{"starts", "ends", "axes"} {
		if a := attribute(n, name); a != nil {
			setInput(n, 1+i, p.ints(a.GetInts()))
		}
	}
	drop(n, "starts", "ends", "axes")
	starts, known := p.known(input(n, 1))
	if known && input(n, 3) == "" {
		axes := make([]int64, len(starts))
		for i := range axes {
			axes[i] = int64(i)
		}
		setInput(n, 3, p.ints(axes))
	}
	if len(n.Input) < 5 {
		p.keep(n)
		return nil
	}
	steps, ok := p.known(n.Input[4])
	if !ok {
		return errors.New("has steps that are computed; need numbers")
	}
	if !slices.ContainsFunc(steps, func(s float64) bool { return s < 0 }) {
		p.keep(n)
		return nil
	}
	ends, hasEnds := p.known(n.Input[2])
	axes, hasAxes := p.known(n.Input[3])
	if !known || !hasEnds || !hasAxes || len(starts) != len(steps) || len(ends) != len(steps) || len(axes) != len(steps) {
		return errors.New("goes backwards between limits that are computed; need as many numbers of each")
	}
	x := n.Input[0]
	for i, step := range steps { // each axis for itself
		axis := p.int(int64(axes[i]))
		if step > 0 {
			limits := [3]string{}
			for k, v := range []float64{starts[i], ends[i], step} {
				limits[k] = p.ints([]int64{bounded(v)})
			}
			x = p.add("Slice", []string{x, limits[0], limits[1], p.ints([]int64{int64(axes[i])}), limits[2]})
			continue
		}
		size := p.add("Gather", []string{p.add("Shape", []string{x}), axis})
		last := p.add("Sub", []string{size, p.int(1)})
		within := func(v float64, least int64) string {
			at := p.int(bounded(v))
			if v < 0 {
				at = p.add("Add", []string{at, size})
			}
			return p.add("Min", []string{p.add("Max", []string{at, p.int(least)}), last})
		}
		backwards := p.add("Range", []string{within(starts[i], 0), within(ends[i], -1), p.int(bounded(step))})
		x = p.add("Gather", []string{x, backwards}, intAttribute("axis", int64(axes[i])))
	}
	return nil
}

// bounded is a limit, those beyond any size being brought nearer.
func bounded(v float64) int64 { return int64(min(max(v, -1<<40), 1<<40)) }

// pad takes sizes that are attributes, as they were before opset 11, or of some axes alone.
func (p *plainNet) pad(n *protos.NodeProto) error {
	if a := attribute(n, "pads"); a != nil {
		setInput(n, 1, p.ints(a.GetInts()))
		setInput(n, 2, p.float(floatOf(n, "value", 0)))
	}
	drop(n, "pads", "value")
	pads, known := p.known(input(n, 1))
	if slices.Min(append(pads, 0)) < 0 || !known && textOf(n, "mode", "") == "reflect" {
		return errors.Errorf("has pads %v, negative or, where it reflects, computed; need numbers from 0", pads)
	}
	if axes := input(n, 3); axes != "" {
		// The pads of all axes are 0 but of these, which may be counted from the last.
		rank := p.add("Size", []string{p.add("Shape", n.Input[:1])})
		begin := p.add("Mod", []string{axes, rank})
		both := p.add("Concat", []string{begin, p.add("Add", []string{begin, rank})}, intAttribute("axis", 0))
		twice := p.add("Reshape", []string{p.add("Mul", []string{rank, p.int(2)}), p.ints([]int64{1})})
		zeros := p.add("Expand", []string{p.ints([]int64{0}), twice})
		n.Input[1] = p.add("ScatterND", []string{zeros, p.add("Unsqueeze", []string{both}, intsAttribute("axes", 1)), n.Input[1]})
	}
	n.Input = n.Input[:min(3, len(n.Input))]
	if input(n, 2) == "" {
		n.Input = n.Input[:2]
	}
	p.keep(n)
	return nil
}

// resize interpolates over the last two axes: the library's own way errs where rounding makes two of its steps see different neighbours. Before
// opset 11 there was one kind, the scales being input 1, or of Upsample an attribute.
func (p *plainNet) resize(n *protos.NodeProto) error {
	r := resizing{mode: textOf(n, "mode", "nearest"), at: textOf(n, "coordinate_transformation_mode", "half_pixel"), nearest: textOf(n, "nearest_mode", "round_prefer_floor")}
	sizes, scales := input(n, 3), input(n, 2)
	if n.OpType == "Upsample" || p.opset < 11 {
		r.at, r.nearest, scales = "asymmetric", "floor", input(n, 1)
		if a := attribute(n, "scales"); a != nil {
			scales = p.floats(a.GetFloats()...)
		}
	}
	x := n.Input[0]
	if sizes != "" {
		for axis := int64(-2); axis < 0; axis++ {
			x = p.resizeAxis(r, x, axis, p.add("Gather", []string{sizes, p.ints([]int64{axis})}), 1)
		}
		p.add("Reshape", []string{x, sizes}) // fails if the other axes were to change
		return nil
	}
	by, known := p.known(scales)
	if !known || len(by) < 2 || slices.ContainsFunc(by[:len(by)-2], func(v float64) bool { return v != 1 }) {
		return errors.Errorf("has scales %v; need numbers, of 1 but for the last two axes, or sizes", by)
	}
	for k, scale := range by[len(by)-2:] {
		if scale != math.Trunc(scale) && (r.mode == "nearest" || r.at == "half_pixel_symmetric") {
			return errors.Errorf("has scales %v; with %s and %s whole ones can be computed, or sizes", by, r.mode, r.at)
		}
		axis := int64(k - 2)
		size := p.add("Floor", []string{p.add("Mul", []string{p.cast(p.size(x, axis), protos.TensorProto_FLOAT), p.float(float32(scale))})})
		x = p.resizeAxis(r, x, axis, p.cast(size, protos.TensorProto_INT64), float32(scale))
	}
	return nil
}

// size is a list of one, the size of the last axis of x (-1) or the one before (-2). It is known when the graph is built.
func (p *plainNet) size(x string, axis int64) string {
	shape := []*protos.AttributeProto{intAttribute("start", axis)}
	if axis < -1 {
		shape = append(shape, intAttribute("end", axis+1))
	}
	return p.add("Shape", []string{x}, shape...)
}

// cast converts values.
func (p *plainNet) cast(x string, to protos.TensorProto_DataType) string {
	return p.add("Cast", []string{x}, intAttribute("to", int64(to)))
}

// upTo are the whole numbers from 0 to before size, a list of one: for Range a program would be compiled.
func (p *plainNet) upTo(size string) string {
	ones := p.add("ConstantOfShape", []string{size}, &protos.AttributeProto{Name: "value", Type: protos.AttributeProto_TENSOR,
		T: &protos.TensorProto{DataType: int32(protos.TensorProto_INT64), Dims: []int64{1}, Int64Data: []int64{1}}})
	return p.add("CumSum", []string{ones, p.int(0)}, intAttribute("exclusive", 1))
}

// resizing is how images are interpolated.
type resizing struct{ mode, at, nearest string }

// resizeAxis brings an axis to a size, a list of one. Pixel i is at a/b of the old ones, whole numbers, so that the nearest is found without rounding; where the scale is no
// whole number the size is rounded down from it, and i is where the scale says.
func (p *plainNet) resizeAxis(r resizing, x string, axis int64, size string, scale float32) string {
	do := func(op, a, b string) string { return p.add(op, []string{a, b}) }
	float := func(v string) string { return p.cast(v, protos.TensorProto_FLOAT) }
	zero, one, two := p.int(0), p.int(1), p.int(2)
	was := p.size(x, axis)
	last := do("Sub", was, one)
	i := p.upTo(size)
	var a, b string
	switch r.at {
	case "asymmetric":
		a, b = do("Mul", i, was), size
	case "align_corners":
		a, b = do("Mul", i, last), do("Max", do("Sub", size, one), one)
	default: // (i + ½)·was/size - ½
		a, b = do("Sub", do("Mul", do("Add", do("Mul", i, two), one), was), size), do("Mul", size, two)
		if r.at == "pytorch_half_pixel" { // 0 if there is one
			a = do("Mul", a, do("Min", do("Sub", size, one), one))
		}
	}
	if r.mode == "nearest" {
		switch r.nearest {
		case "ceil":
			a = do("Add", a, do("Sub", b, one))
		case "round_prefer_ceil": // ⌊a/b + ½⌋
			a, b = do("Add", do("Mul", a, two), b), do("Mul", b, two)
		case "round_prefer_floor": // ⌈a/b - ½⌉
			a, b = do("Sub", do("Add", do("Mul", a, two), b), one), do("Mul", b, two)
		}
		return p.add("Gather", []string{x, do("Min", do("Max", do("Div", a, b), zero), last)}, intAttribute("axis", axis))
	}
	at := do("Div", float(a), float(b))
	if scale != float32(int(scale)) && r.at != "align_corners" {
		at = float(i)
		half := float32(0.5)
		if r.at == "asymmetric" {
			half = 0
		}
		at = do("Sub", do("Div", do("Add", at, p.float(half)), p.float(scale)), p.float(half))
		if r.at == "pytorch_half_pixel" {
			at = do("Mul", at, float(do("Min", do("Sub", size, one), one)))
		}
	}
	at = do("Min", do("Max", at, p.float(0)), float(last))
	// Each pixel weighs by its distance, up to 1: weights [size, was] for rows, [was, size] for columns.
	over, from := p.add("Unsqueeze", []string{at}, intsAttribute("axes", -1-axis)), p.add("Unsqueeze", []string{float(p.upTo(was))}, intsAttribute("axes", 2+axis))
	weights := do("Max", do("Sub", p.float(1), p.add("Abs", []string{do("Sub", over, from)})), p.float(0))
	if axis == -1 {
		return do("MatMul", x, weights)
	}
	return do("MatMul", weights, x)
}

// conv takes a convolution that states what it has not.
func (p *plainNet) conv(n *protos.NodeProto) error {
	if textOf(n, "auto_pad", "") == "VALID" {
		drop(n, "pads")
	}
	drop(n, "auto_pad")
	more := 0
	for _, name := range []string{"strides", "dilations"} {
		if a := attribute(n, name); slices.ContainsFunc(a.GetInts(), func(v int64) bool { return v != 1 }) {
			more++
		} else {
			drop(n, name)
		}
	}
	if more == 2 {
		return errors.New("has both strides and dilations; one of them can be computed")
	}
	p.keep(n)
	return nil
}

// pool leaves of a pool its window, strides and paddings. Images of two axes are pooled. If padding counts in the mean, it is done before.
func (p *plainNet) pool(n *protos.NodeProto) (err error) {
	const axes = 2
	ints := func(name string, size int, otherwise int64) []int64 {
		values := slices.Repeat([]int64{otherwise}, size)
		if a := attribute(n, name); a != nil {
			values = slices.Clone(a.GetInts())
		}
		if len(values) != size && err == nil {
			err = errors.Errorf("has %s %v; need %d, as for images", name, values, size)
		}
		return values
	}
	kernel, strides, pads, dilations := ints("kernel_shape", axes, 0), ints("strides", axes, 1), ints("pads", 2*axes, 0), ints("dilations", axes, 1)
	if textOf(n, "auto_pad", "") == "VALID" {
		pads = make([]int64, 2*axes)
	}
	switch {
	case err != nil:
		return err
	case slices.Max(dilations) != 1 || slices.Min(dilations) != 1:
		return errors.Errorf("has dilations %v; only 1 can be computed", dilations)
	case slices.Min(kernel) < 1 || slices.Min(strides) < 1 || slices.Min(pads) < 0:
		return errors.Errorf("has windows %v, strides %v and pads %v; need 1 or more, 1 or more, and 0 or more", kernel, strides, pads)
	}
	if intOf(n, "count_include_pad", 0) != 0 && slices.Max(pads) > 0 {
		n.Input[0] = p.add("Pad", []string{n.Input[0], p.ints([]int64{0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]})})
		pads = make([]int64, 2*axes)
	}
	if intOf(n, "ceil_mode", 0) != 0 {
		// Rounding up is rounding down with strides less one of padding more, which is neither the largest nor counted. A window
		// that would begin in the padding is left out, which cannot be where windows are as large as strides and padding together.
		for i := range axes {
			if pads[axes+i]+strides[i] > kernel[i] {
				return errors.Errorf("has ceil_mode with windows %v, strides %v and pads %v; it can be computed where windows are at least strides and pads together", kernel, strides, pads)
			}
			pads[axes+i] += strides[i] - 1
		}
	}
	n.Attribute = []*protos.AttributeProto{intsAttribute("kernel_shape", kernel...), intsAttribute("strides", strides...), intsAttribute("pads", pads...)}
	p.keep(n)
	return nil
}

// pixelsInRow is x [N, C, pixels] of images x [N, C, ...].
func (p *plainNet) pixelsInRow(x string) string {
	return p.add("Reshape", []string{x, p.ints([]int64{0, 0, -1})})
}

// globalMaxPool has the shape of the global mean.
func (p *plainNet) globalMaxPool(n *protos.NodeProto) error {
	highest := p.add("ReduceMax", []string{p.pixelsInRow(n.Input[0])}, intsAttribute("axes", 2))
	p.like(highest, p.add("GlobalAveragePool", n.Input[:1]))
	return nil
}

// instanceNormalization is normalisation over the pixels, then scale and shift of each channel.
func (p *plainNet) instanceNormalization(n *protos.NodeProto) error {
	one := p.floats(1)
	x := p.add("LayerNormalization", []string{p.pixelsInRow(n.Input[0]), one}, intAttribute("axis", 2),
		&protos.AttributeProto{Name: "epsilon", Type: protos.AttributeProto_FLOAT, F: floatOf(n, "epsilon", 1e-5)})
	x = p.add("Mul", []string{x, p.add("Unsqueeze", []string{input(n, 1)}, intsAttribute("axes", 1))})
	x = p.add("Add", []string{x, p.add("Unsqueeze", []string{input(n, 2)}, intsAttribute("axes", 1))})
	p.like(x, n.Input[0])
	return nil
}

// dropout passes its input on, as it does but in training.
func (p *plainNet) dropout(n *protos.NodeProto) error {
	if training := input(n, 2); training != "" {
		if v, known := p.known(training); !known || len(v) != 1 || v[0] != 0 {
			return errors.New("has training_mode set, or computed; export the network in the mode of evaluation")
		}
	}
	p.add("Identity", n.Input[:1])
	return nil
}

// above and below are max(x, 0) and min(x, 0).
func (p *plainNet) above(x string) string { return p.add("Max", []string{x, p.float(0)}) }
func (p *plainNet) below(x string) string { return p.add("Min", []string{x, p.float(0)}) }

// elu is max(x, 0) + α·(exp(min(x, 0)) - 1).
func (p *plainNet) elu(n *protos.NodeProto) error {
	less := p.add("Sub", []string{p.add("Exp", []string{p.below(n.Input[0])}), p.float(1)})
	p.add("Add", []string{p.above(n.Input[0]), p.add("Mul", []string{less, p.float(floatOf(n, "alpha", 1))})})
	return nil
}

// softplus is ln(1 + exp(x)) = max(x, 0) + ln(1 + exp(-|x|)).
func (p *plainNet) softplus(n *protos.NodeProto) error {
	small := p.add("Exp", []string{p.add("Neg", []string{p.add("Abs", n.Input[:1])})})
	p.add("Add", []string{p.above(n.Input[0]), p.add("Log", []string{p.add("Add", []string{small, p.float(1)})})})
	return nil
}

// leakyRelu is max(x, 0) + α·min(x, 0), α being the second input of PRelu.
func (p *plainNet) leakyRelu(n *protos.NodeProto) error {
	slope := input(n, 1)
	if n.OpType == "LeakyRelu" {
		slope = p.float(floatOf(n, "alpha", 0.01))
	}
	p.add("Add", []string{p.above(n.Input[0]), p.add("Mul", []string{p.below(n.Input[0]), slope})})
	return nil
}

// hardSigmoid is min(max(αx + β, 0), 1).
func (p *plainNet) hardSigmoid(n *protos.NodeProto) error {
	scaled := p.add("Mul", []string{n.Input[0], p.float(floatOf(n, "alpha", 0.2))})
	p.add("Clip", []string{p.add("Add", []string{scaled, p.float(floatOf(n, "beta", 0.5))}), p.float(0), p.float(1)})
	return nil
}

// sum adds inputs up, and divides by their number if it is their mean.
func (p *plainNet) sum(n *protos.NodeProto) error {
	total := p.add("Identity", n.Input[:1])
	for _, x := range n.Input[1:] {
		total = p.add("Add", []string{total, x})
	}
	if n.OpType == "Mean" {
		p.add("Div", []string{total, p.float(float32(len(n.Input)))})
	}
	return nil
}
