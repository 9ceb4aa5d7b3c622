package datasets

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// idxReading reads the files of MNIST and its like: images-idx3-ubyte and labels-idx1-ubyte of train and of t10k or test, compressed
// or not. Files of EMNIST, known by their names, hold their images transposed; names of their classes come from the mapping file.
var idxReading = reading{name: "IDX files (*-images-idx3-ubyte)", files: idxFilesOf, open: openIDX}

// idxKind says whether a file holds images or labels, "" for neither, and what comes before that in its name.
func idxKind(name string) (prefix, kind string) {
	name = strings.ReplaceAll(strings.TrimSuffix(name, ".gz"), ".idx", "-idx")
	for kind, ending := range map[string]string{"images": "images-idx3-ubyte", "labels": "labels-idx1-ubyte"} {
		if prefix, ok := strings.CutSuffix(name, ending); ok {
			return strings.TrimRight(prefix, "-_."), kind
		}
	}
	return "", ""
}

// idxFilesOf finds the files in a folder; a path that is one of several sets' files in one folder means that set.
func idxFilesOf(path string, folder bool) (files []string, ok bool, err error) {
	dir, wanted := path, ""
	if !folder {
		prefix, kind := idxKind(filepath.Base(path))
		if kind == "" {
			return nil, false, nil
		}
		dir, wanted = filepath.Dir(path), idxSet(prefix)
	}
	entries, err := entriesOf(dir)
	if err != nil {
		return nil, false, err
	}
	for _, e := range entries {
		prefix, kind := idxKind(e.Name())
		if kind != "" && !e.IsDir() && (folder || idxSet(prefix) == wanted) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
		if set, mapping := strings.CutSuffix(e.Name(), "-mapping.txt"); mapping && (folder || set == wanted) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, slices.ContainsFunc(files, func(f string) bool { _, kind := idxKind(filepath.Base(f)); return kind != "" }), nil
}

// idxSet is the part of a prefix that names the set: "emnist-letters" of "emnist-letters-train".
func idxSet(prefix string) string {
	i := strings.LastIndexAny(prefix, "-_.")
	if splitNamed(prefix[i+1:]) == noSplit {
		return prefix
	}
	return prefix[:max(i, 0)]
}

func openIDX(root string, files []string, how choices) (reader, error) {
	if err := noLabelChoice(root, how); err != nil {
		return nil, err
	}
	images, labels, mapping, sets := map[string]string{}, map[string]string{}, "", map[string]string{}
	for _, file := range files {
		prefix, kind := idxKind(filepath.Base(file))
		of := images
		switch kind {
		case "":
			mapping = file
			continue
		case "labels":
			of = labels
		}
		if other, twice := of[prefix]; twice {
			return nil, errors.Errorf("%s and %s hold the same; remove one", other, file)
		}
		of[prefix] = file
		sets[idxSet(prefix)] = file
	}
	if len(sets) > 1 {
		var some []string
		for _, file := range sets {
			some = append(some, file)
		}
		slices.Sort(some)
		return nil, errors.Errorf("%s holds the files of %d sets; name a file of the one you mean, for instance %s", root, len(sets), some[0])
	}
	r := &rawReader{root: root}
	for prefix, file := range images {
		if labels[prefix] == "" {
			return nil, errors.Errorf("%s has no labels next to it; add %s", file, filepath.Join(filepath.Dir(file), prefix+"-labels-idx1-ubyte"))
		}
		stored, err := readFile(labels[prefix], 1<<31)
		if err != nil {
			return nil, err
		}
		p := part{file: file, split: splitNamed(prefix[strings.LastIndexAny(prefix, "-_.")+1:])}
		if p.labels, err = idxLabels(labels[prefix], stored); err != nil {
			return nil, err
		}
		r.parts = append(r.parts, p)
	}
	for prefix, file := range labels {
		if images[prefix] == "" {
			return nil, errors.Errorf("%s has no images next to it; add them", file)
		}
	}
	slices.SortFunc(r.parts, func(a, b part) int { return int(a.split) - int(b.split) })
	if err := measured(root, r.parts); err != nil {
		return nil, err
	}
	var err error
	if r.names, r.class, err = numberedClasses(r.parts); err != nil {
		return nil, err
	}
	if mapping != "" {
		if err := idxNames(mapping, r.names); err != nil {
			return nil, err
		}
	}
	r.open = func(p part) (func() ([]uint8, int, int, int, error), func() error, error) {
		return openIDXImages(p.file, len(p.labels), strings.HasPrefix(strings.ToLower(filepath.Base(p.file)), "emnist"))
	}
	return r, nil
}

// idxLabels reads a file of labels.
func idxLabels(file string, b []byte) ([]int64, error) {
	stored, err := ParseIDX(file, b)
	if err != nil {
		return nil, err
	}
	if len(stored.Dims) != 1 {
		return nil, &FormatError{file, 3, fmt.Sprintf("%d dimensions", len(stored.Dims)), "1: labels"}
	}
	labels := make([]int64, len(stored.Data))
	for i, label := range stored.Data {
		labels[i] = int64(label)
	}
	return labels, nil
}

// idxNames replaces the numbers of classes by the characters that EMNIST's mapping file gives: lines of a label and one or more codes,
// of upper and lower case.
func idxNames(file string, names []string) error {
	b, err := atomicfile.Read(file, 1<<20)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		name := ""
		for _, field := range fields[1:] {
			code, err := strconv.ParseUint(field, 10, 21)
			if err != nil {
				return errors.Errorf("%s: the line %.60q; need a label and the codes of its characters", file, strings.TrimSpace(line))
			}
			if name != "" {
				name += "/"
			}
			name += string(rune(code))
		}
		if i := slices.Index(names, fields[0]); i >= 0 {
			names[i] = name
		}
	}
	return nil
}

// openIDXImages opens a file of images. It returns the functions next and end of [idxImages].
func openIDXImages(file string, labels int, transposed bool) (func() ([]uint8, int, int, int, error), func() error, error) {
	f, err := atomicfile.Open(file)
	if err != nil {
		return nil, nil, err
	}
	var from io.Reader = bufio.NewReaderSize(f, 1<<20)
	if strings.HasSuffix(file, ".gz") {
		if from, err = gzip.NewReader(from); err != nil {
			_ = f.Close()
			return nil, nil, &FormatError{file, 0, reasonOf(err), "the header of a gzip file"}
		}
	}
	next, end, err := idxImages(file, from, labels, transposed)
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return next, func() error {
		defer f.Close()
		return end()
	}, nil
}

// idxImages reads the header of a file of images; it is an error if the file does not have one image for each label. next
// returns one image after the other. end, called once all were read, checks that the file has nothing after the last one.
func idxImages(file string, r io.Reader, labels int, transposed bool) (next func() ([]uint8, int, int, int, error), end func() error, err error) {
	head := make([]byte, 16)
	if n, err := io.ReadFull(r, head); err != nil {
		return nil, nil, &FormatError{file, int64(n), reasonOf(err), "16 bytes of header"}
	}
	if magic := string(head[:4]); magic != "\x00\x00\x08\x03" {
		return nil, nil, &FormatError{file, 0, fmt.Sprintf("magic number % x", head[:4]), "00 00 08 03: images of unsigned bytes"}
	}
	n, h, w := int64(binary.BigEndian.Uint32(head[4:])), int64(binary.BigEndian.Uint32(head[8:])), int64(binary.BigEndian.Uint32(head[12:]))
	if n != int64(labels) {
		return nil, nil, &FormatError{file, 4, fmt.Sprintf("%d images", n), fmt.Sprintf("%d, one for each label", labels)}
	}
	if h < 1 || w < 1 || h > maxPicturePixels/w {
		return nil, nil, &FormatError{file, 8, fmt.Sprintf("images of %d×%d pixels", h, w), fmt.Sprintf("1 to %d million pixels", maxPicturePixels/1_000_000)}
	}
	at := int64(0)
	next = func() ([]uint8, int, int, int, error) {
		px := make([]uint8, h*w)
		if got, err := io.ReadFull(r, px); err != nil {
			return nil, 0, 0, 0, &FormatError{file, 16 + at*h*w + int64(got), reasonOf(err), fmt.Sprintf("%d images of %d×%d pixels", n, h, w)}
		}
		at++
		if transposed {
			px = upright(px, int(h), int(w), 1, 5)
			return px, int(w), int(h), 1, nil
		}
		return px, int(h), int(w), 1, nil
	}
	end = func() error {
		if at < n {
			return nil // the caller did not read them all
		}
		if got, err := io.ReadFull(r, head[:1]); got > 0 || err != io.EOF {
			return &FormatError{file, 16 + n*h*w, "more data, or a damaged end", "the end of the file"}
		}
		return nil
	}
	return next, end, nil
}
