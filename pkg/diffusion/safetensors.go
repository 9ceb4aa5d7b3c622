package diffusion

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// The safetensors format: the header's length as 8 bytes, the header in JSON (name to type, shape and place of every
// tensor), filled up with spaces to a multiple of 8, then the values; all little-endian, as the processors that GoMLX
// runs on are.
type (
	tensorEntry struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	namedTensor struct {
		name  string
		value *tensors.Tensor
	}
)

var safetensorsDTypes = map[dtypes.DType]string{dtypes.Float32: "F32", dtypes.Int64: "I64"}

// metadata of a header; PyTorch's reader wants to see its own name in it.
const (
	metadataKey = "__metadata__"
	maxHeader   = 64 << 20
)

// writeSafetensors writes the tensors in the given order to path, by way of a temporary file beside it.
func writeSafetensors(path string, all []namedTensor) error {
	header := map[string]any{metadataKey: map[string]string{"format": "pt"}}
	var end int64
	for _, t := range all {
		name, ok := safetensorsDTypes[t.value.DType()]
		if !ok {
			return errors.Errorf("diffusion: tensor %s is %s; only float32 and int64 can be saved", t.name, t.value.Shape())
		}
		start := end
		end += int64(t.value.Shape().ByteSize())
		header[t.name] = tensorEntry{name, append([]int{}, t.value.Shape().Dimensions...), [2]int64{start, end}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		return errors.WithStack(err)
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	return atomicfile.WriteFrom(path, func(out io.Writer) error {
		w := bufio.NewWriterSize(out, 1<<20)
		if err := binary.Write(w, binary.LittleEndian, uint64(len(text))); err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
		for _, t := range all {
			var err error
			if accessErr := t.value.ConstBytes(func(data []byte) { _, err = w.Write(data) }); accessErr != nil {
				return accessErr
			}
			if err != nil {
				return err
			}
		}
		return w.Flush()
	})
}

// readSafetensors reads the tensors of path, which must have exactly the wanted names, types and shapes, lie without
// gaps and fill the file.
func readSafetensors(path string, want map[string]shapes.Shape) (map[string]*tensors.Tensor, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, errors.WithStack(err)
	}
	r := bufio.NewReaderSize(file, 1<<20)
	entries, start, err := readHeader(r, info.Size())
	if err != nil {
		return nil, errors.WithMessagef(err, "diffusion: %s", path)
	}
	order, err := matchEntries(entries, want, info.Size()-start)
	if err != nil {
		return nil, errors.WithMessagef(err, "diffusion: %s", path)
	}
	values := make(map[string]*tensors.Tensor, len(order))
	for _, name := range order {
		value := tensors.FromShape(want[name])
		var readErr error
		if err := value.MutableBytes(func(data []byte) { _, readErr = io.ReadFull(r, data) }); err != nil {
			return nil, err
		}
		if readErr != nil {
			return nil, errors.Wrapf(readErr, "diffusion: %s: tensor %s", path, name)
		}
		values[name] = value
	}
	return values, nil
}

// readHeader returns the entries and where the values start in a file of the given size.
func readHeader(r io.Reader, size int64) (map[string]tensorEntry, int64, error) {
	var length uint64
	if err := binary.Read(r, binary.LittleEndian, &length); err != nil {
		return nil, 0, errors.Errorf("%d bytes are no safetensors file", size)
	}
	if length > maxHeader || int64(length) > size-8 {
		return nil, 0, errors.Errorf("a header of %d bytes in a file of %d: truncated, or no safetensors file", length, size)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, 0, errors.Wrap(err, "header")
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, 0, errors.Wrap(err, "header")
	}
	delete(raw, metadataKey)
	entries := make(map[string]tensorEntry, len(raw))
	for name, text := range raw {
		var e tensorEntry
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, 0, errors.Wrapf(err, "header of tensor %s", name)
		}
		entries[name] = e
	}
	return entries, 8 + int64(length), nil
}

// matchEntries compares a header with what is wanted of it and returns the names in the order of their values.
func matchEntries(entries map[string]tensorEntry, want map[string]shapes.Shape, size int64) ([]string, error) {
	for name, shape := range want {
		e, ok := entries[name]
		if !ok {
			return nil, errors.Errorf("no tensor %s among %d; need %s: saved from a network of another configuration?", name, len(entries), shape)
		}
		if e.DType != safetensorsDTypes[shape.DType] || !slices.Equal(e.Shape, shape.Dimensions) {
			return nil, errors.Errorf("tensor %s is %s %v; need %s %v: saved from a network of another configuration?",
				name, e.DType, e.Shape, safetensorsDTypes[shape.DType], shape.Dimensions)
		}
	}
	order := make([]string, 0, len(entries))
	for name := range entries {
		if _, ok := want[name]; !ok {
			return nil, errors.Errorf("unknown tensor %s: saved from a network of another configuration?", name)
		}
		order = append(order, name)
	}
	slices.SortFunc(order, func(a, b string) int {
		return int(min(max(entries[a].Offsets[0]-entries[b].Offsets[0], -1), 1))
	})
	var end int64
	for _, name := range order {
		e := entries[name]
		if need := int64(want[name].ByteSize()); e.Offsets[0] != end || e.Offsets[1]-end != need {
			return nil, errors.Errorf("tensor %s is at bytes %d to %d; need %d to %d", name, e.Offsets[0], e.Offsets[1], end, end+need)
		}
		end = e.Offsets[1]
	}
	if end != size {
		return nil, errors.Errorf("%d bytes of values; the header tells of %d: truncated?", size, end)
	}
	return order, nil
}
