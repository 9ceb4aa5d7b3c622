package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// imports are those of the packages of this module, by their folders, in all files that are built somewhere and are no tests.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string]map[string]bool{}
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if name := entry.Name(); entry.IsDir() && name != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "runs") {
			return filepath.SkipDir
		}
		if _, other := os.Stat(filepath.Join(file, "go.mod")); file != "." && entry.IsDir() && other == nil {
			return filepath.SkipDir // a module of its own
		}
		if err != nil || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		of := filepath.ToSlash(filepath.Dir(file))
		if all[of] == nil {
			all[of] = map[string]bool{}
		}
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			all[of][strings.TrimPrefix(name, "palimpsest/")] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for of, names := range all {
		out[of] = slices.Sorted(maps.Keys(names))
	}
	return out
}

// layers are the lines of the table in CONTRIBUTING.md that says which package may import which: 0 is the highest.
func layers(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "```layers\n")
	table, _, closed := strings.Cut(table, "```")
	if !closed {
		t.Fatal("CONTRIBUTING.md has no block ```layers")
	}
	of := map[string]int{}
	for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
		for _, name := range strings.Fields(line) {
			if _, twice := of[name]; twice {
				t.Errorf("the layers in CONTRIBUTING.md name %s twice", name)
			}
			of[name] = i
		}
	}
	return of
}

// wrongImports says what is wrong with imports by a table of layers. Packages for tests alone have names that end in "test".
func wrongImports(imports map[string][]string, layers map[string]int) (wrong []string) {
	forTests := func(name string) bool { return strings.HasSuffix(path.Base(name), "test") }
	for _, of := range slices.Sorted(maps.Keys(imports)) {
		mine, known := layers[of]
		if forTests(of) {
			continue
		}
		if !known {
			wrong = append(wrong, of+" is not among the layers in CONTRIBUTING.md")
		}
		for _, name := range imports[of] {
			if _, own := imports[name]; !own {
				continue
			}
			if theirs, ok := layers[name]; forTests(name) {
				wrong = append(wrong, of+" imports "+name+", which is for tests")
			} else if known && ok && theirs <= mine {
				wrong = append(wrong, of+" imports "+name+", which is not below it in the layers in CONTRIBUTING.md")
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(layers)) {
		if _, there := imports[name]; !there {
			wrong = append(wrong, "the layers in CONTRIBUTING.md name "+name+", which is no package")
		}
	}
	return wrong
}

// An import against the order that CONTRIBUTING.md shows fails here.
func TestImportsFollowTheLayers(t *testing.T) {
	all := imports(t)
	for _, wrong := range wrongImports(all, layers(t)) {
		t.Error(wrong)
	}
	// What the order alone does not say: what a package never comes to, by way of others either.
	for of, never := range map[string][]string{
		"pkg/diffusion":  {"datasets", "pkg/memory", "pkg/cl"},              // it knows no tasks
		"pkg/experiment": {"pkg/figure", "pkg/report", "gonum.org/v1/plot"}, // training links no drawing
		"pkg/report":     {"pkg/experiment", "pkg/backend"},                 // it reads stored runs and makes none
	} {
		for _, name := range never {
			if way := reaches(all, of, name); way != nil {
				t.Errorf("%s must not come to %s, and does: %s", of, name, strings.Join(way, " → "))
			}
		}
	}
}

// reaches is the way by which a package comes to one, or to one below its path; nil: it does not.
func reaches(imports map[string][]string, from, to string) []string {
	way := map[string][]string{from: {from}}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, name := range imports[queue[0]] {
			if way[name] != nil {
				continue
			}
			way[name] = append(slices.Clone(way[queue[0]]), name)
			if name == to || strings.HasPrefix(name, to+"/") {
				return way[name]
			}
			queue = append(queue, name)
		}
	}
	return nil
}

// The check itself fails on each kind of what it is for.
func TestWrongImportsAreFound(t *testing.T) {
	order := map[string]int{"top": 0, "middle": 1, "beside": 1, "low": 2}
	for name, c := range map[string]struct {
		imports map[string][]string
		want    string
	}{
		"in order":     {map[string][]string{"top": {"low", "fmt"}, "middle": {"low"}, "beside": nil, "low": nil, "lowtest": {"top"}}, ""},
		"upwards":      {map[string][]string{"top": nil, "middle": nil, "beside": nil, "low": {"middle"}}, "low imports middle"},
		"sideways":     {map[string][]string{"top": nil, "middle": {"beside"}, "beside": nil, "low": nil}, "middle imports beside"},
		"not in table": {map[string][]string{"top": nil, "middle": nil, "beside": nil, "low": nil, "new": nil}, "new is not among"},
		"gone":         {map[string][]string{"top": nil, "middle": nil, "beside": nil}, "low, which is no package"},
		"of a test":    {map[string][]string{"top": {"lowtest"}, "middle": nil, "beside": nil, "low": nil, "lowtest": nil}, "which is for tests"},
	} {
		got := wrongImports(c.imports, order)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if way := reaches(map[string][]string{"top": {"low"}, "low": {"middle/x"}}, "top", "middle"); strings.Join(way, " ") != "top low middle/x" {
		t.Errorf("the way is %v", way)
	}
}

// Each search that CONTRIBUTING.md shows ends in the file that it names, and that is one of at most five.
func TestSearchesFindTheirFiles(t *testing.T) {
	text, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## Where something is\n")
	section, _, _ = strings.Cut(section, "\n## ")
	searches := regexp.MustCompile("(?m)^\\| .* \\| `([^`]+)` \\| `([^`]+)` \\|$").FindAllStringSubmatch(section, -1)
	if len(searches) < 10 {
		t.Fatalf("CONTRIBUTING.md shows %d searches, want ten", len(searches))
	}
	for _, s := range searches {
		var found []string
		err := filepath.WalkDir("pkg", func(file string, entry fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
				return err
			}
			content, err := os.ReadFile(file)
			if strings.Contains(string(content), s[1]) {
				found = append(found, filepath.ToSlash(file))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(found, s[2]) || len(found) > 5 {
			t.Errorf("%q is in %q, want %s among at most five files", s[1], found, s[2])
		}
	}
}
