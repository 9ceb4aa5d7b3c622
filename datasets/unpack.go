package datasets

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"path"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// unpack reads files out of a .tar.gz, whatever folder they are in there, and returns their contents by base name.
// wanted says of a base name whether to read the file and how many bytes it may have at most.
func unpack(archive string, wanted func(base string) (limit int64, ok bool)) (map[string][]byte, error) {
	f, err := atomicfile.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return unpackFrom(archive, f, wanted)
}

// unpackFrom is unpack of an archive that is open.
func unpackFrom(archive string, r io.Reader, wanted func(base string) (limit int64, ok bool)) (map[string][]byte, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, &FormatError{archive, 0, err.Error(), "the header of a gzip file"}
	}
	content := make(map[string][]byte)
	for t := tar.NewReader(z); ; {
		header, err := t.Next()
		if err == io.EOF {
			return content, nil
		}
		if err != nil {
			return nil, errors.Wrap(err, archive)
		}
		base := path.Base(header.Name)
		limit, ok := wanted(base)
		if !ok {
			continue
		}
		if content[base], err = readBounded(archive+":"+header.Name, t, limit); err != nil {
			return nil, err
		}
	}
}
