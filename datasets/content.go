package datasets

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"

	"github.com/pkg/errors"
)

// ContentHash is the SHA-256, in hexadecimal digits, of all that a run sees of a benchmark: equal hashes are the same
// pixels under the same labels in the same order, wherever the files came from. It does not say where they came from, as
// DataHash does, and unlike that it tells how they were prepared, split and ordered.
//
// What is hashed, in this order: the line "palimpsest benchmark 1"; Prep as JSON with its defaults filled in; H, W and C;
// the class names; the number of tasks; and of every task its name, its classes and, for Train, Val and Test in turn, N,
// the pixels and the labels, a byte each or, of images of which one has a label above 255, four. A number is 8 bytes, little end first. A text and a list are their length as a number, then
// their bytes or numbers.
func (b *Benchmark) ContentHash() (string, error) {
	// A field added to Prep needs omitempty, so that hashes from before it stay right.
	how := b.Prep.normal()
	how.SkipBroken = false // which pictures are there says it
	prep, err := json.Marshal(how)
	if err != nil {
		return "", errors.Wrap(err, "datasets: preparation")
	}
	c := content{sha256.New()}
	c.Write([]byte("palimpsest benchmark 1\n"))
	c.bytes(prep)
	c.numbers(b.H, b.W, b.C, len(b.ClassNames))
	for _, name := range b.ClassNames {
		c.bytes([]byte(name))
	}
	c.numbers(len(b.Tasks))
	for _, t := range b.Tasks {
		c.bytes([]byte(t.Name))
		c.numbers(len(t.Classes))
		c.numbers(t.Classes...)
		for _, im := range []*Images{t.Train, t.Val, t.Test} {
			c.numbers(im.N)
			c.numbers(im.N * im.ImageSize())
			for i := range im.N {
				c.Write(im.Image(i))
			}
			c.bytes(AppendLabels(nil, im.Labels))
		}
	}
	return hex.EncodeToString(c.Sum(nil)), nil
}

// content is a hash of numbers and texts that cannot run into one another.
type content struct{ hash.Hash }

func (c content) numbers(values ...int) {
	for _, v := range values {
		c.Write(binary.LittleEndian.AppendUint64(nil, uint64(v)))
	}
}

func (c content) bytes(b []byte) {
	c.numbers(len(b))
	c.Write(b)
}
