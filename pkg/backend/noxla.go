//go:build !(cgo && ((linux && (amd64 || arm64)) || (darwin && arm64 && xla)))

package backend

// XLABuilt says whether XLA is compiled into this program: here it is not, because cgo is
// off (no C compiler was found, or CGO_ENABLED=0) or no plugin exists for this system.
const XLABuilt = false

// preload does nothing: without XLA there is nothing to load for.
func preload(string) {}

// layer does nothing: without XLA there is nothing to lie over.
func layer(string, string, bool) layers { return layers{} }

// layerDevice does nothing likewise.
func layerDevice(string, []byte, error) string { return "" }
