package datasets

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/words"
)

// scanVersion changes whenever the content of scans changes, or the way they are made.
const scanVersion = 6

// scan is what is known about a set after all of it was read once. It is kept in the cache, so the next start need not read the set.
type scan struct {
	Version int
	Format  string
	// Hash is the SHA-256 of the set's content, see [ownSet.scan].
	Hash    string
	Classes []string
	// Counts are numbers of pictures by split and class.
	Counts [inTest + 1][]int
	// Smallest and Largest are the pictures with the fewest and the most pixels; among equal ones, the lowest and the highest. First is the
	// first picture.
	Smallest, Largest, First scanned
	// SizesDiffer says whether there are two sizes.
	SizesDiffer bool
	// Grey and Colour are the first picture of either kind; Greys and Colours how many there are.
	Grey, Colour   *scanned
	Greys, Colours int
	Broken         []Broken
	// Shared is how many of the images that are measured on have the pixels of a training image; SharedOne is the first of them and
	// SharedWith the first such training image.
	Shared                int
	SharedOne, SharedWith string
	// Deeper is how many pictures lie in folders within their class's folder, FirstDeeper the first of them.
	Deeper      int
	FirstDeeper string
}

// scanned is one picture.
type scanned struct {
	Name    string
	H, W, C int
}

// Broken is a picture that cannot be read.
type Broken struct {
	File string `json:"file"` // or place in one
	Why  string `json:"why"`
}

// n is the number of pictures.
func (s *scan) n() (n int) {
	for _, counts := range s.Counts {
		for _, c := range counts {
			n += c
		}
	}
	return n
}

// count is the number of pictures of a split.
func (s *scan) count(of split) (n int) {
	for _, c := range s.Counts[of] {
		n += c
	}
	return n
}

// measuredOn is the split that is measured on: of many sets the test labels are secret, and all measure on val.
func (s *scan) measuredOn() split {
	if s.count(inTest) == 0 {
		return inVal
	}
	return inTest
}

// ownSet is a set of a user's own that has been opened.
type ownSet struct {
	place
	reader reader
	scan   *scan
	// glimpses is the file in the cache that keeps those of its pictures, see [keepGlimpses].
	glimpses string
	opened   time.Time
}

// lately are the sets that were opened, and when. Listing the files of a set of millions of pictures takes seconds, and one start of
// the program opens it several times: to check the settings, to plan the work, and to do it.
var lately struct {
	sync.Mutex
	sets map[place]*ownSet
}

// A set whose files took longer than slowList to list is remembered for the time howLately.
const slowList, howLately = 500 * time.Millisecond, 20 * time.Second

// openOwn opens a set and reads it, or what is known of it from before, if none of its files has changed.
func openOwn(p place) (*ownSet, error) {
	lately.Lock()
	defer lately.Unlock()
	if s := lately.sets[p]; s != nil && time.Since(s.opened) < howLately {
		return s, nil
	}
	began := time.Now()
	s, err := openAnew(p)
	if err != nil && p.How.Label == "" { // which the set may not have
		err = Unfit{err}
	}
	if err == nil {
		err = s.needsSplit()
	}
	if err == nil && time.Since(began) > slowList {
		s.opened = time.Now()
		if lately.sets == nil {
			lately.sets = map[place]*ownSet{}
		}
		lately.sets[p] = s
	}
	return s, oneline.Error(err) // names of files may hold anything
}

// needsSplit returns an error if a split was chosen for a set that has its own.
func (s *ownSet) needsSplit() error {
	how := choices{Test: s.How.Test, Seed: s.How.Seed}
	if how == (choices{}) || s.scan.n() == 0 || s.scan.count(noSplit) > 0 {
		return nil
	}
	return errors.Errorf("%s%s: the set has test images of its own, so that none are chosen; leave %s out", s.Path, s.How, strings.TrimPrefix(how.String(), "#"))
}

// openAnew is openOwn of a set that has not been opened lately.
func openAnew(p place) (*ownSet, error) {
	format, files, err := recognise(p.Path)
	if err != nil {
		return nil, err
	}
	s := &ownSet{place: p}
	if s.reader, err = format.open(p.Path, files, p.How); err != nil {
		return nil, err
	}
	print, err := fingerprint(p, files)
	if err != nil {
		return nil, err
	}
	cache, err := preparedDir()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(cache, "scan-"+print+".json")
	s.glimpses = glimpsesFile(file)
	if b, err := atomicfile.Read(file, 1<<30); err == nil {
		known := new(scan)
		if json.Unmarshal(b, known) == nil && known.Version == scanVersion && slices.Equal(known.Classes, s.reader.classes()) {
			s.scan = known
			return s, nil
		}
	}
	var seen []glimpse
	if s.scan, seen, err = scanAll(s.reader, p); err != nil {
		return nil, err
	}
	s.scan.Format = format.name
	b, err := json.Marshal(s.scan)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, cacheError(err)
	}
	if err := keepGlimpses(s.glimpses, seen); err != nil {
		return nil, err
	}
	return s, cacheError(atomicfile.Write(file, b))
}

// fingerprint tells whether files are as they were when they were read: by their names, sizes, times and who may read them.
func fingerprint(p place, files []string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%d %q %q\n", scanVersion, p.Path, p.How)
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil { // a dead link; reading it will say so
			fmt.Fprintf(h, "%q\n", file)
			continue
		}
		fmt.Fprintf(h, "%q %d %d %v\n", file, info.Size(), info.ModTime().UnixNano(), info.Mode())
	}
	return hex.EncodeToString(h.Sum(nil))[:32], nil
}

// scanAll reads and decodes all pictures, so that those that cannot be read are known from then on. The hash of the set is the SHA-256
// of the line "palimpsest set 1", of the classes' names, a line each, and of a line for each picture in the reader's order: its split, its
// label, and a SHA-256 of its bytes. These are the bytes of its file; where the set holds pixels instead of files, they are its height,
// width and channels, followed by its pixels.
func scanAll(r reader, of place) (*scan, []glimpse, error) {
	type look struct {
		info   pictureInfo
		sum    [sha256.Size]byte
		pixels uint64
		err    error
	}
	name := of.Name
	s := &scan{Version: scanVersion, Classes: r.classes()}
	if len(s.Classes) > MaxClasses {
		return nil, nil, errors.Errorf("%s has %d classes; need %d at most", name, len(s.Classes), MaxClasses)
	}
	for _, class := range s.Classes {
		if !isClassName(class) {
			return nil, nil, errors.Errorf("%s has a class of the name %.100q, which no table can show; give it a name of one line in UTF-8, without control characters", of.Path, class)
		}
	}
	for i := range s.Counts {
		s.Counts[i] = make([]int, len(s.Classes))
	}
	h := sha256.New()
	fmt.Fprintln(h, "palimpsest set 1")
	for _, class := range s.Classes {
		fmt.Fprintf(h, "%q\n", class)
	}
	var seen []glimpse
	err := ordered(r, name+": reading", func() func(picture) look {
		return func(p picture) (l look) {
			if p.data == nil {
				l.info = pictureInfo{h: p.h, w: p.w, c: p.c, orientation: 1}
				d := sha256.New()
				fmt.Fprintf(d, "%d %d %d\n", p.h, p.w, p.c)
				d.Write(p.pixels)
				d.Sum(l.sum[:0])
				l.pixels = hashOf(p.pixels, p.h, p.w, p.c)
				return l
			}
			b, err := p.data()
			if err != nil {
				l.err = err
				return l
			}
			l.sum = sha256.Sum256(b)
			pixels, info, err := decodeBytes(b)
			if l.info, l.err = info, err; err == nil {
				l.pixels = hashOf(pixels, info.h, info.w, info.c)
			}
			return l
		}
	}, func(p picture, l look) error {
		fmt.Fprintf(h, "%s %d %x\n", p.split, p.label, l.sum)
		if l.err != nil {
			s.Broken = append(s.Broken, Broken{p.name, l.err.Error()})
			return nil
		}
		s.add(scanned{p.name, l.info.h, l.info.w, l.info.c})
		s.Counts[p.split][p.label]++
		seen = append(seen, glimpse{l.pixels, p.label, p.split})
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if deep, ok := r.(*folderReader); ok {
		s.Deeper, s.FirstDeeper = deep.deeper, deep.firstDeeper
	}
	if err := s.share(r, seen, of.How); err != nil {
		return nil, nil, err
	}
	s.Hash = hex.EncodeToString(h.Sum(nil))
	return s, seen, nil
}

// share counts the images that are measured on and that are training images as well, pixel by pixel.
func (s *scan) share(r reader, seen []glimpse, how choices) error {
	splits, err := splitsOf(seen, how)
	if err != nil {
		return err
	}
	learned := map[uint64]int{} // by their first
	for i, g := range seen {
		if _, before := learned[g.pixels]; splits[i] == inTrain && !before {
			learned[g.pixels] = i
		}
	}
	measured := inTest
	if s.count(noSplit) == 0 {
		measured = s.measuredOn()
	}
	var pair [2]int
	for i, g := range seen {
		if at, found := learned[g.pixels]; found && splits[i] == measured {
			if s.Shared++; s.Shared == 1 {
				pair = [2]int{i, at}
			}
		}
	}
	if s.Shared == 0 {
		return nil
	}
	named, err := namesAt(r, s.Broken, pair[0], pair[1])
	s.SharedOne, s.SharedWith = named[pair[0]], named[pair[1]]
	return err
}

// add takes a picture into account.
func (s *scan) add(p scanned) {
	if s.First.Name == "" {
		s.First, s.Smallest, s.Largest = p, p, p
	}
	s.SizesDiffer = s.SizesDiffer || p.H != s.First.H || p.W != s.First.W
	order := func(a, b scanned) int { return cmp.Or(a.H*a.W-b.H*b.W, a.H-b.H) } // of two that lie otherwise, the wide one is the smaller
	if order(p, s.Smallest) < 0 {
		s.Smallest = p
	}
	if order(p, s.Largest) > 0 {
		s.Largest = p
	}
	first, count := &s.Colour, &s.Colours
	if p.C == 1 {
		first, count = &s.Grey, &s.Greys
	}
	if *first == nil {
		*first = &p
	}
	*count++
}

// inSet is the path of a picture of the set in path by its name, which begins with that of the file where the set is one.
func inSet(path, name string) string {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		path = filepath.Dir(path)
	}
	return filepath.Join(path, name)
}

// brokenError is the one line that says which pictures cannot be read, an [Unfit].
func brokenError(path string, broken []Broken) error {
	first := oneline.Text(fmt.Sprintf("%s %s", inSet(path, broken[0].File), broken[0].Why))
	if len(broken) == 1 {
		return Unfit{errors.Errorf("%s; or go on without it: --skip-broken (benchmark.prep.skip_broken=true)", first)}
	}
	var others []string
	for _, b := range broken[1:] {
		others = append(others, oneline.Text(b.File))
	}
	return Unfit{errors.Errorf("%s; with it %d pictures cannot be read, %s too; go on without them: --skip-broken (benchmark.prep.skip_broken=true)", first, len(broken), words.Some(others, mostTold))}
}

// refusals are all reasons why the set's images cannot be prepared by p.
func (s *ownSet) refusals(p Prep) (all []error) {
	k := s.scan
	if len(k.Broken) > 0 && !p.SkipBroken {
		all = append(all, brokenError(s.Path, k.Broken))
	}
	if k.n() == 0 {
		return append(all, Unfit{errors.Errorf("%s holds no picture that can be read", s.Path)})
	}
	if k.SizesDiffer && p.normal().Method == "none" {
		all = append(all, errors.Errorf("pictures of %s differ in size: %s has %d×%d pixels, %s %d×%d; set benchmark.prep.method to \"crop\", \"stretch\" or \"pad\", which give all one size",
			s.Path, k.Smallest.Name, k.Smallest.W, k.Smallest.H, k.Largest.Name, k.Largest.W, k.Largest.H))
	}
	if k.Greys > 0 && k.Colours > 0 && p.Channels == 0 {
		all = append(all, errors.Errorf("of the pictures of %s %d are grey (%s) and %d in colour (%s); set benchmark.prep.channels to 1, which makes all grey, or to 3, which makes all coloured",
			s.Path, k.Greys, k.Grey.Name, k.Colours, k.Colour.Name))
	}
	return all
}

// shape is the size of the set's images once they are prepared, or the first reason why they cannot be.
func (s *ownSet) shape(p Prep) (h, w, c int, err error) {
	if refused := s.refusals(p); len(refused) > 0 {
		return 0, 0, 0, refused[0]
	}
	k := s.scan
	c = k.First.C
	if k.Greys > 0 && k.Colours > 0 {
		c = 3
	}
	return p.Shape(k.First.H, k.First.W, c)
}
