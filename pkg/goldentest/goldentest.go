// Package goldentest compares texts with those stored under testdata. A stored text comes last among tests: it shows what
// changed, not what is right. `go test PACKAGE -run Golden -update` writes the texts again; look at them before committing.
package goldentest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew; look at them before committing")

// Check compares every text with testdata/NAME.golden, a subtest a name, and shows the first line that differs.
func Check(t *testing.T, texts map[string]string) {
	t.Helper()
	for name, got := range texts {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			a, b := strings.Split(got, "\n"), strings.Split(string(want), "\n")
			for i := range max(len(a), len(b)) {
				switch {
				case i >= len(a) || i >= len(b):
					t.Fatalf("%d lines, want %d as in %s", len(a), len(b), path)
				case a[i] != b[i]:
					t.Fatalf("line %d is\n%s\nwant, as in %s,\n%s", i+1, a[i], path, b[i])
				}
			}
		})
	}
}
