package results

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/atomicfile"
)

var update = flag.Bool("update", false, "write the stored results as Store writes them now")

// Every kind of value has its line; no token changes, and what is written so is written so again.
func TestLayout(t *testing.T) {
	long := strings.Repeat("[, ", short/3)
	text := `{"a":[],"b":{},"name":"x, \"[y]\": {\\","numbers":[1,-2.50e-07,null,true,"` + long + `"],"grid":[[1,2],[],"` + long + `"],` +
		`"tasks":[{"n":4,"kid":{"mean":1}},{"n":4,"why":"` + long + `"}],"last":0}`
	want := `{
 "a": [],
 "b": {},
 "name": "x, \"[y]\": {\\",
 "numbers": [1, -2.50e-07, null, true, "` + long + `"],
 "grid": [
  [1, 2],
  [],
  "` + long + `"
 ],
 "tasks": [
  {"n": 4, "kid": {"mean": 1}},
  {
   "n": 4,
   "why": "` + long + `"
  }
 ],
 "last": 0
}
`
	for _, in := range []string{text, want} {
		if got, err := layout([]byte(in)); err != nil || string(got) != want {
			t.Errorf("%v\n%s", err, got)
		}
	}
	for _, in := range []string{"1", `"a]"`, "null", "[1]", "[]", "{}", `[[],{"a":[]}]`} {
		got, err := layout([]byte(in))
		if err != nil || strings.Join(strings.Fields(string(got)), "") != in {
			t.Errorf("%s becomes %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "[", `{"a"`, `"a`, "1 2"} {
		if got, err := layout([]byte(in)); err == nil {
			t.Errorf("%q becomes %q", in, got)
		}
	}
}

// The stored results are written as [Store] writes them: an array of numbers in a line, with a sum, as its losses and its autopsy have, no sheet of samples twice in a study, none that no run
// refers to and none referred to that is not there. To have them so, without a change of any number:
//
//	go test ./pkg/results -run TestStoredResults -update
func TestStoredResults(t *testing.T) {
	studies, err := filepath.Glob(filepath.Join("..", "..", "notebooks", "results", "*", "samples"))
	if err != nil || len(studies) == 0 {
		t.Fatalf("no stored studies, %v", err)
	}
	for _, samples := range studies {
		t.Run(filepath.Base(filepath.Dir(samples)), func(t *testing.T) {
			storedStudy(t, filepath.Dir(samples))
		})
	}
}

func storedStudy(t *testing.T, dir string) {
	sheets := map[string]bool{} // in the folder: whether a run refers to it
	first := map[string]string{}
	same := map[string]string{} // of a sheet that is there twice: the first
	pictures, err := fs.Glob(os.DirFS(dir), "samples/*.png")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range pictures {
		picture, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		sheets[path] = false
		if before, twice := first[string(picture)]; twice {
			same[path] = before
		} else {
			first[string(picture)] = path
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := layout(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		r, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Evaluations {
			at := e.Sheet
			if before := same[at]; before != "" {
				want = bytes.ReplaceAll(want, fmt.Appendf(nil, `"grid": %q`, at), fmt.Appendf(nil, `"grid": %q`, before))
				at = before
			}
			if at != "" {
				if _, there := sheets[at]; !there {
					want = bytes.ReplaceAll(want, fmt.Appendf(nil, `"grid": %q`, at), []byte(`"grid": ""`))
					continue
				}
				sheets[at] = true
			}
		}
		if at := sealed.FindIndex(want); at != nil {
			want = append(want[:at[0]], "\n}\n"...)
		}
		if want, err = Seal(want); err != nil { // also of what was stored before results had sums
			t.Fatal(err)
		}
		switch {
		case bytes.Equal(text, want):
		case !*update:
			t.Errorf("%s is not written as Store writes it, or refers to a sheet of samples that is there twice or not at all", file)
		default:
			if err := atomicfile.Write(file, want); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, kind := range []string{DynamicsFile, AutopsyFile} {
		files, err := filepath.Glob(filepath.Join(dir, strings.TrimSuffix(kind, ".json"), "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Unseal(text); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if sealed.Match(text) {
				continue
			}
			if !*update {
				t.Errorf("%s has no sum", file)
				continue
			}
			if text, err = Seal(text); err != nil {
				t.Fatal(err)
			}
			if err := atomicfile.Write(file, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(sheets)) {
		if sheets[path] {
			continue
		}
		if !*update {
			t.Errorf("%s: no run refers to it", filepath.Join(dir, path))
		} else if err := os.Remove(filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
	}
}
