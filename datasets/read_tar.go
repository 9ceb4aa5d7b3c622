package datasets

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
)

// tarReading reads shards of WebDataset: .tar files, plain or compressed by gzip, in which the members of one sample follow one another and share their name up to
// the first dot, one of them a picture, another its class: .cls, a number (as 2 or 2.0) or a name, or .json with the key label (or cls, or
// the one chosen by #label=NAME). Shards say their split by their name, or else all members do by the folder that they are in, as train/1.jpg.
var tarReading = reading{
	name: ".tar or .tar.gz shards of WebDataset (1.jpg and 1.cls or 1.json)",
	files: func(path string, folder bool) ([]string, bool, error) {
		return filesEnding(path, folder, true, ".tar", ".tar.gz", ".tgz")
	},
	open: openTar,
}

// tarReader is an opened set of shards.
type tarReader struct {
	names  []string
	shards []shard
}

// shard is one file, and the splits and classes of its samples in their order.
type shard struct {
	file   string
	name   string // within the set
	splits []split
	labels []int32
}

func openTar(root string, files []string, how choices) (reader, error) {
	if err := allShards(root, files); err != nil {
		return nil, err
	}
	splits, err := splitsOfFiles(root, files)
	if err != nil {
		return nil, err
	}
	texts, folders := make([][]string, len(files)), make([][]split, len(files)) // classes as they are written
	class := map[string]int32{}
	for i, file := range files {
		if texts[i], folders[i], err = tarLabels(func() (io.ReadCloser, error) { return openShard(file) }, how.Label); err != nil {
			return nil, errors.WithMessage(err, file)
		}
		for _, text := range texts[i] {
			class[text] = 0
		}
	}
	t := &tarReader{names: classesByName(slices.Collect(maps.Keys(class)))}
	if len(t.names) > MaxClasses {
		return nil, errors.Errorf("%s has %d classes; need %d at most", root, len(t.names), MaxClasses)
	}
	for i, name := range t.names {
		class[name] = int32(i)
	}
	said := slices.Concat(folders...)
	byFolder := splits[0] == noSplit && !slices.Contains(said, noSplit) && slices.Contains(said, inTrain) && (slices.Contains(said, inTest) || slices.Contains(said, inVal))
	for i, file := range files {
		s := shard{file: file, name: nameIn(root, file), splits: slices.Repeat(splits[i:i+1], len(texts[i]))}
		if byFolder {
			s.splits = folders[i]
		}
		for _, text := range texts[i] {
			s.labels = append(s.labels, class[text])
		}
		t.shards = append(t.shards, s)
	}
	return t, nil
}

// openShard opens a file, which it decompresses where its name says that it is compressed.
func openShard(file string) (io.ReadCloser, error) {
	f, err := atomicfile.Open(file)
	if err != nil || strings.HasSuffix(strings.ToLower(file), ".tar") {
		return f, err
	}
	return unzipped(f)
}

// unzipped is what a .gz file holds. It is not to be sought in.
func unzipped(f io.ReadCloser) (io.ReadCloser, error) {
	z, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<16))
	if err != nil {
		_ = f.Close()
		return nil, errors.Errorf("is no sound .gz file (%s); replace it", reasonOf(err))
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// sampleOf splits the name of a member in two: the key, which all members of a sample have in common, and the member's own ending.
func sampleOf(name string) (key, ending string) {
	dir, base := path.Split(name)
	base, ending, _ = strings.Cut(base, ".")
	return dir + base, strings.ToLower(ending)
}

// tarEnd is the size of the end mark of a .tar file, two blocks of zeros. archive/tar takes a file without
// one for a complete file.
const tarEnd = 2 * 512

// zeroCounter counts the zeros at the end of all that was read so far.
type zeroCounter struct {
	r io.Reader
	n int
}

func (z *zeroCounter) Read(p []byte) (int, error) {
	n, err := z.r.Read(p)
	kept := bytes.TrimRight(p[:n], "\x00")
	if len(kept) > 0 {
		z.n = 0
	}
	z.n += n - len(kept)
	return n, err
}

// Seek lets archive/tar skip members that are not read.
func (z *zeroCounter) Seek(offset int64, whence int) (int64, error) {
	s, ok := z.r.(io.Seeker)
	if !ok {
		return 0, errors.New("cannot seek")
	}
	z.n = -1 // archive/tar seeks to the last byte of a member and reads that byte, which does not count
	return s.Seek(offset, whence)
}

// eachSample reads a shard and calls do with the name and the members of each sample, by ending. wanted says which members are read.
func eachSample(r io.Reader, wanted func(ending string) bool, do func(key string, members map[string][]byte) error) error {
	zeros := &zeroCounter{r: r}
	archive := tar.NewReader(zeros)
	key, members := "", map[string][]byte{}
	flush := func() error {
		if key == "" {
			return nil
		}
		return do(key, members)
	}
	_, seeks := r.(io.Seeker)
	for {
		if !seeks { // archive/tar would read the rest of the member as it looks for the next
			if _, err := io.Copy(io.Discard, archive); err != nil {
				return errors.Errorf("is cut off or damaged (%s); replace it", reasonOf(err))
			}
		}
		zeros.n = 0 // zeros within a member do not count
		header, err := archive.Next()
		if err == io.EOF {
			if err := flush(); err != nil {
				return err
			}
			if zeros.n < tarEnd {
				return errors.New("has no end mark (two blocks of zeros), so that samples may be missing; is it cut off? write it anew, or bring it again")
			}
			if seeks {
				return nil
			}
			if _, err := io.Copy(io.Discard, r); err != nil { // the checksum comes last
				return errors.Errorf("is cut off or damaged (%s); replace it", reasonOf(err))
			}
			return nil
		}
		if err != nil {
			return errors.Errorf("is a damaged .tar file (%s); replace it", reasonOf(err))
		}
		if header.Typeflag != tar.TypeReg || isHidden(path.Base(header.Name)) {
			continue
		}
		own, ending := sampleOf(header.Name)
		if own != key {
			if err := flush(); err != nil {
				return err
			}
			key, members = own, map[string][]byte{}
		}
		if _, twice := members[ending]; twice {
			return errors.Errorf("holds %s twice; remove one", header.Name)
		}
		members[ending] = nil
		if !wanted(ending) {
			continue
		}
		if header.Size > maxPictureBytes {
			return errors.Errorf("holds %s of %d MB; need %d at most", header.Name, header.Size>>20, maxPictureBytes>>20)
		}
		var b bytes.Buffer // it grows as bytes are read, whatever size the header states
		if _, err := io.Copy(&b, archive); err != nil {
			return errors.Errorf("is cut off within %s (%s); replace it", header.Name, reasonOf(err))
		}
		members[ending] = b.Bytes()
	}
}

// pictureOf is the ending of the picture of a sample.
func pictureOf(key string, members map[string][]byte) (string, error) {
	found := ""
	for ending := range members {
		if isPicture("." + ending) {
			if found != "" {
				return "", errors.Errorf("holds two pictures of one sample, %s.%s and %s.%s; need one", key, min(found, ending), key, max(found, ending))
			}
			found = ending
		}
	}
	if found == "" {
		return "", incomplete{errors.Errorf("holds no picture of the sample %s; need %s.jpg, .png or another", key, key), key, members}
	}
	return found, nil
}

// incomplete is the error of a sample of which the members that follow one another lack the picture or the class.
type incomplete struct {
	error
	key     string
	members map[string][]byte
}

// scattered looks through the whole shard for the rest of an incomplete sample. If it is there, the returned error says that the
// sample's files are apart; if not, the error stays as it is.
func (i incomplete) scattered(open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return i
	}
	defer r.Close()
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if err != nil {
			return i
		}
		key, ending := sampleOf(header.Name)
		if _, near := i.members[ending]; key == i.key && !near && header.Typeflag == tar.TypeReg {
			return errors.Errorf("has the files of the sample %s apart, %s elsewhere; the files of a sample must follow one another: write it anew in the order of the names, as tar --sort=name does", key, header.Name)
		}
	}
}

// tarLabels reads the classes of the samples of a shard as they are written, and the split that the uppermost folder of each is called after.
func tarLabels(open func() (io.ReadCloser, error), chosen string) (labels []string, folders []split, err error) {
	r, err := open()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	err = eachSample(r, func(ending string) bool { return ending == "cls" || ending == "json" }, func(key string, members map[string][]byte) error {
		if _, err := pictureOf(key, members); err != nil {
			return err
		}
		text, err := labelOf(key, members, chosen)
		folder, _, _ := strings.Cut(strings.TrimPrefix(path.Dir(key), "./"), "/")
		labels, folders = append(labels, text), append(folders, splitNamed(folder))
		return err
	})
	if apart := (incomplete{}); errors.As(err, &apart) {
		err = apart.scattered(open)
	}
	if err == nil && len(labels) == 0 {
		err = errors.New("holds no sample; need pictures and their classes, as 0001.jpg and 0001.cls")
	}
	return labels, folders, oneline.Error(err) // names of members may hold anything
}

// pointed is text that is a number with a decimal point, as programs write whole numbers that they keep as floating-point ones. 1e3 may be
// a name.
var pointed = regexp.MustCompile(`^\d+\.\d*([eE][+-]?\d+)?$`)

// labelOf is the class of a sample.
func labelOf(key string, members map[string][]byte, chosen string) (string, error) {
	if cls, ok := members["cls"]; ok && chosen == "" {
		text := strings.TrimSpace(string(cls))
		if text == "" || len(text) > 200 || strings.ContainsAny(text, "\n\r") {
			return "", errors.Errorf("holds %s.cls, which says %.40q; need a number or the name of a class", key, text)
		}
		if number, err := strconv.ParseFloat(text, 64); err == nil && pointed.MatchString(text) {
			if label, err := wholeLabel(number); err == nil {
				return strconv.FormatInt(label, 10), nil
			}
		}
		return text, nil
	}
	about, ok := members["json"]
	switch {
	case !ok && chosen != "":
		return "", errors.Errorf("holds no %s.json, in which %s would be; leave #label=%s out, or add it", key, chosen, chosen)
	case !ok:
		return "", incomplete{errors.Errorf("holds no class of the sample %s; need %s.cls, or %s.json with a label", key, key, key), key, members}
	}
	var fields map[string]any
	in := json.NewDecoder(bytes.NewReader(about))
	in.UseNumber()
	if err := in.Decode(&fields); err != nil {
		return "", errors.Errorf("holds %s.json, which is no JSON object (%s)", key, reasonOf(err))
	}
	keys := []string{"label", "cls", "class"}
	if chosen != "" {
		keys = []string{chosen}
	}
	for _, k := range keys {
		switch v := fields[k].(type) {
		case json.Number:
			if _, err := strconv.ParseUint(v.String(), 10, 63); err == nil {
				return v.String(), nil
			}
			if f, err := v.Float64(); err == nil { // as 1.0
				if label, err := wholeLabel(f); err == nil && label >= 0 {
					return strconv.FormatInt(label, 10), nil
				}
			}
			return "", errors.Errorf("holds %s.json, whose %s is %s; need a whole number from 0, or a name", key, k, v)
		case string:
			if v != "" && len(v) <= 200 {
				return v, nil
			}
		}
	}
	return "", errors.Errorf("holds %s.json without a class; need one of the keys %v, a number or a name", key, keys)
}

func (t *tarReader) classes() []string { return t.names }

func (t *tarReader) total() (n int) {
	for _, s := range t.shards {
		n += len(s.labels)
	}
	return n
}

func (t *tarReader) each(yield func(picture) error) error {
	for _, s := range t.shards {
		if err := s.each(yield); err != nil {
			return errors.WithMessage(err, s.file)
		}
	}
	return nil
}

// each reads the pictures of a shard.
func (s shard) each(yield func(picture) error) error {
	f, err := openShard(s.file)
	if err != nil {
		return err
	}
	defer f.Close()
	at := 0
	return eachSample(f, func(ending string) bool { return isPicture("." + ending) }, func(key string, members map[string][]byte) error {
		ending, err := pictureOf(key, members)
		if err != nil {
			return err
		}
		if at >= len(s.labels) {
			return errors.New("has changed while it was read")
		}
		b := members[ending]
		at++
		return yield(picture{name: fmt.Sprintf("%s: %s.%s", s.name, key, ending), split: s.splits[at-1], label: s.labels[at-1],
			data: func() ([]byte, error) { return b, nil }})
	})
}
