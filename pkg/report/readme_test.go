package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/results/resultstest"
)

func TestWriteTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	runs := resultstest.MadeUp(2)
	write("# Title\n<!-- table:quick -->\nold\n<!-- /table:quick -->\nafter\n<!-- table:other -->\nkept\n<!-- /table:other -->\n")
	if err := CheckTable(path, "quick", runs); err == nil || !strings.Contains(err.Error(), "README.md:3") {
		t.Errorf("an old table gives %v, want an error at line 3", err)
	}
	if err := WriteTable(path, "quick", runs); err != nil {
		t.Fatal(err)
	}
	if err := CheckTable(path, "quick", runs); err != nil {
		t.Errorf("just written: %v", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if !strings.HasPrefix(text, "# Title\n<!-- table:quick -->\n\n**Quality") || strings.Contains(text, "old") ||
		!strings.HasSuffix(text, "<!-- /table:quick -->\nafter\n<!-- table:other -->\nkept\n<!-- /table:other -->\n") {
		t.Errorf("the rest of the file changed or the old table is still there:\n%s", text)
	}
	*runs[0].Evaluations[2].Tasks[0].FID += 1
	if err := CheckTable(path, "quick", runs); err == nil {
		t.Error("another number should not pass the check")
	}
	for _, bad := range []string{"", "<!-- table:quick -->", "<!-- /table:quick --><!-- table:quick -->",
		"<!-- table:quick --><!-- table:quick --><!-- /table:quick -->"} {
		write(bad)
		if err := WriteTable(path, "quick", runs); err == nil {
			t.Errorf("%q should be refused", bad)
		}
	}
	if err := WriteTable(path, "quick", nil); err == nil {
		t.Error("no runs should be refused")
	}
}
