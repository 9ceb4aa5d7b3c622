package datasets

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// parquetReading reads Parquet files as the Hugging Face Hub stores image sets: a column of structs of bytes, the file of a picture,
// and a column of labels: numbers, whose classes have names in the schema's metadata "huggingface", or text, the names themselves. Shards
// say their split by their name, as train-00000-of-00002.parquet, or by their folder.
var parquetReading = reading{
	name: ".parquet files as the Hugging Face Hub has them",
	files: func(path string, folder bool) ([]string, bool, error) {
		return filesEnding(path, folder, true, ".parquet")
	},
	open: openParquet,
}

// parquetReader is an opened set of shards.
type parquetReader struct {
	root  string
	names []string
	parts []part
	class map[int64]int32
	image []string // path of the column of pictures' bytes
	labelsTaken
}

// feature is what the metadata say of a column.
type feature struct {
	Type  string   `json:"_type"`
	Names []string `json:"names"`
}

func openParquet(root string, files []string, how choices) (r reader, err error) {
	if err := allShards(root, files); err != nil {
		return nil, err
	}
	splits, err := splitsOfFiles(root, files)
	if err != nil {
		return nil, err
	}
	p := &parquetReader{root: root}
	label, classes, texts := "", []string(nil), textLabels(nil)
	for i, file := range files {
		err := withParquet(file, func(f *parquet.File) error {
			features := parquetFeatures(f)
			image, err := imageColumn(f, features)
			if err != nil {
				return err
			}
			column, others, err := labelColumn(f, features, how.Label)
			if err != nil {
				return err
			}
			names, text := features[column].Names, isText(f.Root().Column(column))
			if i == 0 {
				if p.image, label, classes = image, column, names; text {
					texts = textLabels{}
				}
				if how.Label == "" {
					p.labelsTaken = labelsTaken{column, others}
				}
			}
			if text != (texts != nil) {
				return errors.Errorf("has labels that are %s, but those of %s are %s; need one kind of shard", kinds[text], files[0], kinds[!text])
			}
			if !slices.Equal(image, p.image) || column != label || !slices.Equal(names, classes) {
				return errors.Errorf("has the columns %v and %s with %d names of classes, but %s has %v and %s with %d; need one kind of shard",
					image, column, len(names), files[0], p.image, label, len(classes))
			}
			labels, err := parquetLabels(f, column, texts)
			p.parts = append(p.parts, part{file, splits[i], labels})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if err := measured(root, p.parts); err != nil {
		return nil, err
	}
	switch p.names = classes; {
	case texts != nil:
		p.names, p.class = texts.classes()
	case len(classes) > 0:
		p.class, err = namedClasses(p.parts, classes)
	default:
		p.names, p.class, err = numberedClasses(p.parts)
	}
	return p, err
}

// withParquet opens a file and calls do with it. If the library panics on a damaged file, it returns an error that names the file.
func withParquet(file string, do func(*parquet.File) error) (err error) {
	f, err := atomicfile.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return errors.WithStack(err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = errors.Errorf("%s is a damaged Parquet file (%v); replace it", file, p)
		}
	}()
	if err := parquetFooter(f, info.Size()); err != nil {
		return errors.Errorf("%s is no sound Parquet file (%v); replace it", file, err)
	}
	opened, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return errors.Errorf("%s is no sound Parquet file (%s); replace it", file, reasonOf(err))
	}
	for _, group := range opened.Metadata().RowGroups {
		for _, column := range group.Columns { // the library asks for memory without end where such a page is damaged, and misreads whole ones
			if codec := column.MetaData.Codec; codec == parquetformat.Lz4Raw {
				return errors.Errorf("%s is compressed by %s, which is not read; write it anew with zstd, snappy, gzip, brotli or no compression", file, codec)
			}
		}
	}
	return errors.WithMessage(do(opened), file)
}

// parquetFooter returns an error unless the file ends with the length of a footer that it holds, and the mark. The library allocates
// whatever length stands there.
func parquetFooter(f io.ReaderAt, size int64) error {
	var end [8]byte
	if _, err := f.ReadAt(end[:], size-int64(len(end))); err != nil || string(end[4:]) != "PAR1" {
		return errors.Errorf("its %d bytes do not end with PAR1", size)
	}
	if footer := int64(binary.LittleEndian.Uint32(end[:])); footer > size-int64(len(end)) {
		return errors.Errorf("its footer has %d bytes, as it says, and the file %d", footer, size)
	}
	return nil
}

// parquetFeatures are the features of the metadata "huggingface", none if there are no such metadata.
func parquetFeatures(f *parquet.File) map[string]feature {
	text, _ := f.Lookup("huggingface")
	var meta struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	features := map[string]feature{}
	if json.Unmarshal([]byte(text), &meta) != nil {
		return features
	}
	for name, raw := range meta.Info.Features {
		var one feature
		if json.Unmarshal(raw, &one) == nil { // a list or a struct gives an error; it is neither a picture nor a class
			features[name] = one
		}
	}
	return features
}

// imageColumn finds the column of pictures: the one that the metadata say, else the only one that is a struct with bytes, or bytes.
func imageColumn(f *parquet.File, features map[string]feature) ([]string, error) {
	var found [][]string
	for _, c := range f.Root().Columns() {
		path := []string{c.Name()}
		if !c.Leaf() {
			if b := c.Column("bytes"); b == nil || !b.Leaf() || b.Type().Kind() != parquet.ByteArray || b.MaxRepetitionLevel() > 0 {
				continue
			}
			path = append(path, "bytes")
		} else if c.Type().Kind() != parquet.ByteArray || c.MaxRepetitionLevel() > 0 || c.Type().LogicalType() != nil {
			continue
		}
		if features[c.Name()].Type == "Image" {
			return path, nil
		}
		found = append(found, path)
	}
	if len(found) != 1 {
		return nil, errors.Errorf("has %d columns that may be pictures, %v; need one, a struct of bytes and path", len(found), found)
	}
	return found[0], nil
}

// labelColumn finds the column of labels: the chosen one, else the first there is of: the column that the metadata say has classes called
// fine_label, as CIFAR-100 has beside coarse_label, the one called label, the only one; of all columns the one called fine_label, the one
// called label, the only one of integers, of floating-point numbers, of text. others are the columns that may as well have been meant: those
// with classes, and those whose name ends in label.
func labelColumn(f *parquet.File, features map[string]feature, chosen string) (column string, others []string, err error) {
	var classes, numbers, floats, texts []string
	for _, c := range f.Root().Columns() {
		if !c.Leaf() || c.MaxRepetitionLevel() > 0 {
			continue
		}
		switch c.Type().Kind() {
		case parquet.Int32, parquet.Int64:
			numbers = append(numbers, c.Name())
			if features[c.Name()].Type == "ClassLabel" {
				classes = append(classes, c.Name())
			}
		case parquet.Float, parquet.Double:
			floats = append(floats, c.Name())
		default:
			if isText(c) {
				texts = append(texts, c.Name())
			}
		}
	}
	all := slices.Concat(numbers, floats, texts)
	called := func(name string, among []string) []string {
		if slices.Contains(among, name) {
			return []string{name}
		}
		return nil
	}
	order := [][]string{called("fine_label", classes), called("label", classes), classes,
		called("fine_label", all), called("label", all), numbers, floats, texts}
	if chosen != "" {
		order = [][]string{called(chosen, all), called(chosen+"_label", all)}
	}
	for _, found := range order {
		if len(found) == 1 {
			others = slices.DeleteFunc(all, func(name string) bool {
				return name == found[0] || !slices.Contains(classes, name) && !strings.HasSuffix(name, "label")
			})
			return found[0], others, nil
		}
		if len(found) > 1 {
			return "", nil, errors.Errorf("has %d columns that may be labels, %v; need one: choose it by #label=NAME after the path", len(found), found)
		}
	}
	if chosen != "" {
		return "", nil, errors.Errorf("has no labels %.100q; it has %v", chosen, all)
	}
	return "", nil, errors.New("has no column that may be labels; need one of whole numbers or of the names of classes")
}

// isText says whether a column holds text, and not bytes.
func isText(c *parquet.Column) bool {
	if c.Type().Kind() != parquet.ByteArray || c.Type().LogicalType() == nil {
		return false
	}
	switch c.Type().LogicalType().Value.(type) {
	case *parquetformat.StringType, *parquetformat.EnumType:
		return true
	}
	return false
}

// parquetLabels reads a column of labels. One of text gets the number that texts has of it.
func parquetLabels(f *parquet.File, column string, texts textLabels) (labels []int64, err error) {
	c := f.Root().Column(column)
	for _, group := range f.RowGroups() {
		err := eachValue(group, c.Index(), func(v parquet.Value) error {
			switch {
			case v.IsNull():
				return errors.Errorf("row %d has no %s; leave images without a label out", len(labels), column)
			case v.Kind() == parquet.Int32:
				labels = append(labels, int64(v.Int32()))
			case v.Kind() == parquet.Int64:
				labels = append(labels, v.Int64())
			case v.Kind() == parquet.ByteArray:
				number, err := texts.number(string(v.ByteArray()))
				if err != nil {
					return errors.Errorf("row %d %v", len(labels), err)
				}
				labels = append(labels, number)
			default:
				var number float64
				if v.Kind() == parquet.Float {
					number = float64(v.Float())
				} else {
					number = v.Double()
				}
				label, err := wholeLabel(number)
				if err != nil {
					return errors.WithMessagef(err, "row %d", len(labels))
				}
				labels = append(labels, label)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return labels, nil
}

// eachValue calls do with every value of a column of a row group. The bytes of a value must not be used after the call.
func eachValue(group parquet.RowGroup, column int, do func(parquet.Value) error) error {
	pages := group.ColumnChunks()[column].Pages()
	defer pages.Close()
	values := make([]parquet.Value, 64)
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errors.Errorf("is damaged (%s); replace it", reasonOf(err))
		}
		from := page.Values()
		for err == nil {
			var n int
			n, err = from.ReadValues(values)
			for _, v := range values[:n] {
				if err := do(v); err != nil {
					parquet.Release(page)
					return err
				}
			}
		}
		parquet.Release(page)
		if err != io.EOF {
			return errors.Errorf("is damaged (%s); replace it", reasonOf(err))
		}
	}
}

func (p *parquetReader) classes() []string { return p.names }

func (p *parquetReader) total() (n int) {
	for _, part := range p.parts {
		n += len(part.labels)
	}
	return n
}

func (p *parquetReader) each(yield func(picture) error) error {
	for _, part := range p.parts {
		err := withParquet(part.file, func(f *parquet.File) error {
			c := f.Root().Column(p.image[0])
			if len(p.image) > 1 && c != nil {
				c = c.Column(p.image[1])
			}
			if c == nil || f.NumRows() != int64(len(part.labels)) {
				return errors.New("has changed while it was read")
			}
			row := 0
			for _, group := range f.RowGroups() {
				err := eachValue(group, c.Index(), func(v parquet.Value) error {
					at := picture{name: fmt.Sprintf("%s: row %d", nameIn(p.root, part.file), row), split: part.split}
					if row >= len(part.labels) {
						return errors.New("has more pictures than labels; replace it")
					}
					b := slices.Clone(v.ByteArray())
					at.label, at.data = p.class[part.labels[row]], func() ([]byte, error) { return b, nil }
					if v.IsNull() {
						at.data = func() ([]byte, error) {
							return nil, errors.New("holds no bytes of a picture, being null or the name of a file; store the set with embedded pictures")
						}
					}
					row++
					return yield(at)
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
