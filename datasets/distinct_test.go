package datasets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The same pictures are found under two names, beside a part of them, and in a copy.
func TestCheckDistinct(t *testing.T) {
	ownCache(t)
	at := t.TempDir()
	for class, grey := range map[string]uint8{"a": 10, "b": 200} {
		if err := os.MkdirAll(filepath.Join(at, "one", class), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			file := filepath.Join(at, "one", class, string(rune('0'+i))+".png")
			if err := os.WriteFile(file, pngOf(t, 4, 4, grey+uint8(i), grey, grey), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	one, copied, other := filepath.Join(at, "one"), filepath.Join(at, "copied"), filepath.Join(at, "other")
	for _, dir := range []string{copied, other} {
		if err := os.CopyFS(dir, os.DirFS(one)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(other, "a", "0.png"), pngOf(t, 4, 4, 1, 2, 3), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		refs []string
		want string // "" for sets that may go together
	}{
		{[]string{"fashion-mnist", "mnist", "cifar-10", one}, ""},
		{[]string{one, other}, ""},
		{[]string{"fashion-mnist-sample", "mnist", "fashion-mnist-sample"}, `"fashion-mnist-sample" is named twice`},
		{[]string{"fashion-mnist-sample", "fashion-mnist"}, `of "fashion-mnist-sample" are among those of "fashion-mnist"`},
		{[]string{"mnist", "mnist-10k"}, `of "mnist-10k" are among those of "mnist"`},
		{[]string{one, copied}, "are the same pictures"},
	} {
		if err := CheckDistinct(tc.refs...); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %q", tc.refs, err, tc.want)
		}
	}
}
