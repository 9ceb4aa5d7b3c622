package likelihood

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/safetensors"
)

// storedFormat is the version that a file's metadata names.
const storedFormat = "palimpsest-likelihood-1"

// arrays are the tensors of the file, in its order.
func (b *Terms) arrays() []safetensors.Tensor {
	k := len(b.Timesteps)
	return []safetensors.Tensor{
		{Name: "timesteps", Value: tensors.FromFlatDataAndDimensions(b.Timesteps, k)},
		{Name: "log_snr", Value: tensors.FromFlatDataAndDimensions(b.LogSNR, k)},
		{Name: "term_bpd", Value: tensors.FromFlatDataAndDimensions(b.TermBPD, b.N, k)},
		{Name: "mse_image", Value: tensors.FromFlatDataAndDimensions(b.MSEImage, b.N, k)},
		{Name: "prior_bpd", Value: tensors.FromFlatDataAndDimensions(b.PriorBPD, b.N)},
		{Name: "labels", Value: tensors.FromFlatDataAndDimensions(b.Labels, b.N)},
	}
}

// Save writes the terms to path, whole or not at all. The file is in the safetensors format, which
// readers exist for in most languages: the header's length as 8 bytes, the header in JSON, then the arrays timesteps,
// log_snr, term_bpd, mse_image, prior_bpd and labels, all little-endian in 4 bytes a value; the header's metadata holds
// "format" and, as JSON in "info", the fields of [Info].
func (b *Terms) Save(path string) error {
	data, err := b.encode()
	if err != nil {
		return err
	}
	return errors.WithMessage(atomicfile.Write(path, data), "likelihood")
}

// encode is the content of the file.
func (b *Terms) encode() ([]byte, error) {
	if err := b.consistent(); err != nil {
		return nil, err
	}
	info, err := json.Marshal(b.Info)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	var content bytes.Buffer
	err = safetensors.Write(&content, map[string]string{"format": storedFormat, "info": string(info)}, b.arrays())
	return content.Bytes(), err
}

// consistent reports arrays whose sizes do not fit, and timesteps out of order.
func (b *Terms) consistent() error {
	k := len(b.Timesteps)
	if b.N < 1 || b.Dim < 1 || k < 1 || k > b.T || len(b.LogSNR) != k || len(b.TermBPD) != b.N*k || len(b.MSEImage) != b.N*k ||
		len(b.PriorBPD) != b.N || len(b.Labels) != b.N {
		return errors.Errorf("likelihood: %d images of %d values, %d of %d timesteps, with arrays of %d, %d, %d, %d and %d; they do not fit",
			b.N, b.Dim, k, b.T, len(b.LogSNR), len(b.TermBPD), len(b.MSEImage), len(b.PriorBPD), len(b.Labels))
	}
	for i, t := range b.Timesteps {
		if t < 0 || int(t) >= b.T || (i > 0 && t <= b.Timesteps[i-1]) {
			return errors.Errorf("likelihood: timestep %d at place %d; need ascending values in 0 .. %d", t, i, b.T-1)
		}
	}
	return nil
}

// Load reads what [Terms.Save] wrote. A file of another format or version, with other arrays, sizes or bytes left over
// is refused.
func Load(path string) (*Terms, error) {
	data, err := atomicfile.Read(path, atomicfile.Large)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	b, err := parse(data)
	return b, errors.WithMessagef(err, "likelihood: %s", path)
}

func parse(data []byte) (b *Terms, err error) {
	defer func() { err = oneline.Error(err) }()
	values, metadata, err := safetensors.ReadAll(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	if f := metadata["format"]; f != storedFormat {
		return nil, errors.Errorf("format %q; need %q: compute the terms anew", f, storedFormat)
	}
	b = &Terms{}
	info := json.NewDecoder(strings.NewReader(metadata["info"]))
	info.DisallowUnknownFields()
	if err := info.Decode(&b.Info); err != nil {
		return nil, errors.Wrap(err, "info")
	}
	err = cmp.Or(copyOf(values, "timesteps", &b.Timesteps), copyOf(values, "log_snr", &b.LogSNR), copyOf(values, "term_bpd", &b.TermBPD),
		copyOf(values, "mse_image", &b.MSEImage), copyOf(values, "prior_bpd", &b.PriorBPD), copyOf(values, "labels", &b.Labels))
	if err != nil {
		return nil, err
	}
	// What Save would write must be what is there, byte for byte.
	written, err := b.encode()
	if err == nil && !bytes.Equal(written, data) {
		err = errors.Errorf("its %d bytes are not the %d that %d images at %d timesteps are stored as: damaged", len(data), len(written), b.N, len(b.Timesteps))
	}
	return b, err
}

// copyOf puts the values of one tensor into an array.
func copyOf[T float32 | int32](values map[string]*tensors.Tensor, name string, into *[]T) error {
	value, ok := values[name]
	if !ok {
		return errors.Errorf("there is no array %s", name)
	}
	flat, err := tensors.CopyFlatData[T](value)
	*into = flat
	return errors.WithMessagef(err, "array %s", name)
}
