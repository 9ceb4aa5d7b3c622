package kernelsetup

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
)

// Module is the path of the Go module whose checkout the notebooks import.
const Module = "palimpsest"

// FindRepo returns the root of the checkout that holds dir: the nearest folder upwards
// whose go.mod declares [Module].
func FindRepo(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", errors.WithStack(err)
	}
	for at := start; ; at = filepath.Dir(at) {
		if declares(filepath.Join(at, "go.mod"), Module) {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", errors.Errorf("%s is not inside a checkout of %s; change into one", start, Module)
		}
	}
}

// declares says whether file is a go.mod of the given module.
func declares(file, module string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) >= 2 && words[0] == "module" {
			return words[1] == module
		}
	}
	return false
}
