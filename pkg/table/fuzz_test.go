package table

import (
	"strings"
	"testing"

	"palimpsest/pkg/fuzztest"
)

// FuzzSection renews a section of arbitrary Markdown: it holds what was written, all around it is as it was, and renewing it
// again changes nothing.
func FuzzSection(f *testing.F) {
	const begin, end, table = "<!-- table:quick -->", "<!-- /table:quick -->", "| a |\n|---|\n"
	for _, text := range []string{begin + end, "# A\n" + begin + "\nold\n" + end + "\nrest", end + begin, begin, begin + begin + end, end[:7] + begin + end[7:], ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		old, updated := string(text), ""
		if fuzztest.Read(t, len(text), func() (err error) { updated, err = replaceSection(old, "quick", table); return err }) != nil {
			return
		}
		before, _, _ := strings.Cut(old, begin)
		_, after, _ := strings.Cut(old, end)
		if want := before + begin + "\n\n" + table + "\n" + end + after; updated != want {
			t.Fatalf("the text becomes %q, want %q", updated, want)
		}
		again, err := replaceSection(updated, "quick", table)
		if err != nil {
			t.Fatal(err)
		}
		fuzztest.Same(t, []byte(again), []byte(updated))
	})
}
