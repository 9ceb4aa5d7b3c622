package metrics

import (
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/pkg/errors"

	"palimpsest/pkg/oneline"
)

// plainONNX rewrites the operations of a network to the forms that the library takes, of the same values: it refuses attributes that it
// does not know whatever they say, such as a MaxPool's dilations of 1, which PyTorch always writes. What has no such form is an error.
func plainONNX(g *protos.GraphProto) (rewritten bool, err error) {
	var nodes []*protos.NodeProto
	for _, node := range g.GetNode() {
		switch node.GetOpType() {
		case "MaxPool", "AveragePool":
			pad, err := plainPool(g, node)
			if err != nil {
				return false, errors.WithMessagef(err, "%s %s", node.GetOpType(), oneline.Text(node.GetName()))
			}
			rewritten = true
			if pad != nil {
				nodes = append(nodes, pad)
			}
		case "HardSigmoid", "LeakyRelu":
			nodes, rewritten = append(nodes, plainActivation(g, node)...), true
			continue
		case "BatchNormalization": // it matters in training alone
			rewritten = dropAttribute(node, "momentum") || rewritten
		}
		nodes = append(nodes, node)
	}
	g.Node = nodes
	return rewritten, nil
}

// plainPool leaves of a pool its window, strides and paddings. Images of two axes are pooled. If padding counts in the mean, it returns
// the node that pads before.
func plainPool(g *protos.GraphProto, node *protos.NodeProto) (pad *protos.NodeProto, err error) {
	const axes = 2
	ints := func(name string, n int, otherwise int64) []int64 {
		values := slices.Repeat([]int64{otherwise}, n)
		if a := attribute(node, name); a != nil {
			values = slices.Clone(a.GetInts())
		}
		if len(values) != n && err == nil {
			err = errors.Errorf("has %s %v; need %d, as for images", name, values, n)
		}
		return values
	}
	kernel, strides, pads, dilations := ints("kernel_shape", axes, 0), ints("strides", axes, 1), ints("pads", 2*axes, 0), ints("dilations", axes, 1)
	switch auto := string(attribute(node, "auto_pad").GetS()); {
	case err != nil:
		return nil, err
	case auto != "" && auto != "NOTSET" && auto != "VALID":
		return nil, errors.Errorf("has auto_pad %s; export it with pads", oneline.Text(auto))
	case slices.Max(dilations) != 1 || slices.Min(dilations) != 1:
		return nil, errors.Errorf("has dilations %v; only 1 can be computed", dilations)
	case attribute(node, "storage_order").GetI() != 0:
		return nil, errors.New("has storage_order 1; only 0 can be computed")
	case slices.Min(kernel) < 1 || slices.Min(strides) < 1 || slices.Min(pads) < 0:
		return nil, errors.Errorf("has windows %v, strides %v and pads %v; need 1 or more, 1 or more, and 0 or more", kernel, strides, pads)
	}
	if attribute(node, "count_include_pad").GetI() != 0 && slices.Max(pads) > 0 {
		padded, sizes := node.GetInput()[0]+"/padded/"+node.GetOutput()[0], "pads/"+node.GetOutput()[0]
		g.Initializer = append(g.Initializer, &protos.TensorProto{Name: sizes, DataType: int32(protos.TensorProto_INT64), Dims: []int64{4 + 2*axes},
			Int64Data: []int64{0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]}})
		pad = &protos.NodeProto{OpType: "Pad", Name: padded, Input: []string{node.GetInput()[0], sizes}, Output: []string{padded}}
		node.Input[0] = padded
		pads = make([]int64, 2*axes)
	}
	if attribute(node, "ceil_mode").GetI() != 0 {
		// Rounding up is rounding down with strides less one of padding more, which is neither the largest nor counted. A window
		// that would begin in the padding is left out, which cannot be where windows are as large as strides and padding together.
		for i := range axes {
			if pads[axes+i]+strides[i] > kernel[i] {
				return nil, errors.Errorf("has ceil_mode with windows %v, strides %v and pads %v; it can be computed where windows are at least strides and pads together", kernel, strides, pads)
			}
			pads[axes+i] += strides[i] - 1
		}
	}
	for _, name := range []string{"auto_pad", "dilations", "storage_order", "count_include_pad", "ceil_mode", "strides", "pads"} {
		dropAttribute(node, name)
	}
	node.Attribute = append(node.Attribute, &protos.AttributeProto{Name: "strides", Type: protos.AttributeProto_INTS, Ints: strides},
		&protos.AttributeProto{Name: "pads", Type: protos.AttributeProto_INTS, Ints: pads})
	return pad, nil
}

// plainActivation computes by other operations what the library has not: HardSigmoid, min(max(αx + β, 0), 1), and LeakyRelu, max(x, 0) + α·min(x, 0).
func plainActivation(g *protos.GraphProto, node *protos.NodeProto) []*protos.NodeProto {
	x, y := node.GetInput()[0], node.GetOutput()[0]
	number := func(name string, otherwise float32) string {
		value := otherwise
		if a := attribute(node, name); a != nil {
			value = a.GetF()
		}
		name = y + "/" + name
		g.Initializer = append(g.Initializer, &protos.TensorProto{Name: name, DataType: int32(protos.TensorProto_FLOAT), FloatData: []float32{value}})
		return name
	}
	of := func(op, part string, inputs ...string) *protos.NodeProto {
		out := y
		if part != "" {
			out += "/" + part
		}
		return &protos.NodeProto{OpType: op, Name: out, Input: inputs, Output: []string{out}}
	}
	if node.GetOpType() == "LeakyRelu" {
		zero := number("zero", 0)
		return []*protos.NodeProto{of("Max", "above", x, zero), of("Min", "below", x, zero), of("Mul", "leak", y+"/below", number("alpha", 0.01)), of("Add", "", y+"/above", y+"/leak")}
	}
	return []*protos.NodeProto{of("Mul", "scaled", x, number("alpha", 0.2)), of("Add", "shifted", y+"/scaled", number("beta", 0.5)),
		of("Clip", "", y+"/shifted", number("lowest", 0), number("highest", 1))}
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

// dropAttribute removes a node's attribute, and says whether it had one of that name.
func dropAttribute(node *protos.NodeProto, name string) bool {
	had := len(node.Attribute)
	node.Attribute = slices.DeleteFunc(node.Attribute, func(a *protos.AttributeProto) bool { return a.GetName() == name })
	return len(node.Attribute) < had
}
