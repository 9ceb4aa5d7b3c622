//go:build cgo && linux && amd64

package backend

import (
	"os"

	"palimpsest/pkg/executables"

	"github.com/gomlx/compute"
)

// A process that package executables started to compile a program does nothing else: whichever program it is of, a command,
// a test or a cell, its main function is not reached.
func init() {
	config := os.Getenv(executables.ChildEnv)
	if config == "" {
		return
	}
	if err := executables.Child(); err == nil {
		compileAny(config)
	}
	os.Exit(1)
}

// compileAny opens a backend as config has it and compiles the least program, in whose place executables puts the one asked for.
func compileAny(config string) {
	b, _, err := newBackend(config)
	if err != nil {
		return
	}
	builder := b.Builder("any")
	f := builder.Main()
	one, err := f.Constant([]float32{1}, 1)
	if err != nil {
		return
	}
	if err := f.Return([]compute.Value{one}, nil); err == nil {
		_, _ = builder.Compile()
	}
}
