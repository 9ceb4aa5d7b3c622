package datasets

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// LZ4 is refused before a page is read: of a damaged page the library never stops asking for memory.
func TestLZ4Refused(t *testing.T) {
	type row struct {
		Image struct {
			Bytes []byte `parquet:"bytes"`
		} `parquet:"image"`
		Label int64 `parquet:"label"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, parquet.Compression(&parquet.Lz4Raw))
	if _, err := w.Write(make([]row, 3)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ownCache(t)
	file := filepath.Join(t.TempDir(), "set.parquet")
	put(t, file, b.Bytes())
	_, err := Add("set", file)
	if oneLine(t, err); err == nil || !strings.Contains(err.Error(), file+" is compressed by LZ4_RAW, which is not read; write it anew with zstd") {
		t.Errorf("%v", err)
	}
}
