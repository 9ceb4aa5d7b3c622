//go:build !linux

package perf

import (
	"os/exec"

	"github.com/pkg/errors"
)

// canPin says whether a process can be kept to one core.
const canPin = false

// start starts cmd on all cores.
func start(cmd *exec.Cmd, oneCore bool) error {
	if oneCore {
		return errors.New("perf: a process is kept to one core on Linux alone; measure with --threads all")
	}
	return cmd.Start()
}
