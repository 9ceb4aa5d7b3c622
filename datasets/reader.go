package datasets

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// split is the part of a set that a picture belongs to.
type split uint8

const (
	noSplit split = iota // of a set that is not split: see stratified
	inTrain
	inVal
	inTest
)

// splitNames are the names of splits in folders, files and columns.
var splitNames = map[string]split{
	"train": inTrain, "training": inTrain,
	"val": inVal, "valid": inVal, "validation": inVal, "dev": inVal,
	"test": inTest, "testing": inTest, "t10k": inTest,
}

// splitNamed is the split of a name, in any case, noSplit if it is none.
func splitNamed(name string) split { return splitNames[strings.ToLower(name)] }

// String is the name of the split.
func (s split) String() string { return [...]string{"", "train", "val", "test"}[s] }

// picture is one image as it is stored.
type picture struct {
	name  string // what errors call it: a file within the set, or a place in one
	split split
	label int32
	// data returns the content of a file of pictures. It is called once, from any goroutine.
	data func() ([]byte, error)
	// Where data is nil, pixels are the image itself, [h,w,c] with 1 or 3 channels.
	pixels  []uint8
	h, w, c int
}

// reader reads image sets of one format.
type reader interface {
	// classes are the names of the classes; labels are indices into them.
	classes() []string
	// total is the number of pictures, 0 if it is known at the end only.
	total() int
	// each calls yield with every picture, in an order that depends on the content alone, until yield returns an error,
	// which it returns. It can be called again. Memory grows by some bytes a picture only.
	each(yield func(picture) error) error
}

// reading is how sets of one format are recognised and opened. To add a format, write a reader in a file of its own, add it to
// readings, and say in doc.go how it is laid out.
type reading struct {
	name string
	// files says whether the path, a folder or not, holds a set of this format, and returns the files it is made of.
	files func(path string, folder bool) (files []string, ok bool, err error)
	// open opens a set of these files.
	open func(path string, files []string, how choices) (reader, error)
}

// readings lists the formats in the order in which they are tried.
var readings []reading

func init() { // not a literal, which would refer to itself by the errors that list the formats
	readings = []reading{parquetReading, idxReading, cifarReading, folderReading, npzReading, tarReading}
}

// Unfit is the error of a set of the user's own that is there, and whose files are at fault: not the words that name it, nor the settings.
type Unfit struct{ error }

// Unwrap gives the error itself.
func (u Unfit) Unwrap() error { return u.error }

// pickled says whether the path is a Python pickle of protocol 2 to 5, or a folder that holds one.
func pickled(path string, folder bool) bool {
	if folder {
		entries, err := entriesOf(path)
		return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !e.IsDir() && pickled(filepath.Join(path, e.Name()), false) })
	}
	f, err := atomicfile.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [2]byte
	_, err = io.ReadFull(f, head[:])
	return err == nil && head[0] == 0x80 && 2 <= head[1] && head[1] <= 5
}

// recognise finds the format of a path.
func recognise(path string) (r reading, files []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return r, nil, errors.Errorf("%s cannot be read (%s); name a folder or file that can", path, reasonOf(err))
	}
	for _, r := range readings {
		files, ok, err := r.files(path, info.IsDir())
		if err != nil || ok {
			return r, files, err
		}
	}
	if pickled(path, info.IsDir()) {
		return r, nil, errors.Errorf("%s holds Python pickles, which are programs and are not run; of CIFAR take the binary version (`go run . data get cifar-10`, or the files data_batch_1.bin, … or train.bin), "+
			"of others have Python store the arrays: numpy.savez_compressed('set.npz', x_train=…, y_train=…, x_test=…, y_test=…)", path)
	}
	var names []string
	for _, r := range readings {
		names = append(names, r.name)
	}
	if info.IsDir() {
		return r, nil, errors.Errorf("%s holds no image set; need %s", path, strings.Join(names, "; "))
	}
	return r, nil, errors.Errorf("%s is no image set; need %s", path, strings.Join(names, "; "))
}
