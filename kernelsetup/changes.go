package kernelsetup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
)

// applyChanges applies a unified diff, as `git diff` writes it, to the files below dir. They must be exactly the files that it was
// made from: a line that differs, or is in another place, is an error.
func applyChanges(dir, diff string) error {
	lines := strings.SplitAfter(diff, "\n")
	for i := 0; i < len(lines); {
		if !strings.HasPrefix(lines[i], "--- ") {
			i++
			continue
		}
		if i+1 == len(lines) || !strings.HasPrefix(lines[i+1], "+++ b/") {
			return errors.Errorf("line %d of the changes: no +++ b/FILE follows", i+1)
		}
		name := filepath.FromSlash(strings.TrimSpace(strings.TrimPrefix(lines[i+1], "+++ b/")))
		if !filepath.IsLocal(name) {
			return errors.Errorf("line %d of the changes: %s is outside", i+2, name)
		}
		var old []string
		if strings.TrimSpace(lines[i]) != "--- /dev/null" {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return errors.WithStack(err)
			}
			old = strings.SplitAfter(string(text), "\n")
		}
		end := i + 2
		for end < len(lines) && strings.HasPrefix(lines[end], "@@") {
			end = hunkEnd(lines, end)
		}
		text, err := applyHunks(old, lines[i+2:end])
		if err != nil {
			return errors.WithMessage(err, name)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return errors.WithStack(err)
		}
		if err := os.RemoveAll(path); err != nil { // it may be read-only
			return errors.WithStack(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return errors.WithStack(err)
		}
		i = end
	}
	return nil
}

// hunkEnd returns where the hunk that begins at a line ends.
func hunkEnd(lines []string, at int) int {
	for at++; at < len(lines) && lines[at] != "" && strings.ContainsRune(" +-", rune(lines[at][0])) && !strings.HasPrefix(lines[at], "--- "); at++ {
	}
	return at
}

// applyHunks returns a file's text after hunks, whose lines follow each other.
func applyHunks(old, hunks []string) (string, error) {
	var text strings.Builder
	at := 0 // lines of old that are dealt with
	for _, line := range hunks {
		var first, n int
		if _, err := fmt.Sscanf(line, "@@ -%d,%d ", &first, &n); err == nil {
			first-- // counted from 1; a new file begins at 0
			if first < 0 {
				first = 0
			}
			if first < at || first > len(old) {
				return "", errors.Errorf("a hunk begins at line %d; the file has %d", first+1, len(old))
			}
			for ; at < first; at++ {
				text.WriteString(old[at])
			}
			continue
		}
		switch line[0] {
		case '+':
			text.WriteString(line[1:])
			continue
		case ' ', '-':
		default:
			return "", errors.Errorf("no line of a hunk: %q", line)
		}
		if at == len(old) || old[at] != line[1:] {
			return "", errors.Errorf("line %d is not %q, which the changes were made from", at+1, line[1:])
		}
		if line[0] == ' ' {
			text.WriteString(line[1:])
		}
		at++
	}
	for ; at < len(old); at++ {
		text.WriteString(old[at])
	}
	return text.String(), nil
}
