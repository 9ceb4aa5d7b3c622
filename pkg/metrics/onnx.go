package metrics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/onnx-gomlx/onnx"
	"github.com/gomlx/onnx-gomlx/onnx/parser"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"
	"google.golang.org/protobuf/proto"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
)

// What [LoadONNX] reads at most, and the batch of networks that leave it open.
const (
	onnxBytes     = 2 << 30 // no longer file can be written in ONNX's format
	onnxInfoBytes = 64 << 10
	onnxBatch     = 16
)

// ONNXInfo says what an ONNX file does not: how images become its input. It is the JSON file NAME.json beside NAME.onnx.
type ONNXInfo struct {
	Colours string     `json:"colours"` // order of the channels: "rgb", "bgr", or "grey", which is one channel
	Range   [2]float64 `json:"range"`   // values of black and white: [0, 1], [-1, 1], [0, 255], ...
	// Mean, where given, is then subtracted, and what is left divided by Std: a value for each channel in the order of Colours.
	Mean   []float64 `json:"mean,omitempty"`
	Std    []float64 `json:"std,omitempty"`
	Height int       `json:"height,omitempty"` // of the input in pixels, where the model leaves it open
	Width  int       `json:"width,omitempty"`
	Layout string    `json:"layout,omitempty"` // "nchw" or "nhwc", where the model's shape may be both
	Output string    `json:"output,omitempty"` // the name of the features, where the model has several outputs
}

// channels is how many the input has.
func (i ONNXInfo) channels() int {
	if i.Colours == "grey" {
		return 1
	}
	return 3
}

// parseONNXInfo reads a description. A field it does not know is refused: a mistyped one would give other features.
func parseONNXInfo(text []byte) (i ONNXInfo, err error) {
	read := json.NewDecoder(bytes.NewReader(text))
	read.DisallowUnknownFields()
	if err := read.Decode(&i); errors.Is(err, io.EOF) {
		return i, errors.New(`it is empty; need a description, such as {"colours": "rgb", "range": [0, 1]}`)
	} else if err != nil {
		return i, oneline.Error(errors.WithStack(err))
	}
	if read.More() {
		return i, errors.New("something follows the description")
	}
	if !slices.Contains([]string{"rgb", "bgr", "grey"}, i.Colours) {
		return i, errors.Errorf("colours is %q; need \"rgb\", \"bgr\" or \"grey\", as the network was trained", oneline.Text(i.Colours))
	}
	if i.Range[0] == i.Range[1] {
		return i, errors.New("range is missing, or black and white are the same; need the values of black and white, such as [0, 1], [-1, 1] or [0, 255]")
	}
	if len(i.Mean) != len(i.Std) || len(i.Mean) != 0 && len(i.Mean) != i.channels() {
		return i, errors.Errorf("%d means and %d std; need both with a value for each of the channels (%d), or neither", len(i.Mean), len(i.Std), i.channels())
	}
	if j := slices.IndexFunc(i.Std, func(v float64) bool { return v <= 0 }); j >= 0 {
		return i, errors.Errorf("std %d is %g; need more than 0", j, i.Std[j])
	}
	if !slices.Contains([]string{"", "nchw", "nhwc"}, i.Layout) {
		return i, errors.Errorf("layout is %q; need \"nchw\" or \"nhwc\"", oneline.Text(i.Layout))
	}
	if min(i.Height, i.Width) < 0 {
		return i, errors.Errorf("height %d and width %d; need pixels", i.Height, i.Width)
	}
	return i, nil
}

// IsONNXFile says whether path names an ONNX file: whether it ends in .onnx.
func IsONNXFile(path string) bool { return strings.EqualFold(filepath.Ext(path), ".onnx") }

// ONNX is a network of an ONNX file as an extractor. Use [LoadONNX].
type ONNX struct {
	name, sha256  string
	info          ONNXInfo
	from          [3]int // height, width and channels of the images
	h, w          int    // that the network sees
	batch         int
	first         bool // channels come before height and width
	input, output string
	dim           int
	scale, offset []float64 // of each channel of the input, for values in [-1, 1]
	mu            sync.Mutex
	exec          *model.Exec
	store         *model.Store
}

// LoadONNX reads a network from images to features, float32 [N, C, H, W] or [N, H, W, C] to [N, D], from the ONNX file at path, which
// ends in .onnx and holds its weights itself, and how images become its input from the file of the same name that ends in
// .json, an [ONNXInfo]. It is for images of h×w pixels with c channels, which are brought to the network's height and width, a
// pixel there being the mean of the area that it covers, and from grey to colours or back where it needs that.
//
// The network is compiled and run here. What it cannot do is an error of one line: no such operation, several inputs, an
// input or output of another form, a size or a layout that neither file states, features that depend on the other images of a batch.
func LoadONNX(backend compute.Backend, path string, h, w, c int) (*ONNX, error) {
	x, err := CompileONNX(backend, path, h, w, c)
	if err != nil {
		return nil, err
	}
	if err := x.checkRows(); err != nil {
		x.Close()
		return nil, errors.WithMessagef(oneline.Error(err), "metrics.LoadONNX: %s", path)
	}
	return x, nil
}

// checkRows runs the network on two batches of noise that share half of their images, elsewhere and beside others. Where the features of these
// differ by more than rounding, they depend on the other images of a batch, and would change with its size.
func (x *ONNX) checkRows() error {
	size, random := x.h*x.w*x.info.channels(), rand.New(rand.NewPCG(0, 0))
	first, second := make([]float32, x.batch*size), make([]float32, x.batch*size)
	for i := range first {
		first[i], second[i] = 2*random.Float32()-1, 2*random.Float32()-1
	}
	was := func(row int) int { return (row + 1) % x.batch }
	for row := 0; row < x.batch; row += 2 {
		copy(second[row*size:], first[was(row)*size:(was(row)+1)*size])
	}
	var features [2][]float64
	for i, images := range [][]float32{first, second} {
		if err := x.run(images, func(flat []float64) error { features[i] = slices.Clone(flat); return nil }); err != nil {
			return err
		}
		if x.batch == 1 {
			return nil
		}
	}
	largest, all := make([]float64, x.dim), 0.0
	for i, v := range features[0] {
		v = max(math.Abs(v), math.Abs(features[1][i]))
		largest[i%x.dim], all = max(largest[i%x.dim], v), max(all, v)
	}
	for row := 0; row < x.batch; row += 2 {
		for k := range x.dim {
			a, b := features[0][was(row)*x.dim+k], features[1][row*x.dim+k]
			if math.Abs(a-b) > 1e-3*largest[k]+1e-5*all {
				return errors.Errorf("the features of an image depend on the other images of a batch: feature %d of one is %.4g beside some and %.4g beside others; "+
					"need a network that computes each image for itself, exported in the mode of evaluation", k, a, b)
			}
		}
	}
	return nil
}

// CompileONNX is [LoadONNX] without running the network, which in pure Go costs next to nothing. An operation that a backend has not is
// [compute.ErrNotImplemented], and another may have it.
func CompileONNX(backend compute.Backend, path string, h, w, c int) (*ONNX, error) {
	if err := checkBackend("metrics.LoadONNX", backend); err != nil {
		return nil, err
	}
	if min(h, w, c) < 1 || max(h, w, c) > maxSide {
		return nil, errors.Errorf("metrics.LoadONNX: for images of %d×%d with %d channels; need numbers from 1 to %d", h, w, c, maxSide)
	}
	content, err := atomicfile.Read(path, onnxBytes)
	if err != nil {
		return nil, errors.WithMessage(err, "metrics.LoadONNX")
	}
	beside := strings.TrimSuffix(path, filepath.Ext(path)) + ".json"
	text, err := atomicfile.Read(beside, onnxInfoBytes)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, errors.Errorf("metrics.LoadONNX: %s does not say how pixels become its input; write %s beside it, such as "+
				`{"colours": "rgb", "range": [0, 1], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}`, path, filepath.Base(beside))
		}
		return nil, errors.WithMessage(err, "metrics.LoadONNX")
	}
	info, err := parseONNXInfo(text)
	if err != nil {
		return nil, errors.WithMessagef(err, "metrics.LoadONNX: %s", beside)
	}
	x := &ONNX{sha256: sha256Hex(slices.Concat(content, text)), info: info, from: [3]int{h, w, c}}
	if err := x.compile(backend, content); err != nil {
		return nil, errors.WithMessagef(oneline.Error(err), "metrics.LoadONNX: %s", path)
	}
	x.name = fmt.Sprintf("%s of %s, which sees images of %d×%d at %d×%d", x.output, filepath.Base(path), h, w, x.h, x.w)
	return x, nil
}

// compile parses the network, and builds its graph to see what it gives.
func (x *ONNX) compile(backend compute.Backend, content []byte) (err error) {
	defer caught(&err)
	net, err := parseONNX(content, x.info.Output)
	if err != nil {
		return err
	}
	if err := x.fit(net); err != nil {
		return err
	}
	if x.store, err = newStore(nil); err != nil {
		return err
	}
	defer func() {
		if x.dim == 0 {
			x.Close()
		}
	}()
	net.FreeUnusedVariables()
	if err := net.VariablesToScope(x.store.RootScope()); err != nil {
		return err
	}
	var gives shapes.Shape
	x.exec, err = model.NewExec(backend, x.store, func(scope *model.Scope, in *graph.Node) *graph.Node {
		out := net.CallGraph(scope.Store().RootScope(), in.Graph(), map[string]*graph.Node{x.input: in}, x.output)[0]
		gives = out.Shape()
		return out
	})
	if err != nil {
		return err
	}
	if _, err := x.exec.Compile(shapes.Make(dtypes.Float32, x.dims()...)); err != nil {
		return plainONNXError(err)
	}
	if x.dim = featuresOf(gives, x.batch); x.dim == 0 {
		return errors.Errorf("%s is %s for %d images; need a row of features an image, float32 [%d, D]", oneline.Text(x.output), gives, x.batch, x.batch)
	}
	return nil
}

// featuresOf is D of an output [N, D] for N images, or of what is that but for axes of one, as pooled maps [N, D, 1, 1] are; 0 of any other.
func featuresOf(output shapes.Shape, n int) int {
	if output.DType != dtypes.Float32 || output.Rank() < 2 || output.Dimensions[0] != n {
		return 0
	}
	features := output.Dimensions[1:]
	if wide := slices.DeleteFunc(slices.Clone(features), func(d int) bool { return d == 1 }); len(wide) > 1 {
		return 0
	}
	return slices.Max(features)
}

// plainONNXError says what of a network cannot be computed, without the library's own whereabouts.
func plainONNXError(err error) error {
	text := oneline.Text(err.Error())
	if errors.Is(err, compute.ErrNotImplemented) {
		return errors.WithMessage(oneline.Error(err), "metrics.ONNX: the network cannot be run")
	}
	if i := strings.LastIndex(text, " panicked: "); i >= 0 {
		text = text[i+len(" panicked: "):]
	}
	return errors.Errorf("the network cannot be run: %s", text)
}

// dims are those of the network's input.
func (x *ONNX) dims() []int {
	if x.first {
		return []int{x.batch, x.info.channels(), x.h, x.w}
	}
	return []int{x.batch, x.h, x.w, x.info.channels()}
}

// caught makes an error of a panic, which is the library's way to say that it did not expect something in a file.
func caught(err *error) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = errors.WithMessage(r, "the network cannot be built")
	default:
		*err = errors.Errorf("the network cannot be built: %v", r)
	}
}

// parseONNX parses what leads to output, or to any of the outputs where it is empty, of a file whose tensors it holds itself and whole: the library
// believes the sizes that they declare.
func parseONNX(content []byte, output string) (_ onnx.Model, err error) {
	defer caught(&err)
	var file protos.ModelProto
	if err := proto.Unmarshal(content, &file); err != nil {
		return nil, errors.Errorf("it is no ONNX file, or not a whole one: %v", err)
	}
	if file.Graph == nil || len(file.Graph.Node) == 0 {
		return nil, errors.New("it is no ONNX file, or an empty one: it has no network")
	}
	if err := checkONNXTensors(file.Graph, len(content)); err != nil {
		return nil, err
	}
	if err := plainONNX(&file, output); err != nil {
		return nil, err
	}
	if content, err = proto.Marshal(&file); err != nil {
		return nil, errors.Wrap(err, "the network as the library takes it")
	}
	net, err := parser.Parse(content)
	if err != nil {
		return nil, err
	}
	net.DisableFusion() // it guesses what several operations are together, such as attention
	return net, nil
}

// checkONNXTensors refuses tensors that a file of so many bytes cannot hold.
func checkONNXTensors(g *protos.GraphProto, bytes int) error {
	all := slices.Clone(g.GetInitializer())
	for _, node := range g.GetNode() {
		for _, a := range node.GetAttribute() {
			if a.GetT() != nil {
				all = append(all, a.GetT())
			}
			all = append(all, a.GetTensors()...)
			for _, sub := range append(slices.Clone(a.GetGraphs()), a.GetG()) {
				if err := checkONNXTensors(sub, bytes); err != nil {
					return err
				}
			}
		}
	}
	for _, t := range all {
		if len(t.GetExternalData()) > 0 {
			return errors.Errorf("tensor %s lies in another file; store the network with its weights inside", oneline.Text(t.GetName()))
		}
		size := 1.0
		for _, d := range t.GetDims() {
			size *= float64(d)
			if d < 0 {
				size = math.Inf(1)
			}
		}
		if !(size <= 2*float64(bytes)) { // types of four bits are the smallest
			return errors.Errorf("tensor %s declares the shape %v, more than the file holds; it is damaged", oneline.Text(t.GetName()), t.GetDims())
		}
	}
	return nil
}

// fit sees what the input and output are.
func (x *ONNX) fit(net onnx.Model) error {
	inputs, shapes := net.Inputs()
	if len(inputs) != 1 {
		return errors.Errorf("it has %d inputs (%s); need one, the images", len(inputs), oneline.Text(strings.Join(inputs, ", ")))
	}
	x.input = inputs[0]
	if shapes[0].DType != dtypes.Float32 || shapes[0].Rank() != 4 {
		return errors.Errorf("its input is %s; need images of float32 in four axes, [N, C, H, W] or [N, H, W, C]", shapes[0])
	}
	dims, c := shapes[0].Dimensions, x.info.channels()
	layout := x.info.Layout
	if layout == "" {
		switch first, last := dims[1] == c, dims[3] == c; {
		case first && !last:
			layout = "nchw"
		case last && !first:
			layout = "nhwc"
		default:
			return errors.Errorf("its input is %s, of which neither axis 1 nor axis 3 alone has the %d channels of colours %q; "+
				"correct colours, or state \"layout\" in the description, \"nchw\" or \"nhwc\"", shapes[0], c, x.info.Colours)
		}
	}
	channels := dims[3]
	x.h, x.w = dims[1], dims[2]
	if x.first = layout == "nchw"; x.first {
		channels, x.h, x.w = dims[1], dims[2], dims[3]
	}
	if channels > 0 && channels != c {
		return errors.Errorf("its input is %s, in layout %q of %d channels, but colours %q are %d", shapes[0], layout, channels, x.info.Colours, c)
	}
	for _, side := range []struct {
		name   string
		own    *int
		stated int
	}{{"height", &x.h, x.info.Height}, {"width", &x.w, x.info.Width}} {
		switch {
		case *side.own < 1 && side.stated == 0:
			return errors.Errorf("its input is %s, which leaves the %s open; state \"height\" and \"width\" in the description", shapes[0], side.name)
		case *side.own < 1:
			*side.own = side.stated
		case side.stated != 0 && side.stated != *side.own:
			return errors.Errorf("its input is %s, but the description states a %s of %d", shapes[0], side.name, side.stated)
		}
	}
	if x.batch = dims[0]; x.batch < 1 {
		x.batch = onnxBatch
	}
	if _, _, _, err := x.see().Shape(x.from[0], x.from[1], x.from[2]); err != nil {
		return err
	}
	outputs, _ := net.Outputs()
	switch {
	case x.info.Output != "" && !slices.Contains(outputs, x.info.Output):
		return errors.Errorf("it has no output %s; there are %s", oneline.Text(x.info.Output), oneline.Text(strings.Join(outputs, ", ")))
	case x.info.Output != "":
		x.output = x.info.Output
	case len(outputs) == 1:
		x.output = outputs[0]
	default:
		return errors.Errorf("it has %d outputs (%s); state \"output\" in the description, the one that holds the features", len(outputs), oneline.Text(strings.Join(outputs, ", ")))
	}
	// Values in [-1, 1] become lo + (v+1)/2·(hi-lo), less the mean, by std.
	lo, hi := x.info.Range[0], x.info.Range[1]
	for k := range c {
		mean, std := 0.0, 1.0
		if len(x.info.Mean) > 0 {
			mean, std = x.info.Mean[k], x.info.Std[k]
		}
		x.scale = append(x.scale, (hi-lo)/2/std)
		x.offset = append(x.offset, ((hi+lo)/2-mean)/std)
	}
	return nil
}

// see is how images come to what the network sees.
func (x *ONNX) see() datasets.Prep {
	return datasets.Prep{Method: "area", Height: x.h, Width: x.w, Channels: x.info.channels()}
}

// Close frees the compiled graph and the weights. The network must not be used afterwards.
func (x *ONNX) Close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.exec != nil {
		x.exec.Finalize()
	}
	x.store.Finalize()
}

// Name implements [Extractor].
func (x *ONNX) Name() string { return x.name }

// Identity implements [Extractor]: it is the SHA-256 of the ONNX file followed by its description, since both make the
// features; `cat NAME.onnx NAME.json | sha256sum` gives it.
func (x *ONNX) Identity() string { return x.sha256 }

// Dim implements [Extractor].
func (x *ONNX) Dim() int { return x.dim }

// ImageShape implements [Extractor].
func (x *ONNX) ImageShape() (h, w, c int) { return x.from[0], x.from[1], x.from[2] }

// Features implements [Extractor].
func (x *ONNX) Features(images []float32, n int) (*mat.Dense, error) {
	h, w, c := x.ImageShape()
	if n < 1 || len(images) != n*h*w*c {
		return nil, errors.Errorf("metrics.ONNX: %d values for %d images of %d×%d with %d channels; need one or more images and %d values each", len(images), n, h, w, c, h*w*c)
	}
	if err := checkImages("metrics.ONNX", images, h*w*c); err != nil {
		return nil, err
	}
	if channels := x.info.channels(); h != x.h || w != x.w || c != channels {
		im := &datasets.Images{N: n, H: h, W: w, C: c, Pixels: make([]uint8, len(images)), Labels: make([]int32, n)}
		datasets.Unscale(im.Pixels, images)
		seen, err := x.see().Apply(im)
		if err != nil {
			return nil, err
		}
		images = seen.Scaled()
	}
	features := mat.NewDense(n, x.dim, nil)
	x.mu.Lock()
	defer x.mu.Unlock()
	err := forBatches(images, n, x.h*x.w*x.info.channels(), x.batch, func(flat []float32, start, rows int) error {
		return x.run(flat, func(out []float64) error {
			for i, v := range out[:rows*x.dim] {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return errors.Errorf("metrics.ONNX: feature %d of image %d is %g; is the range of %s that of the network?", i%x.dim, start+i/x.dim, v, x.name)
				}
			}
			for i := range rows {
				features.SetRow(start+i, out[i*x.dim:(i+1)*x.dim])
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return features, nil
}

// run gives use the outputs for a batch of images that the network sees, [batch, h, w, channels] in [-1, 1].
func (x *ONNX) run(images []float32, use func(flat []float64) error) error {
	c, area := x.info.channels(), x.h*x.w
	values := make([]float32, len(images))
	for i, v := range images {
		image, pixel, k := i/(area*c), i/c%area, i%c
		if x.info.Colours == "bgr" {
			k = c - 1 - k
		}
		to := (image*area+pixel)*c + k
		if x.first {
			to = (image*c+k)*area + pixel
		}
		values[to] = float32(x.scale[k]*float64(v) + x.offset[k])
	}
	in := tensors.FromFlatDataAndDimensions(values, x.dims()...)
	defer in.FinalizeAll()
	out, err := x.exec.Call1(in)
	if err != nil {
		return errors.WithMessage(oneline.Error(err), "metrics.ONNX: the network cannot be run")
	}
	defer out.FinalizeAll()
	flat, err := floatsOf(out)
	if err != nil {
		return err
	}
	return use(flat)
}
