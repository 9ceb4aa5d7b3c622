package datasets

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/oneline"
	"palimpsest/pkg/words"
)

// part is a run of pictures of one file and split with their labels as they are stored.
type part struct {
	file   string
	split  split
	labels []int64
}

// numberedClasses makes classes of labels that are numbers without names: each number that occurs is a class with that number as its
// name, in ascending order. So labels may begin at 0 or at 1, and numbers may be missing. The result maps a stored label to its class.
func numberedClasses(parts []part) (names []string, class map[int64]int32, err error) {
	class = map[int64]int32{}
	var all []int64
	for _, p := range parts {
		for i, label := range p.labels {
			if label < 0 {
				return nil, nil, errors.Errorf("%s: image %d has the label %d; need 0 or more: leave images without a label out", p.file, i, label)
			}
			if _, known := class[label]; !known {
				if len(all) == MaxClasses {
					return nil, nil, errors.Errorf("%s: image %d has label %d, and %d others came before; need %d classes at most", p.file, i, label, len(all), MaxClasses)
				}
				class[label], all = 0, append(all, label)
			}
		}
	}
	slices.Sort(all)
	for i, label := range all {
		class[label], names = int32(i), append(names, strconv.FormatInt(label, 10))
	}
	return names, class, nil
}

// namedClasses maps stored labels to themselves where the classes have names, and returns an error for a label that has none.
func namedClasses(parts []part, names []string) (map[int64]int32, error) {
	class := map[int64]int32{}
	for i := range names {
		class[int64(i)] = int32(i)
	}
	for _, p := range parts {
		for i, label := range p.labels {
			if _, ok := class[label]; !ok {
				hidden := ""
				if label == -1 && p.split == inTest {
					hidden = "; if the labels of the test images are withheld, leave that file out: images for validation are then measured on"
				}
				return nil, errors.Errorf("%s: image %d has the label %d; need 0 to %d, for the %d names of classes%s", p.file, i, label, len(names)-1, len(names), hidden)
			}
		}
	}
	return class, nil
}

// classesByName orders the names of classes by their bytes, or, if all are whole numbers, by number.
func classesByName(names []string) []string {
	slices.Sort(names)
	if !slices.ContainsFunc(names, func(name string) bool { _, err := strconv.ParseUint(name, 10, 63); return err != nil }) {
		slices.SortFunc(names, byNumbers)
	}
	return names
}

// isClassName says whether tables can show a class of this name.
func isClassName(name string) bool {
	return name != "" && oneline.Is(name)
}

// words of a file's name, by which it says its split.
var wordsOfName = regexp.MustCompile(`[A-Za-z0-9]+`)

// nameIn is what a file of the set in root, or root itself, is called within the set.
func nameIn(root, file string) string {
	if name, err := filepath.Rel(root, file); err == nil && name != "." && filepath.IsLocal(name) {
		return name
	}
	return filepath.Base(file)
}

// splitOfFile is the split that the name of a file, or else of the folders it is in below root, says.
func splitOfFile(root, file string) split {
	parts := strings.Split(filepath.ToSlash(nameIn(root, file)), "/")
	slices.Reverse(parts)
	for _, p := range parts {
		for _, word := range wordsOfName.FindAllString(p, -1) {
			if s := splitNamed(word); s != noSplit {
				return s
			}
		}
	}
	return noSplit
}

// splitsOfFiles are the splits of all files. Either all say one, or none does.
func splitsOfFiles(root string, files []string) ([]split, error) {
	splits := make([]split, len(files))
	for i, file := range files {
		if splits[i] = splitOfFile(root, file); (splits[i] == noSplit) != (splits[0] == noSplit) {
			with, without := file, files[0]
			if splits[i] == noSplit {
				with, without = without, with
			}
			return nil, errors.Errorf("the name of %s says its split and that of %s does not; name both, for instance train-0 and test-0, or neither", with, without)
		}
	}
	if splits[0] != noSplit && !slices.Contains(splits, inTrain) {
		return nil, errors.Errorf("%s and its like say by their names that they are %s images, and none is named train; add the training images, or take the word out of the names", files[0], splits[0])
	}
	if splits[0] == inTrain && !slices.ContainsFunc(splits, func(s split) bool { return s != inTrain }) {
		splits = make([]split, len(files)) // all there is: test images come out of it
	}
	return splits, nil
}

// numberedShard is the name of one of several files that make up a set, as train-00000-of-00003.parquet.
var numberedShard = regexp.MustCompile(`^(.*-)(\d{1,9})(-of-(\d{1,9})\b.*)$`)

// allShards returns an error if the names of the files in a folder are numbered, or say how many there are, and one is missing.
func allShards(root string, files []string) error {
	type series struct{ before, after string }
	there, one := map[series]map[int]bool{}, map[series][]string{}
	var order []series
	for _, file := range files {
		name := numberedShard.FindStringSubmatch(filepath.Base(file))
		if name == nil || file == root { // a file that is named by itself is all that is asked for
			continue
		}
		of := series{filepath.Join(filepath.Dir(file), name[1]), name[3]}
		if there[of] == nil {
			there[of], one[of], order = map[int]bool{}, name, append(order, of)
		}
		number, err := strconv.Atoi(name[2])
		if err != nil {
			return errors.WithStack(err)
		}
		there[of][number] = true
	}
	for _, of := range order {
		name := one[of]
		total, err := strconv.Atoi(name[4])
		if err != nil {
			return errors.WithStack(err)
		}
		first := 0
		if there[of][total] && !there[of][0] { // they count from 1
			first = 1
		}
		var missing []string
		for i := first; i < first+total && len(missing) < 4; i++ {
			if !there[of][i] {
				missing = append(missing, of.before+fmt.Sprintf("%0*d", len(name[2]), i)+of.after)
			}
		}
		if len(missing) > 3 {
			missing[3] = "…"
		}
		if len(missing) > 0 {
			return errors.Errorf("of %d files, as their names say, some are missing: %s; add them, or, to do without, take -of-%s out of the names of the others",
				total, strings.Join(missing, ", "), name[4])
		}
	}
	return noGaps(root, files)
}

// numberedFile is the name of one of several files that are counted, as train_data_batch_3.npz or train-000002.tar.
var numberedFile = regexp.MustCompile(`^(.*\D|)(\d{1,9})((?:\.[A-Za-z]+)+)$`)

// noGaps returns an error if a number is missing between the first and the last of files whose names differ only by their number.
// Batches begin at 1.
func noGaps(root string, files []string) error {
	type series struct{ before, after string }
	there := map[series]map[int]string{} // numbers as they are written
	var order []series
	for _, file := range files {
		name := numberedFile.FindStringSubmatch(filepath.Base(file))
		if name == nil || file == root || numberedShard.MatchString(filepath.Base(file)) {
			continue
		}
		of := series{filepath.Join(filepath.Dir(file), name[1]), name[3]}
		if name[1] == "" {
			of.before = filepath.Dir(file) + string(filepath.Separator)
		}
		number, err := strconv.Atoi(name[2])
		if err != nil {
			return errors.WithStack(err)
		}
		if there[of] == nil {
			there[of], order = map[int]string{}, append(order, of)
		}
		there[of][number] = name[2]
	}
	for _, of := range order {
		numbers := slices.Sorted(maps.Keys(there[of]))
		first, last := numbers[0], numbers[len(numbers)-1]
		width := len(there[of][first])
		if strings.HasSuffix(of.before, "batch_") {
			first = min(first, 1)
		}
		var missing []string
		for i := first; i < last && len(missing) < 4; i++ {
			if _, ok := there[of][i]; !ok {
				missing = append(missing, of.before+fmt.Sprintf("%0*d", width, i)+of.after)
			}
		}
		if len(missing) > 3 {
			missing[3] = "…"
		}
		if len(missing) > 0 {
			return errors.Errorf("of files numbered up to %d some are missing: %s; add them, or, to do without, number the others one after the other",
				last, strings.Join(missing, ", "))
		}
	}
	return nil
}

// filesEnding lists the files in a folder, and in those within it if deep, whose names end in one of endings, in any case. Numbers in names count as
// numbers. A path that is a file is itself, if its name ends so.
func filesEnding(path string, folder, deep bool, endings ...string) (files []string, ok bool, err error) {
	ends := func(name string) bool {
		return slices.ContainsFunc(endings, func(ending string) bool { return strings.HasSuffix(strings.ToLower(name), ending) })
	}
	if !folder {
		return []string{path}, ends(path), nil
	}
	entries, err := entriesOf(path)
	if err != nil {
		return nil, false, err
	}
	for _, e := range entries {
		switch {
		case isHidden(e.Name()):
		case e.IsDir() && deep:
			inside, _, err := filesEnding(filepath.Join(path, e.Name()), true, true, endings...)
			if err != nil {
				return nil, false, err
			}
			files = append(files, inside...)
		case !e.IsDir() && ends(e.Name()):
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	slices.SortFunc(files, byNumbers)
	return files, len(files) > 0, nil
}

var digits = regexp.MustCompile(`\d+|\D+`)

// byNumbers orders names by their text and by the numbers in it: a2 before a10.
func byNumbers(a, b string) int {
	x, y := digits.FindAllString(a, -1), digits.FindAllString(b, -1)
	return cmp.Or(slices.CompareFunc(x, y, func(s, t string) int {
		m, err := strconv.ParseUint(s, 10, 64)
		n, other := strconv.ParseUint(t, 10, 64)
		if err == nil && other == nil {
			return cmp.Compare(m, n)
		}
		return strings.Compare(s, t)
	}), strings.Compare(a, b))
}

// rawReader reads sets of pixels whose labels are in memory.
type rawReader struct {
	root  string
	names []string
	parts []part
	class map[int64]int32
	// open begins a part and returns what gives its images one by one: pixels that the caller may keep, [h,w,c].
	open func(p part) (next func() (pixels []uint8, h, w, c int, err error), end func() error, err error)
	labelsTaken
}

// labelsTaken are the labels of a set that has others too, and was given without a choice; the zero value of one with no others.
type labelsTaken struct {
	name   string
	others []string
}

// note says which labels they are and how to have the others; "" where there are none.
func (l labelsTaken) note() string {
	if len(l.others) == 0 {
		return ""
	}
	return oneline.Text(fmt.Sprintf("labels: %s; the set has %s too, which #label=%s after the path takes", l.name, words.List(l.others), l.others[0]))
}

func (r *rawReader) classes() []string { return r.names }

func (r *rawReader) total() (n int) {
	for _, p := range r.parts {
		n += len(p.labels)
	}
	return n
}

func (r *rawReader) each(yield func(picture) error) error {
	for _, p := range r.parts {
		if err := r.eachOf(p, yield); err != nil {
			return err
		}
	}
	return nil
}

func (r *rawReader) eachOf(p part, yield func(picture) error) (err error) {
	next, end, err := r.open(p)
	if err != nil {
		return err
	}
	defer func() {
		if endErr := end(); err == nil {
			err = endErr
		}
	}()
	for i, label := range p.labels {
		pixels, h, w, c, err := next()
		if err != nil {
			return err
		}
		at := picture{name: nameIn(r.root, p.file) + ": image " + strconv.Itoa(i), split: p.split, label: r.class[label], pixels: pixels, h: h, w: w, c: c}
		if err := yield(at); err != nil {
			return err
		}
	}
	return nil
}

// noLabelChoice returns an error if a choice of labels was made for a format that has one kind.
func noLabelChoice(path string, how choices) error {
	if how.Label != "" {
		return errors.Errorf("%s#label=%s: images of this format have labels of one kind; leave the choice out", path, how.Label)
	}
	return nil
}

// planar makes pixels whose colours lie side by side, [h,w,c], of planes, [c,h,w].
func planar(planes []uint8, c int) []uint8 {
	out, size := make([]uint8, len(planes)), len(planes)/c
	for p := range size {
		for ch := range c {
			out[p*c+ch] = planes[ch*size+p]
		}
	}
	return out
}
