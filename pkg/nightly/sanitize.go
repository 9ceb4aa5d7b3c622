package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/pkg/errors"
)

// vectorTests are the tests of pkg/metrics that run its loops in C.
const vectorTests = "^(TestVectorsOfFLD|TestExponentialOfFLD|TestNearestEqualsExhaustiveSearch|TestFeatureSetEqualsExhaustiveSearch)$"

// sanitize runs the kernels of pkg/fastconv, which are C, under the compiler's address, undefined behaviour and thread
// sanitisers, and those of pkg/metrics under the first.
func sanitize(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return errors.Errorf("sanitize takes no arguments, got %q", args)
	}
	dir, err := os.MkdirTemp("", "palimpsest-sanitize")
	if err != nil {
		return errors.WithStack(err)
	}
	defer os.RemoveAll(dir)
	program, folder := filepath.Join(dir, "harness"), "pkg/fastconv/"
	for _, sanitizers := range []string{"address,undefined", "thread"} {
		command := []string{"gcc", "-g", "-O1", "-fsanitize=" + sanitizers, "-fno-sanitize-recover", "-I" + folder}
		for _, file := range strings.Fields("testdata/harness.c conv.c threads.c kernels_" + runtime.GOARCH + ".c") {
			command = append(command, folder+file)
		}
		if err := show(ctx, append(command, "-lm", "-lpthread", "-o", program)...); err != nil {
			return err
		}
		if err := show(ctx, program, "check"); err != nil {
			return err
		}
	}
	return show(ctx, "go", "test", "-asan", "-v", "-run", vectorTests, "./pkg/metrics")
}
