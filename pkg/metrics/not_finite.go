package metrics

import (
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"
)

// NotFinite is the error of images or features with a value that is no finite number, or so large that a measure of them is none,
// as a network makes them whose training or sampler diverged.
type NotFinite struct{ Err error }

// Error implements error.
func (e NotFinite) Error() string { return e.Err.Error() }

// Unwrap gives the error itself.
func (e NotFinite) Unwrap() error { return e.Err }

// notFinitef is a NotFinite of a message.
func notFinitef(format string, args ...any) error { return NotFinite{errors.Errorf(format, args...)} }

// checkResult returns an error where a measure of finite numbers is none, because a sum of them overflows.
func checkResult(who string, value float64, of ...mat.Matrix) error {
	if !math.IsNaN(value) && !math.IsInf(value, 0) {
		return nil
	}
	largest := 0.0
	for _, m := range of {
		largest = max(largest, mat.Max(m), -mat.Min(m))
	}
	return notFinitef("%s: values of up to %.3g overflow float64, the result would be %g; bring features to a smaller scale: did the sampler diverge?",
		who, largest, value)
}
