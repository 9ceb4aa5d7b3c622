package likelihood

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
)

// storedFormat is the version that a file's metadata names.
const storedFormat = "palimpsest-likelihood-1"

// maxHeader is the longest header that is believed.
const maxHeader = 1 << 20

// storedTensor is one entry of the header. (Package safetensors reads tensors whose shapes are known beforehand; here
// the file itself tells how many images and timesteps it has.)
type storedTensor struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// part is one array of the file, in the file's order.
type part struct {
	name, dtype string
	shape       []int
	values      any // *[]float32 or *[]int32
}

func (b *Terms) parts() []part {
	k := len(b.Timesteps)
	return []part{
		{"timesteps", "I32", []int{k}, &b.Timesteps},
		{"log_snr", "F32", []int{k}, &b.LogSNR},
		{"term_bpd", "F32", []int{b.N, k}, &b.TermBPD},
		{"mse_image", "F32", []int{b.N, k}, &b.MSEImage},
		{"prior_bpd", "F32", []int{b.N}, &b.PriorBPD},
		{"labels", "I32", []int{b.N}, &b.Labels},
	}
}

// header is the JSON of the file for terms of this size.
func (b *Terms) header() ([]byte, int64, error) {
	info, err := json.Marshal(b.Info)
	if err != nil {
		return nil, 0, errors.WithStack(err)
	}
	entries := map[string]any{"__metadata__": map[string]string{"format": storedFormat, "info": string(info)}}
	var end int64
	for _, p := range b.parts() {
		start := end
		size := int64(4)
		for _, n := range p.shape {
			size *= int64(n)
		}
		end += size
		entries[p.name] = storedTensor{p.dtype, p.shape, [2]int64{start, end}}
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return nil, 0, errors.WithStack(err)
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	return text, end, nil
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
	text, size, err := b.header()
	if err != nil {
		return nil, err
	}
	data := make([]byte, 0, 8+len(text)+int(size))
	data = binary.LittleEndian.AppendUint64(data, uint64(len(text)))
	data = append(data, text...)
	for _, p := range b.parts() {
		switch values := p.values.(type) {
		case *[]float32:
			data, err = binary.Append(data, binary.LittleEndian, *values)
		case *[]int32:
			data, err = binary.Append(data, binary.LittleEndian, *values)
		}
		if err != nil {
			return nil, errors.WithStack(err)
		}
	}
	return data, nil
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
	if len(data) < 8 {
		return nil, errors.Errorf("%d bytes hold no stored terms", len(data))
	}
	length := binary.LittleEndian.Uint64(data)
	if length > maxHeader || int(length) > len(data)-8 {
		return nil, errors.Errorf("a header of %d bytes in a file of %d: truncated, or no stored terms", length, len(data))
	}
	text := data[8 : 8+length]
	var header struct {
		Metadata  map[string]string `json:"__metadata__"`
		Timesteps storedTensor      `json:"timesteps"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return nil, errors.Wrap(err, "header")
	}
	if f := header.Metadata["format"]; f != storedFormat {
		return nil, errors.Errorf("format %q; need %q: compute the terms anew", f, storedFormat)
	}
	b = &Terms{}
	info := json.NewDecoder(bytes.NewReader([]byte(header.Metadata["info"])))
	info.DisallowUnknownFields()
	if err := info.Decode(&b.Info); err != nil {
		return nil, errors.Wrap(err, "info")
	}
	if len(header.Timesteps.Shape) != 1 || header.Timesteps.Shape[0] < 1 || header.Timesteps.Shape[0] > b.T || b.N < 1 || b.N > len(data) || b.T > len(data) {
		return nil, errors.Errorf("%d images and timesteps of shape %v of %d", b.N, header.Timesteps.Shape, b.T)
	}
	// What Save would write for these sizes must be what is there, byte for byte.
	b.Timesteps = make([]int32, header.Timesteps.Shape[0])
	want, size, err := b.header()
	if err != nil {
		return nil, err
	}
	rest := data[8+length:]
	if !bytes.Equal(want, text) || int64(len(rest)) != size {
		return nil, errors.Errorf("its header or its %d bytes of values do not fit %d images at %d timesteps, which need %d: damaged or truncated",
			len(rest), b.N, len(b.Timesteps), size)
	}
	r := bytes.NewReader(rest)
	for _, p := range b.parts() {
		n := 1
		for _, d := range p.shape {
			n *= d
		}
		var err error
		switch values := p.values.(type) {
		case *[]float32:
			*values = make([]float32, n)
			err = binary.Read(r, binary.LittleEndian, *values)
		case *[]int32:
			*values = make([]int32, n)
			err = binary.Read(r, binary.LittleEndian, *values)
		}
		if err != nil && err != io.EOF {
			return nil, errors.Wrapf(err, "array %s", p.name)
		}
	}
	return b, b.consistent()
}
