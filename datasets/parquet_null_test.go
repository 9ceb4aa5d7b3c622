package datasets

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// A row without a picture is told with its number, and not that its picture would be elsewhere.
func TestParquetWithoutAPicture(t *testing.T) {
	picture, err := os.ReadFile(own("pictures", "grey.png"))
	if err != nil {
		t.Fatal(err)
	}
	type embedded struct {
		Bytes []byte `parquet:"bytes,optional"`
	}
	type row struct {
		Image embedded `parquet:"image"`
		Label int64    `parquet:"label"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b)
	if _, err := w.Write([]row{{embedded{picture}, 0}, {embedded{picture}, 1}, {embedded{}, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ownCache(t)
	file := filepath.Join(t.TempDir(), "null.parquet")
	put(t, file, b.Bytes())
	d, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Prepared(Prep{Size: 4, Method: "pad"})
	if oneLine(t, err); err == nil || !strings.Contains(err.Error(), "row 2 holds no bytes of a picture, being null or the name of a file") {
		t.Errorf("%v", err)
	}
}
