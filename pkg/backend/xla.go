//go:build cgo && linux && (amd64 || arm64)

package backend

import "github.com/gomlx/go-xla/compute/xla"

// xlaBuilt says whether XLA is compiled into this program.
const xlaBuilt = true

// Plugins come from kernelsetup, pinned by hash; go-xla's own download is switched off even
// where another package links it.
func init() { xla.EnableAutoInstall(false) }
