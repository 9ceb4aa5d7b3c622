package diffusion

import "github.com/pkg/errors"

// Diverged is the error of training whose numbers are no finite ones any more. It is the same at every try with the same
// settings.
type Diverged struct{ Err error }

// Error implements error.
func (d Diverged) Error() string { return d.Err.Error() }

// Unwrap gives the error itself.
func (d Diverged) Unwrap() error { return d.Err }

// Divergedf is a Diverged of a message.
func Divergedf(format string, args ...any) error { return Diverged{errors.Errorf(format, args...)} }
