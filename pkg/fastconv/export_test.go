//go:build cgo && linux && (amd64 || arm64)

package fastconv

// Replaced returns how many convolutions this process has replaced.
func Replaced() int64 { return replaced.Load() }
