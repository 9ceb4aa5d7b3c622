package metrics

import "github.com/pkg/errors"

// NotFinite is the error of images or features with a value that is no finite number, as a network makes them whose training
// or sampler diverged.
type NotFinite struct{ Err error }

// Error implements error.
func (e NotFinite) Error() string { return e.Err.Error() }

// Unwrap gives the error itself.
func (e NotFinite) Unwrap() error { return e.Err }

// notFinitef is a NotFinite of a message.
func notFinitef(format string, args ...any) error { return NotFinite{errors.Errorf(format, args...)} }
