package datasets

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// cifarReading reads the binary versions of CIFAR-100 (train.bin, test.bin) and CIFAR-10 (data_batch_1.bin, …, test_batch.bin), with
// the names of their classes from the text files next to them. CIFAR-100 has fine labels, the default, and coarse ones.
var cifarReading = reading{name: "CIFAR binaries (train.bin)", files: cifarFilesOf, open: openCIFAR}

// cifarNames are the files of the two sets.
var (
	cifar100Names = []string{"train.bin", "test.bin"}
	cifar10Names  = []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}
)

func cifarFilesOf(path string, folder bool) ([]string, bool, error) {
	if !folder {
		if base := filepath.Base(path); !slices.Contains(cifar100Names, base) && !slices.Contains(cifar10Names, base) {
			return nil, false, nil
		}
		path = filepath.Dir(path)
	}
	for _, names := range [][]string{cifar100Names, cifar10Names} {
		if _, err := os.Stat(filepath.Join(path, names[0])); err != nil {
			continue
		}
		var files []string
		for _, name := range append(slices.Clone(names), "fine_label_names.txt", "coarse_label_names.txt", "batches.meta.txt") {
			file := filepath.Join(path, name)
			if _, err := os.Stat(file); err == nil {
				files = append(files, file)
			} else if strings.HasSuffix(name, ".bin") {
				return nil, false, errors.Errorf("%s is missing; bring it", file)
			}
		}
		return files, true, nil
	}
	return nil, false, nil
}

func openCIFAR(root string, files []string, how choices) (reader, error) {
	labelBytes, at, text := 1, 0, "batches.meta.txt"
	hundred := filepath.Base(files[0]) == cifar100Names[0]
	switch {
	case hundred && (how.Label == "" || how.Label == "fine"):
		labelBytes, at, text = 2, 1, "fine_label_names.txt"
	case hundred && how.Label == "coarse":
		labelBytes, at, text = 2, 0, "coarse_label_names.txt"
	case hundred:
		return nil, errors.Errorf("%s#label=%s: CIFAR-100 has the labels fine and coarse", root, how.Label)
	default:
		if err := noLabelChoice(root, how); err != nil {
			return nil, err
		}
	}
	r, names := &rawReader{root: root}, []string(nil)
	if hundred && how.Label == "" {
		r.labelsTaken = labelsTaken{"fine", []string{"coarse"}}
	}
	for _, file := range files {
		if filepath.Base(file) == text {
			b, err := atomicfile.Read(file, 1<<20)
			if err != nil {
				return nil, err
			}
			names = strings.Fields(string(b))
		}
		if !strings.HasSuffix(file, ".bin") {
			continue
		}
		f, err := atomicfile.Open(file)
		if err != nil {
			return nil, err
		}
		labels, err := cifarLabels(file, bufio.NewReaderSize(f, 1<<20), labelBytes, at)
		_ = f.Close()
		if err != nil {
			return nil, err
		}
		p := part{file: file, split: inTrain, labels: labels}
		if strings.HasPrefix(filepath.Base(file), "test") {
			p.split = inTest
		}
		r.parts = append(r.parts, p)
	}
	var err error
	if r.names = names; len(names) > 0 {
		r.class, err = namedClasses(r.parts, names)
	} else {
		r.names, r.class, err = numberedClasses(r.parts)
	}
	if err != nil {
		return nil, err
	}
	r.open = func(p part) (func() ([]uint8, int, int, int, error), func() error, error) {
		f, err := atomicfile.Open(p.file)
		if err != nil {
			return nil, nil, err
		}
		from := bufio.NewReaderSize(f, 1<<20)
		return func() ([]uint8, int, int, int, error) {
			record := make([]byte, labelBytes+3*cifarPlane)
			if _, err := io.ReadFull(from, record); err != nil {
				return nil, 0, 0, 0, errors.Errorf("%s has changed while it was read (%s)", p.file, reasonOf(err))
			}
			return planar(record[labelBytes:], 3), cifarSide, cifarSide, 3, nil
		}, f.Close, nil
	}
	return r, nil
}

// cifarLabels reads the labels of records of so many bytes of labels, the one at a place, and the planes of a picture.
func cifarLabels(file string, r io.Reader, labelBytes, at int) (labels []int64, err error) {
	record := make([]byte, labelBytes+3*cifarPlane)
	for {
		n, err := io.ReadFull(r, record)
		switch {
		case err == io.EOF && len(labels) > 0:
			return labels, nil
		case err != nil:
			return nil, &FormatError{file, int64(len(labels) * len(record)), fmt.Sprintf("%d bytes to the end of the file", n),
				fmt.Sprintf("a whole record of %d bytes", len(record))}
		}
		labels = append(labels, int64(record[at]))
	}
}
