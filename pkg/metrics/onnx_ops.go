package metrics

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/pkg/errors"

	"palimpsest/pkg/oneline"
)

// The opsets whose operations have the meaning that [onnxOps] knows.
const onnxFirst, onnxLast = 7, 25

// onnxOp says what of an operation has an effect here. The library passes over what it does not know, an attribute or an input, and knows
// of many operations one opset's meaning alone; what is not stated here would be computed wrongly in silence, and is refused.
type onnxOp struct {
	inputs  int // at most; 0 is any number
	outputs int // that are computed, 1 where it is 0
	// attributes are names, separated by spaces: NAME<13 of one that became an input in opset 13, NAME=0|1 of one with only these values.
	attributes string
	static     []int                                        // inputs that must be known when the graph is built
	plain      func(p *plainNet, n *protos.NodeProto) error // adds what the library computes in its place; nil where that is n
}

// onnxOps are the operations that can be computed.
var onnxOps = func() map[string]onnxOp {
	ops := map[string]onnxOp{
		"ArgMax":                {inputs: 1, attributes: "axis keepdims select_last_index=0"},
		"ArgMin":                {inputs: 1, attributes: "axis keepdims select_last_index=0"},
		"AveragePool":           {inputs: 1, attributes: "kernel_shape strides pads dilations auto_pad=NOTSET|VALID ceil_mode count_include_pad", plain: (*plainNet).pool},
		"BatchNormalization":    {inputs: 5, attributes: "epsilon momentum spatial=1 training_mode=0", plain: dropping("momentum", "spatial")},
		"Cast":                  {inputs: 1, attributes: "to saturate"}, // saturate is of types of eight bits, which are refused
		"Clip":                  {inputs: 3, attributes: "min<11 max<11", plain: (*plainNet).clip},
		"Concat":                {attributes: "axis"},
		"Constant":              {attributes: "value value_float value_floats value_int value_ints", plain: (*plainNet).constant},
		"ConstantOfShape":       {inputs: 1, attributes: "value", static: []int{0}},
		"Conv":                  {inputs: 3, attributes: "kernel_shape strides pads dilations group auto_pad=NOTSET|VALID", plain: (*plainNet).conv},
		"CumSum":                {inputs: 2, attributes: "exclusive reverse", static: []int{1}},
		"Dropout":               {inputs: 3, attributes: "ratio<12 seed", plain: (*plainNet).dropout},
		"Einsum":                {inputs: 2, attributes: "equation", plain: (*plainNet).einsum},
		"Elu":                   {inputs: 1, attributes: "alpha", plain: (*plainNet).elu},
		"Expand":                {inputs: 2, static: []int{1}},
		"Flatten":               {inputs: 1, attributes: "axis"},
		"Gather":                {inputs: 2, attributes: "axis"},
		"GatherElements":        {inputs: 2, attributes: "axis"},
		"Gelu":                  {inputs: 1, attributes: "approximate=none|tanh", plain: (*plainNet).gelu},
		"Gemm":                  {inputs: 3, attributes: "alpha beta transA transB"},
		"GlobalMaxPool":         {inputs: 1, plain: (*plainNet).globalMaxPool},
		"HardSigmoid":           {inputs: 1, attributes: "alpha beta", plain: (*plainNet).hardSigmoid},
		"InstanceNormalization": {inputs: 3, attributes: "epsilon", plain: (*plainNet).instanceNormalization},
		"LayerNormalization":    {inputs: 3, attributes: "axis epsilon stash_type=1"},
		"LeakyRelu":             {inputs: 1, attributes: "alpha", plain: (*plainNet).leakyRelu},
		"LogSoftmax":            {inputs: 1, attributes: "axis", plain: (*plainNet).softmax},
		"Max":                   {},
		"MaxPool":               {inputs: 1, attributes: "kernel_shape strides pads dilations auto_pad=NOTSET|VALID ceil_mode storage_order=0", plain: (*plainNet).pool},
		"Mean":                  {plain: (*plainNet).sum},
		"Min":                   {},
		"Mod":                   {inputs: 2, attributes: "fmod"},
		"NonZero":               {inputs: 1, static: []int{0}},
		"PRelu":                 {inputs: 2, plain: (*plainNet).leakyRelu},
		"Pad":                   {inputs: 4, attributes: "mode=constant|reflect pads<11 value<11", static: []int{1}, plain: (*plainNet).pad},
		"Range":                 {inputs: 3, static: []int{0, 1, 2}},
		"ReduceL2":              {inputs: 2, attributes: "axes<18 keepdims noop_with_empty_axes=0", static: []int{1}},
		"ReduceSum":             {inputs: 2, attributes: "axes<13 keepdims noop_with_empty_axes", static: []int{1}},
		"Reshape":               {inputs: 2, attributes: "allowzero", static: []int{1}}, // of images that are there a 0 can but stand for the size before
		"Resize": {inputs: 4, attributes: "mode=nearest|linear coordinate_transformation_mode=half_pixel|half_pixel_symmetric|pytorch_half_pixel|align_corners|asymmetric " +
			"nearest_mode=floor|ceil|round_prefer_floor|round_prefer_ceil antialias=0 exclude_outside=0 keep_aspect_ratio_policy=stretch cubic_coeff_a extrapolation_value", plain: (*plainNet).resize},
		"Shape":     {inputs: 1, attributes: "start end", plain: (*plainNet).shape},
		"Slice":     {inputs: 5, attributes: "starts<10 ends<10 axes<10", static: []int{1, 2, 3, 4}, plain: (*plainNet).slice},
		"Softmax":   {inputs: 1, attributes: "axis", plain: (*plainNet).softmax},
		"Softplus":  {inputs: 1, plain: (*plainNet).softplus},
		"Split":     {inputs: 2, outputs: 1 << 20, attributes: "axis split<13 num_outputs", static: []int{1}, plain: (*plainNet).split},
		"Squeeze":   {inputs: 2, attributes: "axes<13", static: []int{1}},
		"Sum":       {plain: (*plainNet).sum},
		"Tile":      {inputs: 2, static: []int{1}},
		"TopK":      {inputs: 2, outputs: 2, attributes: "axis k<10 largest sorted", static: []int{1}, plain: (*plainNet).topK},
		"Transpose": {inputs: 1, attributes: "perm"},
		"Trilu":     {inputs: 2, attributes: "upper", static: []int{1}},
		"Unsqueeze": {inputs: 2, attributes: "axes<13", static: []int{1}},
		"Upsample":  {inputs: 2, attributes: "mode=nearest|linear scales<9", plain: (*plainNet).resize},
		"Where":     {inputs: 3},
	}
	for _, op := range strings.Fields("Abs Ceil Cos Erf Exp Floor GlobalAveragePool HardSwish Identity IsNaN Log Neg Not Reciprocal Relu Sigmoid Sign Sin Size Sqrt Tanh") {
		ops[op] = onnxOp{inputs: 1}
	}
	for _, op := range strings.Fields("Add And Div Equal Greater GreaterOrEqual Less LessOrEqual MatMul Mul Or Pow Sub Xor") {
		ops[op] = onnxOp{inputs: 2}
	}
	for _, op := range []string{"ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd"} {
		ops[op] = onnxOp{inputs: 2, attributes: "axes<18 keepdims noop_with_empty_axes", static: []int{1}}
	}
	return ops
}()

// check refuses a node of which something would have no effect.
func (op onnxOp) check(n *protos.NodeProto, opset int64) error {
	if op.inputs > 0 && len(n.Input) > op.inputs {
		return errors.Errorf("has %d inputs; at most %d can be computed", len(n.Input), op.inputs)
	}
	honoured := map[string]string{}
	for _, a := range strings.Fields(op.attributes) {
		name, only, _ := strings.Cut(a, "=")
		name, before, isInput := strings.Cut(name, "<")
		if until, _ := strconv.ParseInt(before, 10, 64); !isInput || opset < until {
			honoured[name] = only
		}
	}
	for _, a := range n.Attribute {
		only, known := honoured[a.GetName()]
		value := attributeText(a)
		switch {
		case !known:
			return errors.Errorf("has %s %s, which is no attribute of it in opset %d that can be computed", oneline.Text(a.GetName()), value, opset)
		case only != "" && !slices.Contains(strings.Split(only, "|"), value):
			return errors.Errorf("has %s %s; need %s", oneline.Text(a.GetName()), value, strings.ReplaceAll(only, "|", ", "))
		}
	}
	return nil
}

// attributeText is an attribute's value.
func attributeText(a *protos.AttributeProto) string {
	switch a.GetType() {
	case protos.AttributeProto_INT:
		return fmt.Sprint(a.GetI())
	case protos.AttributeProto_FLOAT:
		return fmt.Sprint(a.GetF())
	case protos.AttributeProto_STRING:
		return oneline.Text(string(a.GetS()))
	case protos.AttributeProto_INTS:
		return fmt.Sprint(a.GetInts())
	case protos.AttributeProto_FLOATS:
		return fmt.Sprint(a.GetFloats())
	}
	return "of type " + a.GetType().String()
}

// plainNet is a network on its way to the operations, in the forms, that the library computes.
type plainNet struct {
	g       *protos.GraphProto
	opset   int64
	nodes   []*protos.NodeProto            // the new ones, up to here
	from    map[string]*protos.NodeProto   // output to the new node that gives it
	weights map[string]*protos.TensorProto // the initializers
}

// plainONNX rewrites the operations that lead to output, or to any of the outputs where it is empty, to those of the same values that the library
// computes, and leaves out the others. It is an error, by name, if there is none, be it for an attribute that the library passes over.
func plainONNX(file *protos.ModelProto, output string) error {
	p := &plainNet{g: file.Graph, from: map[string]*protos.NodeProto{}, weights: map[string]*protos.TensorProto{}}
	for _, set := range file.OpsetImport {
		if set.GetDomain() == "" || set.GetDomain() == "ai.onnx" {
			p.opset = set.GetVersion()
		}
	}
	if p.opset < onnxFirst || p.opset > onnxLast {
		return errors.Errorf("it is written for opset %d; export it with one from %d to %d, such as 17", p.opset, onnxFirst, onnxLast)
	}
	given := map[string]bool{"": true}
	for _, w := range p.g.Initializer {
		p.weights[w.GetName()], given[w.GetName()] = w, true
	}
	// Files of old list weights as inputs too.
	p.g.Input = slices.DeleteFunc(p.g.Input, func(v *protos.ValueInfoProto) bool { return p.weights[v.GetName()] != nil })
	for _, v := range p.g.Input {
		given[v.GetName()] = true
	}
	used := map[string]bool{output: true}
	if output == "" {
		for _, v := range p.g.Output {
			used[v.GetName()] = true
		}
	}
	var nodes []*protos.NodeProto
	for _, n := range slices.Backward(p.g.Node) {
		if slices.ContainsFunc(n.Output, func(o string) bool { return o != "" && used[o] }) {
			nodes = append(nodes, n)
			for _, in := range n.Input {
				used[in] = true
			}
		}
	}
	for _, n := range slices.Backward(nodes) {
		if err := p.take(n, given, used); err != nil {
			name := n.GetName()
			if name == "" && len(n.Output) > 0 {
				name = n.Output[0]
			}
			return errors.Errorf("operation %s %s %v", oneline.Text(n.GetOpType()), oneline.Text(name), err)
		}
	}
	p.fix()
	return nil
}

// take checks a node and adds what the library computes in its place.
func (p *plainNet) take(n *protos.NodeProto, given, used map[string]bool) error {
	const instead = `; export the network without it, or name an output before it ("output")`
	op, known := onnxOps[n.GetOpType()]
	if d := n.GetDomain(); d != "" && d != "ai.onnx" {
		return errors.Errorf("is of domain %s, and cannot be computed here%s", oneline.Text(d), instead)
	} else if !known {
		return errors.Errorf("cannot be computed here%s", instead)
	}
	for len(n.Input) > 0 && n.Input[len(n.Input)-1] == "" {
		n.Input = n.Input[:len(n.Input)-1]
	}
	for _, in := range n.Input {
		if !given[in] {
			return errors.Errorf("takes %s, which nothing before it gives; the file is damaged", oneline.Text(in))
		}
	}
	if err := op.check(n, p.opset); err != nil {
		return errors.Errorf("%v%s", err, instead)
	}
	// The library computes one output of most, and takes one without a name for each input that is left out.
	outputs := max(op.outputs, 1)
	for i, o := range n.Output {
		switch {
		case i >= outputs && o != "" && used[o]:
			return errors.Errorf("has its output %d used, which cannot be computed%s", i, instead)
		case o == "":
			n.Output[i] = fmt.Sprintf("unused %d of node %d", i, len(p.nodes))
		}
		given[n.Output[i]] = true
	}
	n.Output = n.Output[:min(outputs, len(n.Output))]
	if op.plain == nil {
		p.keep(n)
		return nil
	}
	if err := op.plain(p, n); err != nil {
		return err
	}
	last := p.nodes[len(p.nodes)-1]
	last.Output[0] = n.Output[0]
	p.from[n.Output[0]] = last
	return nil
}

// fix makes constants of the weights from which sizes, axes and the like are computed: the library asks for these when it builds the graph.
func (p *plainNet) fix() {
	seen := map[string]bool{}
	var constants []*protos.NodeProto
	var follow func(name string)
	follow = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		if w := p.weights[name]; w != nil {
			constants = append(constants, &protos.NodeProto{OpType: "Constant", Output: []string{name},
				Attribute: []*protos.AttributeProto{{Name: "value", Type: protos.AttributeProto_TENSOR, T: w}}})
			delete(p.weights, name)
		} else if n := p.from[name]; n != nil && n.OpType != "Shape" && n.OpType != "Size" {
			for _, in := range n.Input {
				follow(in)
			}
		}
	}
	for _, n := range p.nodes {
		for _, i := range onnxOps[n.OpType].static {
			if i < len(n.Input) {
				follow(n.Input[i])
			}
		}
	}
	p.g.Node = slices.Concat(constants, p.nodes)
	p.g.Initializer = slices.DeleteFunc(p.g.Initializer, func(w *protos.TensorProto) bool { return p.weights[w.GetName()] == nil })
}
