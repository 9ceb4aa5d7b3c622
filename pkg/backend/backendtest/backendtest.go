// Package backendtest opens the backend that tests compute on.
package backendtest

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"palimpsest/kernelsetup"
	"palimpsest/pkg/backend"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
)

var open = sync.OnceValues(func() (compute.Backend, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := kernelsetup.EnsurePlugin(ctx, os.Stderr); err != nil {
		return nil, errors.WithMessage(err, "set "+compute.ConfigEnvVar+"=go to test in pure Go, slowly")
	}
	b, _, err := backend.Open()
	return b, err
})

// Open returns the backend of the process, opened on first use as backend.Open does and
// shared by all its tests. It installs the XLA CPU plugin if it is missing, which needs the
// network once a machine, unless GOMLX_BACKEND names a backend. It fails the test if that
// or the opening fails.
func Open(t testing.TB) compute.Backend {
	t.Helper()
	b, err := open()
	if err != nil {
		t.Fatalf("no backend to test on: %v", err)
	}
	return b
}
