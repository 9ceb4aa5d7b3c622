package oneline

import (
	"fmt"
	"strings"
	"testing"
)

// A tail keeps the end of what is written, in whatever pieces, and no more of it than it says.
func TestTail(t *testing.T) {
	var tail Tail
	if tail.String() != "" || tail.Last() != "" {
		t.Errorf("an empty tail says %q and %q", tail.String(), tail.Last())
	}
	var all strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&tail, "line %d\n", i)
		fmt.Fprintf(&all, "line %d\n", i)
	}
	want := strings.TrimSpace(all.String()[all.Len()-kept:])
	if tail.String() != want || tail.Last() != "line 2999" {
		t.Errorf("the tail has %d bytes and ends with %q", len(tail.String()), tail.Last())
	}
	if n, err := tail.Write([]byte(strings.Repeat("x", 1<<20) + "\nlast words\n\n")); n != 1<<20+13 || err != nil || len(tail.text) != kept || tail.Last() != "last words" {
		t.Errorf("%d bytes taken (%v), %d kept, the last line is %q", n, err, len(tail.text), tail.Last())
	}
}
