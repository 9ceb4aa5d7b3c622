package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/pkg/errors"
)

// neonTests are the tests of pkg/fastconv that run its kernels without XLA.
const neonTests = "^(TestKernels|TestPlain|TestResidual|TestTerms|TestDoubled|TestGradients|TestNorm|TestRandomBits|TestTry)$"

// neon builds the kernels of pkg/fastconv for arm64 and runs their tests in an emulator. Where the compiler or the emulator is
// missing it says so and does nothing.
func neon(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return errors.Errorf("neon takes no arguments, got %q", args)
	}
	if runtime.GOARCH == "arm64" {
		return show(ctx, "go", "test", "-v", "-run", neonTests, "./pkg/fastconv")
	}
	const compiler, emulator = "aarch64-linux-gnu-gcc", "qemu-aarch64"
	for _, program := range []string{compiler, emulator} {
		if _, err := exec.LookPath(program); err != nil {
			fmt.Printf("the kernels for arm64 are not tested: there is no %s (on Debian: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)\n", program)
			return nil
		}
	}
	for name, value := range map[string]string{"GOOS": "linux", "GOARCH": "arm64", "CGO_ENABLED": "1", "CC": compiler} {
		if err := os.Setenv(name, value); err != nil {
			return errors.WithStack(err)
		}
		defer os.Unsetenv(name)
	}
	return show(ctx, "go", "test", "-v", "-timeout", "40m", "-exec", emulator+" -L /usr/aarch64-linux-gnu", "-run", neonTests, "./pkg/fastconv")
}
