package oneline

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestError(t *testing.T) {
	if Error(nil) != nil {
		t.Error("no error became one")
	}
	plain := errors.New("a plain message")
	if Error(plain) != plain {
		t.Error("a message of one line was changed")
	}
	several := &fs.PathError{Op: "read", Path: "a\nb", Err: fs.ErrNotExist}
	if err := Error(several); err.Error() != "read a b: file does not exist" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %q", err)
	}
	for text, is := range map[string]bool{"a b": true, "עברית": true, "a\u200fb": true, "a\u202eb": false, "a\u2066b": false, "a\u2028b": false, "a\tb": false, "a\x85b": false} {
		if Is(text) != is || Is(Text(text)) != true {
			t.Errorf("%q is one line: %v; as one: %q", text, Is(text), Text(text))
		}
	}
	long := Text("found " + strings.Repeat("x\xff\r\n\x00", 1<<20) + " at the end")
	if len(long) > 1000 || strings.ContainsAny(long, "\r\n\x00") || !strings.HasPrefix(long, "found ") || !strings.HasSuffix(long, " at the end") {
		t.Errorf("%d bytes: %q", len(long), long)
	}
}
