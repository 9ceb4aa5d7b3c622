package likelihood

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/pkg/errors"
)

// Data are the images whose likelihood is asked for.
type Data struct {
	N, Dim, Channels int
	Pixels           []uint8 // [N, Dim] levels, pixel by pixel, channels last
	Labels           []int32 // [N] labels the network is given
	IDs              []int   // [N] names of the images, of which their noise is a function; nil: 0 .. N-1
}

// Validate reports sizes that do not fit.
func (d *Data) Validate() error {
	switch {
	case d.N < 1 || d.Dim < 1 || d.Channels < 1 || d.Dim%d.Channels != 0:
		return errors.Errorf("likelihood: %d images of %d values in %d channels; need at least one image of whole pixels", d.N, d.Dim, d.Channels)
	case len(d.Pixels) != d.N*d.Dim || len(d.Labels) != d.N:
		return errors.Errorf("likelihood: %d levels and %d labels; %d images of %d values need %d and %d",
			len(d.Pixels), len(d.Labels), d.N, d.Dim, d.N*d.Dim, d.N)
	case d.IDs != nil && len(d.IDs) != d.N:
		return errors.Errorf("likelihood: %d IDs for %d images; give one each, or none", len(d.IDs), d.N)
	}
	return nil
}

func (d *Data) id(i int) int {
	if d.IDs == nil {
		return i
	}
	return d.IDs[i]
}

func (d *Data) image(i int) []uint8 { return d.Pixels[i*d.Dim : (i+1)*d.Dim] }

// generator returns the random numbers that belong to an image and a timestep (or draw); purpose, of at most 8 bytes,
// keeps those of different uses apart.
func generator(seed uint64, id, t int, purpose string) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(id))
	binary.LittleEndian.PutUint64(key[16:], uint64(t))
	copy(key[24:], purpose)
	return rand.New(rand.NewChaCha8(key))
}
