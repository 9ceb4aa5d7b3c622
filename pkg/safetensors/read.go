package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
)

// ReadFile reads the tensors of the file path as [Read] does; its errors name the file.
func ReadFile(path string, want map[string]shapes.Shape) (map[string]*tensors.Tensor, error) {
	return readFile(path, func(r io.ReaderAt, size int64) (map[string]*tensors.Tensor, error) { return Read(r, size, want) })
}

// ReadFileAll reads the tensors of the file path as [ReadAll] does; its errors name the file.
func ReadFileAll(path string) (map[string]*tensors.Tensor, error) {
	return readFile(path, func(r io.ReaderAt, size int64) (map[string]*tensors.Tensor, error) {
		values, _, err := ReadAll(r, size)
		return values, err
	})
}

// ReadFilePart reads those tensors of the file path whose names begin with prefix, without which they are returned, and no
// others, of which only type and place are looked at.
func ReadFilePart(path, prefix string) (map[string]*tensors.Tensor, error) {
	return readFile(path, func(r io.ReaderAt, size int64) (map[string]*tensors.Tensor, error) {
		in := io.NewSectionReader(r, 0, size)
		entries, _, want, err := headerOfAny(in, size)
		if err != nil {
			return nil, err
		}
		start, err := in.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, errors.Wrap(err, "safetensors")
		}
		if _, err := match(entries, want, size-start); err != nil {
			return nil, errors.WithMessage(oneline.Error(err), "safetensors")
		}
		values := map[string]*tensors.Tensor{}
		for name, shape := range want {
			short, ok := strings.CutPrefix(name, prefix)
			if !ok {
				continue
			}
			if values[short], err = readValue(io.NewSectionReader(r, start+entries[name].Offsets[0], shape.ByteSize()), shape); err != nil {
				return nil, errors.WithMessagef(err, "safetensors: tensor %s", name)
			}
		}
		return values, nil
	})
}

// ReadHeader reads of the file path what it says of itself: the type of every tensor by the name it has in the format, such as
// "F32" or "BF16", whether [ReadAll] knows it or not, and the metadata.
func ReadHeader(path string) (types, metadata map[string]string, err error) {
	_, err = readFile(path, func(r io.ReaderAt, size int64) (map[string]*tensors.Tensor, error) {
		entries, m, err := readHeader(io.NewSectionReader(r, 0, size))
		if err != nil {
			return nil, errors.WithMessage(oneline.Error(err), "safetensors")
		}
		types, metadata = map[string]string{}, m
		for name, e := range entries {
			types[name] = e.DType
		}
		return nil, nil
	})
	return types, metadata, err
}

func readFile(path string, read func(r io.ReaderAt, size int64) (map[string]*tensors.Tensor, error)) (map[string]*tensors.Tensor, error) {
	file, err := atomicfile.Open(path)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, errors.WithStack(err)
	}
	values, err := read(file, info.Size())
	return values, errors.WithMessage(err, path)
}

// ReadAll is [Read] of whatever tensors of a known type the size bytes of r hold, of which nothing is known beforehand. It
// returns the metadata too.
func ReadAll(r io.ReaderAt, size int64) (map[string]*tensors.Tensor, map[string]string, error) {
	in := io.NewSectionReader(r, 0, size)
	entries, metadata, want, err := headerOfAny(in, size)
	if err != nil {
		return nil, nil, err
	}
	values, err := readValues(in, entries, want)
	return values, metadata, err
}

// headerOfAny is readHeader of a file of which nothing is known beforehand, with the shapes that it tells of.
func headerOfAny(in *io.SectionReader, size int64) (entries map[string]entry, metadata map[string]string, want map[string]shapes.Shape, err error) {
	entries, metadata, err = readHeader(in)
	if err != nil {
		return nil, nil, nil, errors.WithMessage(oneline.Error(err), "safetensors")
	}
	want = make(map[string]shapes.Shape, len(entries))
	for _, name := range slices.Sorted(maps.Keys(entries)) { // in order, so that of several faults the same is always reported
		e := entries[name]
		if want[name], err = e.shape(size); err != nil {
			return nil, nil, nil, errors.WithMessagef(oneline.Error(err), "safetensors: tensor %q", oneline.Text(name))
		}
	}
	return entries, metadata, want, nil
}

// shape is the shape that a header gives, which must fit into size bytes.
func (e entry) shape(size int64) (shapes.Shape, error) {
	for dtype, name := range dtypeNames {
		if name != e.DType {
			continue
		}
		// Products are compared before they are made, and axes of size 0 do not excuse the others.
		values := int64(dtype.Size())
		for _, d := range e.Shape {
			if d < 0 || d > 0 && values > size/int64(d) {
				return shapes.Shape{}, errors.Errorf("%s %v does not fit into a file of %d bytes", e.DType, e.Shape, size)
			}
			values *= max(int64(d), 1)
		}
		return shapes.Make(dtype, e.Shape...), nil
	}
	return shapes.Shape{}, errors.Errorf("type %q; only "+knownTypes+" can be read", e.DType)
}

// Read reads the tensors of the size bytes of r. They must have exactly the wanted names, types and shapes, in any
// order, lie without gaps and fill r; whatever else there is gives an error. Metadata is not returned. Memory is taken
// for no more values than r holds.
func Read(r io.ReaderAt, size int64, want map[string]shapes.Shape) (map[string]*tensors.Tensor, error) {
	in := io.NewSectionReader(r, 0, size)
	entries, _, err := readHeader(in)
	if err != nil {
		return nil, errors.WithMessage(oneline.Error(err), "safetensors")
	}
	return readValues(in, entries, want)
}

// readValues reads what follows the header at which in stands.
func readValues(in *io.SectionReader, entries map[string]entry, want map[string]shapes.Shape) (map[string]*tensors.Tensor, error) {
	start, err := in.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, errors.Wrap(err, "safetensors")
	}
	order, err := match(entries, want, in.Size()-start)
	if err != nil {
		return nil, errors.WithMessage(oneline.Error(err), "safetensors")
	}
	values := make(map[string]*tensors.Tensor, len(order))
	for _, name := range order {
		if values[name], err = readValue(in, want[name]); err != nil {
			return nil, errors.WithMessagef(err, "safetensors: tensor %s", name)
		}
	}
	return values, nil
}

// readValue reads the values of one tensor, at which in stands.
func readValue(in io.Reader, shape shapes.Shape) (*tensors.Tensor, error) {
	value := tensors.FromShape(shape)
	if shape.ByteSize() == 0 {
		return value, nil
	}
	var readErr error
	if err := value.MutableBytes(func(data []byte) { _, readErr = io.ReadFull(in, data) }); err != nil {
		return nil, err
	}
	return value, errors.WithStack(readErr)
}

// readHeader returns the header's entries and metadata, and leaves r where the values start.
func readHeader(r *io.SectionReader) (map[string]entry, map[string]string, error) {
	if r.Size() < 8 {
		return nil, nil, errors.Errorf("%d bytes are no safetensors file", r.Size())
	}
	var length uint64
	if err := binary.Read(r, binary.LittleEndian, &length); err != nil {
		return nil, nil, errors.Wrap(err, "header")
	}
	if length > maxHeader || int64(length) > r.Size()-8 {
		return nil, nil, errors.Errorf("a header of %d bytes in a file of %d: truncated, or no safetensors file", length, r.Size())
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, nil, errors.Wrap(err, "header")
	}
	entries, metadata, err := parseHeader(text)
	return entries, metadata, errors.WithMessage(err, "header")
}

// parseHeader reads the JSON key by key, since a map would hide a name that is there twice.
func parseHeader(text []byte) (entries map[string]entry, metadata map[string]string, err error) {
	in := json.NewDecoder(bytes.NewReader(text))
	if open, err := in.Token(); err != nil || open != json.Delim('{') {
		return nil, nil, errors.Errorf("it does not start a JSON object (%v)", err)
	}
	entries = make(map[string]entry)
	seen := make(map[string]bool)
	for in.More() {
		key, err := in.Token()
		if err != nil {
			return nil, nil, errors.WithStack(err)
		}
		name, _ := key.(string) // the decoder lets no other key pass
		if seen[name] {
			return nil, nil, errors.Errorf("%s is there twice", name)
		}
		seen[name] = true
		if name == metadataKey {
			err = in.Decode(&metadata)
		} else {
			var e entry
			err = in.Decode(&e)
			entries[name] = e
		}
		if err != nil {
			return nil, nil, errors.Wrap(err, name)
		}
	}
	if _, err := in.Token(); err != nil { // the closing brace
		return nil, nil, errors.WithStack(err)
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, nil, errors.New("more than a JSON object")
	}
	return entries, metadata, nil
}

// match compares a header with what is wanted of it, and with the size of the values in bytes, and returns the names in
// the order of their values.
func match(entries map[string]entry, want map[string]shapes.Shape, size int64) ([]string, error) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		shape := want[name]
		dtype, ok := dtypeNames[shape.DType]
		if !ok {
			return nil, errors.Errorf("tensor %s is wanted as %s; only "+knownTypes+" can be read", name, shape)
		}
		e, ok := entries[name]
		if !ok {
			return nil, errors.Errorf("no tensor %s among %d; need %s: saved with another configuration?", name, len(entries), shape)
		}
		if e.DType != dtype || !slices.Equal(e.Shape, shape.Dimensions) {
			return nil, errors.Errorf("tensor %s is %s %v; need %s %v: saved with another configuration?",
				name, e.DType, e.Shape, dtype, shape.Dimensions)
		}
		if _, err := e.shape(size); err != nil { // its size in bytes may not even be a number
			return nil, errors.WithMessagef(err, "tensor %s", name)
		}
	}
	order := slices.Sorted(maps.Keys(entries))
	for _, name := range order {
		if _, ok := want[name]; !ok {
			return nil, errors.Errorf("unknown tensor %s; need %d others: saved with another configuration?", name, len(want))
		}
	}
	slices.SortStableFunc(order, func(a, b string) int {
		x, y := entries[a].Offsets, entries[b].Offsets
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1])) // a tensor without values stands before its neighbour
	})
	var end int64
	for _, name := range order {
		e := entries[name]
		next := end + want[name].ByteSize()
		if e.Offsets != [2]int64{end, next} {
			return nil, errors.Errorf("tensor %s is at bytes %d to %d; need %d to %d", name, e.Offsets[0], e.Offsets[1], end, next)
		}
		end = next
	}
	if end != size {
		return nil, errors.Errorf("%d bytes of values; the header tells of %d: truncated?", size, end)
	}
	return order, nil
}
