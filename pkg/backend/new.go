package backend

import (
	"os"
	"strings"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
)

// newBackend opens config through GoMLX. Whatever panics inside becomes an error: GoMLX
// panics on a backend name it does not know.
func newBackend(config string) (backend compute.Backend, err error) {
	defer func() {
		if r := recover(); r != nil {
			backend, err = nil, errors.Errorf("%v", r)
		}
	}()
	if plugin, found := strings.CutPrefix(config, "xla:"); found {
		plugin, _, _ = strings.Cut(plugin, ",")
		if strings.Contains(plugin, "cuda") {
			if err := prepareCUDA(plugin); err != nil {
				return nil, err
			}
		}
	}
	defer quietStdout()()
	backend, err = compute.NewWithConfig(config)
	if err != nil {
		return nil, err // XLA returns a typed nil beside its error
	}
	return backend, nil
}

// quietStdout points os.Stdout at nothing until the returned function is called: pure Go
// prints its number of workers, which is no part of any command's output.
func quietStdout() (restore func()) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return func() {}
	}
	stdout := os.Stdout
	os.Stdout = null
	return func() {
		os.Stdout = stdout
		null.Close()
	}
}
