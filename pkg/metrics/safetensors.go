package metrics

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

// tensorEntry is the header's entry of one tensor.
type tensorEntry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// encodeSafetensors writes float32 tensors in the safetensors format: the length of the header
// as 8 bytes, the header in JSON, filled up with spaces to a multiple of 8, then the values, all
// little-endian. Tensors are in the order of their names, so equal weights are equal bytes.
func encodeSafetensors(values map[string]*tensors.Tensor) ([]byte, error) {
	var data []byte
	header := make(map[string]tensorEntry, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		t := values[name]
		flat, err := tensors.CopyFlatData[float32](t)
		if err != nil {
			return nil, errors.Wrapf(err, "metrics: tensor %s", name)
		}
		start := len(data)
		for _, v := range flat {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		header[name] = tensorEntry{"F32", t.Shape().Dimensions, [2]int{start, len(data)}}
	}
	text, err := json.Marshal(header) // sorts the keys
	if err != nil {
		return nil, err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return append(append(out, text...), data...), nil
}

// decodeSafetensors reads float32 tensors of exactly the given names and shapes from content,
// which must be finite and as long as the tensors need; source names it in errors.
func decodeSafetensors(source string, content []byte, want map[string][]int) (map[string]*tensors.Tensor, error) {
	fail := func(format string, args ...any) error {
		return errors.Errorf(source+": "+format, args...)
	}
	if len(content) < 8 {
		return nil, fail("%d bytes are no safetensors file", len(content))
	}
	n := binary.LittleEndian.Uint64(content)
	if n > uint64(len(content)-8) {
		return nil, fail("a header of %d bytes in a file of %d: truncated, or no safetensors file", n, len(content))
	}
	header := make(map[string]json.RawMessage)
	if err := json.Unmarshal(content[8:8+n], &header); err != nil {
		return nil, errors.Wrapf(err, "%s: header", source)
	}
	delete(header, "__metadata__")
	data := content[8+n:]
	out := make(map[string]*tensors.Tensor, len(want))
	total := 0
	for name, dims := range want {
		raw, found := header[name]
		if !found {
			return nil, fail("no tensor %s; need %v", name, slices.Sorted(maps.Keys(want)))
		}
		var e tensorEntry
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, errors.Wrapf(err, "%s: header of tensor %s", source, name)
		}
		size := 4 * product(dims)
		if e.DType != "F32" || !slices.Equal(e.Shape, dims) {
			return nil, fail("tensor %s is %s %v; need F32 %v", name, e.DType, e.Shape, dims)
		}
		start, end := e.Offsets[0], e.Offsets[1]
		if start < 0 || end > len(data) || end-start != size {
			return nil, fail("tensor %s is at %d to %d of %d bytes; need %d bytes: truncated?", name, start, end, len(data), size)
		}
		values := make([]float32, product(dims))
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[start+4*i:]))
			if v := float64(values[i]); math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fail("value %d of tensor %s is %g", i, name, v)
			}
		}
		out[name] = tensors.FromFlatDataAndDimensions(values, dims...)
		total += size
	}
	if len(header) != len(want) || total != len(data) {
		return nil, fail("%d tensors in %d bytes; need %d tensors in %d bytes", len(header), len(data), len(want), total)
	}
	return out, nil
}

// floatsOf copies a float32 tensor's values to float64.
func floatsOf(t *tensors.Tensor) ([]float64, error) {
	if t.DType() != dtypes.Float32 {
		return nil, errors.Errorf("metrics: a tensor of %s; need float32", t.Shape())
	}
	out := make([]float64, t.Size())
	err := tensors.ConstFlatData(t, func(flat []float32) {
		for i, v := range flat {
			out[i] = float64(v)
		}
	})
	return out, err
}
