package safetensors

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// WriteFile writes the tensors to path as [Write] does; the file is there whole or as it was before.
func WriteFile(path string, metadata map[string]string, all []Tensor) error {
	return atomicfile.WriteFrom(path, func(out io.Writer) error {
		w := bufio.NewWriterSize(out, 1<<20)
		if err := Write(w, metadata, all); err != nil {
			return err
		}
		return w.Flush()
	})
}

// Write writes the tensors, of the types that the package knows and of different names, in the given order. Equal arguments give equal
// bytes. Nil metadata is left out; PyTorch's reader wants "format" to be "pt".
func Write(w io.Writer, metadata map[string]string, all []Tensor) error {
	header := make(map[string]any, len(all)+1)
	if metadata != nil {
		header[metadataKey] = metadata
	}
	var end int64
	for _, t := range all {
		shape, err := t.shape()
		if err != nil {
			return errors.WithMessagef(err, "safetensors: tensor %s", t.Name)
		}
		dtype, ok := dtypeNames[shape.DType]
		if !ok {
			return errors.Errorf("safetensors: tensor %s is %s; only "+knownTypes+" can be written", t.Name, shape)
		}
		if _, ok := header[t.Name]; ok || t.Name == metadataKey {
			return errors.Errorf("safetensors: a second tensor %s, or a reserved name; give it another", t.Name)
		}
		start := end
		end += shape.ByteSize()
		header[t.Name] = entry{dtype, append([]int{}, shape.Dimensions...), [2]int64{start, end}} // a scalar's shape is [], not null
	}
	text, err := json.Marshal(header) // sorts the keys
	if err != nil {
		return errors.Wrap(err, "safetensors")
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text)))); err != nil {
		return errors.Wrap(err, "safetensors: header")
	}
	if _, err := w.Write(text); err != nil {
		return errors.Wrap(err, "safetensors: header")
	}
	for _, t := range all {
		if shape, _ := t.shape(); shape.ByteSize() == 0 {
			continue
		}
		var writeErr error
		if err := t.Value.ConstBytes(func(data []byte) { writeErr = t.write(w, data) }); err != nil {
			return errors.WithMessagef(err, "safetensors: tensor %s", t.Name)
		}
		if writeErr != nil {
			return errors.Wrapf(writeErr, "safetensors: tensor %s", t.Name)
		}
	}
	return nil
}
