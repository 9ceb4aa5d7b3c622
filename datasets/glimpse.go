package datasets

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// glimpse is what is kept of every picture of a set that can be read, in the set's order: enough to find it in another set.
type glimpse struct {
	pixels uint64 // see hashOf
	label  int32
	split  split
}

// glimpseBytes is how many bytes a glimpse takes in a file.
const glimpseBytes = 8 + 4 + 1

// hashOf is a hash of an image: the first eight bytes of a SHA-256. Among 10 million images the chance that two have the same one is a
// few in a million. A grey image has the hash of the same in colour, which programs make of it as they save it.
func hashOf(pixels []uint8, h, w, c int) uint64 {
	if c == 3 && allGrey(pixels) {
		grey := make([]uint8, len(pixels)/3)
		for i := range grey {
			grey[i] = pixels[3*i]
		}
		pixels, c = grey, 1
	}
	d := sha256.New()
	d.Write(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32([]byte{byte(c)}, uint32(h)), uint32(w)))
	d.Write(pixels)
	return binary.LittleEndian.Uint64(d.Sum(nil))
}

// allGrey says whether all pixels of three channels are grey.
func allGrey(pixels []uint8) bool {
	for i := 0; i+2 < len(pixels); i += 3 {
		if pixels[i] != pixels[i+1] || pixels[i] != pixels[i+2] {
			return false
		}
	}
	return true
}

// glimpsesFile is the file of a set's glimpses, next to that of its scan.
func glimpsesFile(scan string) string { return strings.TrimSuffix(scan, ".json") + ".seen" }

// keepGlimpses writes the glimpses of a set.
func keepGlimpses(file string, seen []glimpse) error {
	return cacheError(atomicfile.Write(file, formGlimpses(seen)))
}

// formGlimpses is the content of a file of glimpses: one after the other, hash, label and split, and a SHA-256 of all at the end.
func formGlimpses(seen []glimpse) []byte {
	b := make([]byte, 0, len(seen)*glimpseBytes+sha256.Size)
	for _, g := range seen {
		b = binary.LittleEndian.AppendUint64(b, g.pixels)
		b = append(binary.LittleEndian.AppendUint32(b, uint32(g.label)), byte(g.split))
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// parseGlimpses reads what formGlimpses wrote.
func parseGlimpses(b []byte) ([]glimpse, error) {
	n := len(b) - sha256.Size
	if n < 0 || n%glimpseBytes != 0 {
		return nil, errors.Errorf("%d bytes are no glimpses", len(b))
	}
	if sum := sha256.Sum256(b[:n]); !bytes.Equal(sum[:], b[n:]) {
		return nil, errors.New("glimpses are damaged")
	}
	seen := make([]glimpse, 0, n/glimpseBytes)
	for g := range slices.Chunk(b[:n], glimpseBytes) {
		seen = append(seen, glimpse{binary.LittleEndian.Uint64(g), int32(binary.LittleEndian.Uint32(g[8:])), split(g[12])})
	}
	return seen, nil
}

// glimpsesFrom reads the glimpses in a file of the cache, or makes and keeps them where it is not there or damaged.
func glimpsesFrom(file string, make func() ([]glimpse, error)) ([]glimpse, error) {
	if b, err := atomicfile.Read(file, 1<<36); err == nil {
		if seen, err := parseGlimpses(b); err == nil {
			return seen, nil
		}
	}
	seen, err := make()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, cacheError(err)
	}
	return seen, keepGlimpses(file, seen)
}

// seen are the glimpses of a user's own set, with the splits that it has or is given.
func (s *ownSet) seen() ([]glimpse, error) {
	seen, err := glimpsesFrom(s.glimpses, func() ([]glimpse, error) {
		_, seen, err := scanAll(s.reader, s.place)
		return seen, err
	})
	if err != nil {
		return nil, err
	}
	splits, err := splitsOf(seen, s.How)
	for i := range splits {
		seen[i].split = splits[i]
	}
	return seen, err
}

// splitsOf are the splits of a set's pictures, those that [stratified] gives where the set has none.
func splitsOf(seen []glimpse, how choices) ([]split, error) {
	splits, labels, none := make([]split, len(seen)), make([]int32, len(seen)), false
	for i, g := range seen {
		splits[i], labels[i], none = g.split, g.label, none || g.split == noSplit
	}
	if !none {
		return splits, nil
	}
	return stratified(labels, how)
}

// seen are the glimpses of a set of the catalogue, training images first, or none where the set is not on this machine.
func (s *spec) seen() ([]glimpse, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	if !s.embedded && !s.allThere(filepath.Join(dir, s.name)) {
		return nil, nil
	}
	cache, err := preparedDir()
	if err != nil {
		return nil, err
	}
	return glimpsesFrom(filepath.Join(cache, "catalogue-"+s.hash()[:32]+".seen"), func() (seen []glimpse, err error) {
		d, err := Load(s.name)
		if err != nil {
			return nil, err
		}
		for of, im := range map[split]*Images{inTrain: d.Train, inTest: d.Test} {
			for i := range im.N {
				seen = append(seen, glimpse{hashOf(im.Image(i), im.H, im.W, im.C), im.Labels[i], of})
			}
		}
		slices.SortStableFunc(seen, func(a, b glimpse) int { return int(a.split) - int(b.split) })
		return seen, nil
	})
}

// namesAt are the names of the pictures that have these places among a set's glimpses.
func namesAt(r reader, broken []Broken, places ...int) (map[int]string, error) {
	cannot, names, at := map[string]bool{}, map[int]string{}, 0
	for _, b := range broken {
		cannot[b.File] = true
	}
	enough := errors.New("")
	err := r.each(func(p picture) error {
		if cannot[p.name] {
			return nil
		}
		if slices.Contains(places, at) {
			names[at] = p.name
		}
		if at++; at > slices.Max(places) {
			return enough
		}
		return nil
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return names, err
}

// nameAt is what the picture at this place among the glimpses of a set of the catalogue is called.
func (s *spec) nameAt(i int) string {
	if i < s.train {
		return s.name + "'s training image " + strconv.Itoa(i)
	}
	return s.name + "'s test image " + strconv.Itoa(i-s.train)
}
