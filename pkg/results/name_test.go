package results

import (
	"path/filepath"
	"strings"
	"testing"
)

// What is taken as a run's name is one element of a path below any folder, whatever the rest of it is.
func TestCheckName(t *testing.T) {
	for _, good := range []string{"er-lambda0.3-seed0", "x", "a b", "λ=1", "er+lwf", "-1", strings.Repeat("a", longestName)} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
		if filepath.Dir(filepath.Join("root", good)) != "root" {
			t.Errorf("%q leaves its folder", good)
		}
	}
	for _, bad := range []string{"", ".", "..", ".git", "../x", "a/b", "/", `a\b`, "a\x00b", "a\nb", "a\x7f", " a", "a ", "\xff",
		strings.Repeat("a", longestName+1)} {
		if err := CheckName(bad); err == nil || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%q gives %v; want one line", bad, err)
		}
	}
}

// A study is never written outside its folder, whatever a file says that its run is called.
func TestStoreRefusesNamesThatArePaths(t *testing.T) {
	dir := t.TempDir()
	if err := Store(dir, filepath.Join(dir, "to"), []*Run{{Name: "../out"}}); err == nil || !strings.Contains(err.Error(), `"../out"`) {
		t.Errorf("got %v", err)
	}
}
