package results

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/fuzztest"
)

// FuzzRun reads arbitrary stored runs. What is accepted is written as something that reads back as the same.
func FuzzRun(f *testing.F) {
	text := tinyRun(f)
	for _, change := range []struct{ from, to string }{{"", ""}, {`"after_task": 0`, `"after_task": -1`}, {`"schema": 1`, `"schema": 2`},
		{`"fid": 3.5`, `"fid": 1e300`}, {`"fid": 3.5`, `"fid": 1e999`}, {`"task": 0`, `"task": 99`}, {`"grid": "`, `"grid": "../../`},
		{`"class_names": [`, `"class_names": ["x\n",`}, {`"seed": 1`, `"seed": 1.5`}} {
		f.Add([]byte(strings.Replace(string(text), change.from, change.to, 1)))
	}
	f.Add([]byte("{}"))
	f.Add([]byte(`{"schema":1}`))
	f.Add([]byte("null"))
	dir := f.TempDir()
	load := func(text []byte) (*Run, error) {
		path := filepath.Join(dir, "result.json")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, err
		}
		return Load(path)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var r *Run
		if fuzztest.Read(t, len(text), func() (err error) { r, err = load(text); return err }) != nil {
			return
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := load(written)
		if err != nil {
			t.Fatal(err)
		}
		rewritten, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		fuzztest.Same(t, rewritten, written)
	})
}
