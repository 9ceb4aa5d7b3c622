package datasets

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/words"
)

// ContentHash is the SHA-256, in hexadecimal digits, of everything that a run sees of a benchmark. Equal hashes mean the same
// pixels with the same labels in the same order. It differs from DataHash in two ways: it does not depend on which files the images
// came from, and it does depend on how they were prepared, split and ordered.
//
// What is hashed, in this order: the line "palimpsest benchmark 1"; Prep as JSON with its defaults filled in; H, W and C;
// the class names; the number of tasks; and for every task its name, its classes and, for Train, Val and Test in turn, N,
// the pixels and the labels. A label is one byte, or four if any label of these images is above 255. A number is 8 bytes, little end
// first. A text or a list is its length as a number, then its bytes or numbers.
//
// The images of a user's own sets are in prepared files. Their hash is stored next to these files, and is read from there, without
// reading a pixel, as long as the files and the tasks are unchanged: see [mapped].id. It returns an error unless the benchmark is valid
// ([Benchmark.Validate]) and no Val and no Test is nil.
func (b *Benchmark) ContentHash() (string, error) {
	if err := b.Validate(); err != nil {
		return "", err
	}
	for i, t := range b.Tasks {
		if t.Val == nil || t.Test == nil {
			return "", errors.Errorf("%s (%s) has no validation or no test images (nil); need both, which may be none", words.Task(i), t.Name)
		}
	}
	key, err := b.viewKey()
	if err != nil || key == "" {
		return b.hash("palimpsest benchmark 1\n", content.pixels)
	}
	file, err := b.keptHash(key)
	if err != nil {
		return "", err
	}
	if kept, err := atomicfile.Read(file, 1<<10); err == nil {
		if hash, sum, _ := strings.Cut(string(kept), " "); sum == sha256Hex([]byte(key+hash)) {
			return hash, nil
		}
	}
	hash, err := b.hash("palimpsest benchmark 1\n", content.pixels)
	if err == nil {
		_ = atomicfile.Write(file, []byte(hash+" "+sha256Hex([]byte(key+hash)))) // else the next start reads them again
	}
	return hash, err
}

// keptHash is the file in the cache that keeps the content hash of benchmarks of this key.
func (b *Benchmark) keptHash(key string) (string, error) {
	dir, err := preparedDir()
	return filepath.Join(dir, fmt.Sprintf("%.16s-%.16s.content", b.DataHash, key)), err
}

// viewKey is a hash of all that the content hash depends on, but with the names of prepared files and places in them instead of the
// pixels. It is "" if some of the images are in no prepared file.
func (b *Benchmark) viewKey() (key string, err error) {
	known := true
	key, err = b.hash("palimpsest view 1\n", func(c content, im *Images) {
		id := ""
		if im.N > 0 {
			id = storeOf(im)
			known = known && id != ""
		}
		c.bytes([]byte(id))
		rows := make([]byte, 0, 4*im.N)
		for i := range im.N {
			rows = binary.LittleEndian.AppendUint32(rows, uint32(im.row(i)))
		}
		c.bytes(rows)
	})
	if !known {
		return "", err
	}
	return key, err
}

// storeOf names the prepared file that images are in, "" if they are in none.
func storeOf(im *Images) string {
	mappedMutex.Lock()
	defer mappedMutex.Unlock()
	for _, m := range mappedFiles {
		if sameStore(m.pixels, im.Pixels) {
			return m.id
		}
	}
	return ""
}

// hash is [Benchmark.ContentHash] with the first line and the form of the pixels as parameters.
func (b *Benchmark) hash(first string, pixels func(content, *Images)) (string, error) {
	// A field added to Prep needs omitempty, so that hashes from before it stay right.
	how := b.Prep.normal()
	how.SkipBroken = false // which pictures are there says it
	prep, err := json.Marshal(how)
	if err != nil {
		return "", errors.Wrap(err, "datasets: preparation")
	}
	c := content{sha256.New()}
	c.Write([]byte(first))
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
			pixels(c, im)
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

// pixels hashes all images.
func (c content) pixels(im *Images) {
	c.numbers(im.N * im.ImageSize())
	for i := range im.N {
		c.Write(im.Image(i))
	}
}

func (c content) bytes(b []byte) {
	c.numbers(len(b))
	c.Write(b)
}
