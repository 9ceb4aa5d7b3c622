package results

import (
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/pkg/errors"

	"palimpsest/pkg/oneline"
)

// longestName is how many bytes the name of a run may have. Systems take 255 for a file's; the files of a stored study, and those
// not yet written whole, have longer names.
const longestName = 200

// CheckName reports why name cannot be the name of a run, which becomes that of its folder and of files: it must be one
// name, not a path.
func CheckName(name string) error {
	bad := ""
	switch {
	case name == "":
		bad = "it is empty"
	case len(name) > longestName:
		return errors.Errorf("the name of a run has %d bytes (%.40q…); names of folders need %d or fewer", len(name), name, longestName)
	case !utf8.ValidString(name):
		bad = "it is no UTF-8"
	case strings.HasPrefix(name, "."):
		bad = "it begins with a dot"
	case strings.ContainsAny(name, `/\`):
		bad = "it has a slash or a backslash"
	case strings.ContainsFunc(name, oneline.Breaks):
		bad = "it has a control character"
	case strings.TrimSpace(name) != name:
		bad = "it begins or ends with a blank"
	case !filepath.IsLocal(name): // "c:" and "NUL" on Windows
		bad = "this system takes it for something else"
	}
	if bad != "" {
		return errors.Errorf("the name of a run is %q: %s; it becomes a folder's name, for instance \"er-first-try\"", name, bad)
	}
	return nil
}
