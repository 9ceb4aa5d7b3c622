//go:build cgo && linux && (amd64 || arm64)

package fastconv

// Uniform draws numbers between -1 and 1.
var Uniform = uniform

// Replaced returns how many convolutions this process has replaced.
func Replaced() int64 { return replaced.Load() }
