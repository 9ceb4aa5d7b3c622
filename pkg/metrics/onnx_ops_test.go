package metrics

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/oneline"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"google.golang.org/protobuf/proto"
)

// Every operation in the forms of its opsets gives ONNX Runtime's values, or is refused by name where it would not.
func TestONNXOperations(t *testing.T) {
	file, err := os.Open("testdata/onnx-ops.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Refused string
		Shape, Dims   []int
		Model         []byte
		Y             []float64
	}
	// The values of x are those of testdata/onnx_ops.py.
	x := make([]float32, 96)
	for i := range x {
		x[i] = float32((i*i*31+i*17)/64%256)/64 - 2
	}
	if err := json.NewDecoder(unzipped).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	untested := maps.Clone(onnxOps)
	for _, c := range cases {
		var file protos.ModelProto
		if err := proto.Unmarshal(c.Model, &file); err != nil {
			t.Fatal(err)
		}
		for _, n := range file.Graph.Node {
			if c.Refused == "" {
				delete(untested, n.OpType)
			}
		}
	}
	if len(untested) > 0 {
		t.Errorf("no case has %v", slices.Sorted(maps.Keys(untested)))
	}
	store := model.NewStore()
	var computed []int
	exec, err := model.NewExec(backendtest.Open(t), store, func(scope *model.Scope, start *graph.Node) (out []*graph.Node) {
		computed = nil
		for i, c := range cases { // in one graph, which is compiled once
			build := func() (y *graph.Node, err error) {
				defer caught(&err)
				net, err := parseONNX(c.Model, "")
				if err != nil {
					return nil, err
				}
				within := scope.Store().RootScope().At("case%d", i)
				if err := net.VariablesToScope(within); err != nil {
					return nil, err
				}
				in := graph.Reshape(graph.Slice(start, graph.AxisRange(0, product(c.Shape))), c.Shape...)
				return net.CallGraph(within, start.Graph(), map[string]*graph.Node{"x": in})[0], nil
			}
			y, err := build()
			switch {
			case c.Refused != "" && (err == nil || !strings.Contains(err.Error(), c.Refused) || !oneline.Is(err.Error())):
				t.Errorf("%s: error %v, want one line with %q", c.Name, err, c.Refused)
			case c.Refused == "" && err != nil:
				t.Errorf("%s: %s", c.Name, oneline.Error(err))
			case err == nil:
				computed, out = append(computed, i), append(out, graph.ConvertDType(y, dtypes.Float32))
			}
		}
		return out
	})
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	outs, err := exec.Call(tensors.FromFlatDataAndDimensions(x, len(x)))
	if err != nil {
		t.Fatal(err)
	}
	for k, i := range computed {
		c := cases[i]
		got, err := floatsOf(outs[k])
		if err != nil {
			t.Fatal(err)
		}
		if dims := outs[k].Shape().Dimensions; fmt.Sprint(dims) != fmt.Sprint(c.Dims) {
			t.Errorf("%s: shape %v, want %v", c.Name, dims, c.Dims)
			continue
		}
		for j, want := range c.Y {
			if !(math.Abs(got[j]-want) <= 1e-5*max(1, math.Abs(want))) {
				t.Errorf("%s: value %d is %g, want %g", c.Name, j, got[j], want)
				break
			}
		}
	}
}

// A network is taken by what leads to its output, weights of old files being no inputs of it, and refused where an image's features depend on
// the others of its batch.
func TestLoadONNXRows(t *testing.T) {
	node := func(op string, in []string, out string, attributes ...*protos.AttributeProto) *protos.NodeProto {
		return &protos.NodeProto{OpType: op, Input: in, Output: []string{out}, Attribute: attributes}
	}
	value := func(name string, dims ...int64) *protos.ValueInfoProto {
		shape := &protos.TensorShapeProto{}
		for _, d := range dims {
			dim := &protos.TensorShapeProto_Dimension{}
			if d > 0 {
				dim.Value = &protos.TensorShapeProto_Dimension_DimValue{DimValue: d}
			}
			shape.Dim = append(shape.Dim, dim)
		}
		return &protos.ValueInfoProto{Name: name, Type: &protos.TypeProto{Value: &protos.TypeProto_TensorType{
			TensorType: &protos.TypeProto_Tensor{ElemType: int32(protos.TensorProto_FLOAT), Shape: shape}}}}
	}
	back := backendtest.Open(t)
	for _, tc := range []struct{ output, want string }{{"features", ""}, {"centred", "depend on the other images of a batch"}, {"strange", "operation Strange strange cannot be computed here"}, {"", "2 outputs"}} {
		file := &protos.ModelProto{OpsetImport: []*protos.OperatorSetIdProto{{Version: 9}}, Graph: &protos.GraphProto{
			Input:       []*protos.ValueInfoProto{value("x", 0, 3, 4, 4), value("w", 1)},
			Initializer: []*protos.TensorProto{{Name: "w", DataType: int32(protos.TensorProto_FLOAT), Dims: []int64{1}, FloatData: []float32{2}}},
			Node: []*protos.NodeProto{node("Mul", []string{"x", "w"}, "scaled"), node("ReduceMean", []string{"scaled"}, "mean", intsAttribute("axes", 0)),
				node("Flatten", []string{"scaled"}, "features"), node("Sub", []string{"scaled", "mean"}, "less"), node("Flatten", []string{"less"}, "centred"),
				node("Strange", []string{"features"}, "strange")},
			Output: []*protos.ValueInfoProto{value("features", 0, 48), value(cmp.Or(tc.output, "centred"), 0, 48)},
		}}
		if tc.output == "" { // no node that cannot be computed
			file.Graph.Node = file.Graph.Node[:5]
		}
		content, err := proto.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "net.onnx")
		for name, content := range map[string][]byte{path: content, strings.TrimSuffix(path, "onnx") + "json": fmt.Appendf(nil, `{"colours": "rgb", "range": [-1, 1], "output": %q}`, tc.output)} {
			if err := os.WriteFile(name, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		net, err := LoadONNX(back, path, 4, 4, 3)
		switch {
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !oneline.Is(err.Error())):
			t.Errorf("%s: error %v, want one line with %q", tc.output, err, tc.want)
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.output, err)
		case err == nil:
			net.Close()
		}
	}
}
