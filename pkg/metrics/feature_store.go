package metrics

import (
	"encoding/binary"
	"math"
	"os"

	"gonum.org/v1/gonum/mat"

	"palimpsest/datasets"
	"palimpsest/pkg/kept"
)

// FeatureStore keeps on disk what an [Evaluator] computes of test and training images, which are the same for all runs of a
// study: features, labels, how near held-out images are to training images, and how likely real images are by others (the baseline of FLD). What is found there is, bit for bit, what
// would be computed. A nil store keeps nothing.
type FeatureStore struct {
	store kept.Store
	by    string
}

// featureBytes is how many bytes a store holds: some sixty times the features of 10,000 images by Inception.
const featureBytes = 4 << 30

// NewFeatureStore returns the store in the folder dir, which it makes where it can. by names all that the last digits of
// features depend on besides network and images: program, library, processor, number of cores.
func NewFeatureStore(dir, by string) *FeatureStore {
	_ = os.MkdirAll(dir, 0o755) // where it cannot be made, nothing is kept
	return &FeatureStore{kept.Store{Dir: dir, Most: featureBytes}, by}
}

// matrices returns what compute does, or did when it was last called with the same key.
func (s *FeatureStore) matrices(compute func() ([]*mat.Dense, error), key ...[]byte) ([]*mat.Dense, error) {
	if s == nil {
		return compute()
	}
	digest := kept.Digest(append([][]byte{[]byte("palimpsest features 1"), []byte(s.by)}, key...)...)
	if all, ok := decodeMatrices(s.store.Get(digest)); ok {
		return all, nil
	}
	all, err := compute()
	if err == nil {
		s.store.Put(digest, encodeMatrices(all))
	}
	return all, err
}

// imagesKey is the part of a key that stands for images; labels are not looked at.
func imagesKey(im *datasets.Images) []byte {
	key := make([]byte, 0, 32+im.N*im.ImageSize())
	for _, n := range []int{im.N, im.H, im.W, im.C} {
		key = binary.LittleEndian.AppendUint64(key, uint64(n))
	}
	for i := range im.N {
		key = append(key, im.Image(i)...)
	}
	return key
}

// encodeMatrices writes each matrix as its rows and columns, 0 for a nil one, the bytes a value takes, and its values: as
// float32 where that holds them all, as it does a network's outputs. Numbers have their little end first.
func encodeMatrices(all []*mat.Dense) []byte {
	var out []byte
	for _, m := range all {
		rows, columns := 0, 0
		if m != nil {
			rows, columns = m.Dims()
		}
		width := 4
		for i := range rows {
			for _, v := range m.RawRowView(i) {
				if float64(float32(v)) != v {
					width = 8
				}
			}
		}
		for _, n := range []int{rows, columns, width} {
			out = binary.LittleEndian.AppendUint32(out, uint32(n))
		}
		for i := range rows {
			for _, v := range m.RawRowView(i) {
				if width == 4 {
					out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(v)))
				} else {
					out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
				}
			}
		}
	}
	return out
}

// decodeMatrices reads what encodeMatrices wrote; ok is false for anything else.
func decodeMatrices(data []byte) (all []*mat.Dense, ok bool) {
	for len(data) > 0 {
		if len(data) < 12 {
			return nil, false
		}
		rows, columns, width := binary.LittleEndian.Uint32(data), binary.LittleEndian.Uint32(data[4:]), binary.LittleEndian.Uint32(data[8:])
		data = data[12:]
		n := uint64(rows) * uint64(columns)
		if width != 4 && width != 8 || n > uint64(len(data))/uint64(width) || (rows == 0) != (columns == 0) {
			return nil, false
		}
		if n == 0 {
			all = append(all, nil)
			continue
		}
		values := make([]float64, n)
		for i := range values {
			if width == 4 {
				values[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
			} else {
				values[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
			}
		}
		data = data[n*uint64(width):]
		all = append(all, mat.NewDense(int(rows), int(columns), values))
	}
	return all, len(all) > 0
}
