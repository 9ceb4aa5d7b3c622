package backend

import "github.com/gomlx/compute"

// OwnDevices is how many of a backend's devices have a processor of their own, so that work parted among them is done sooner:
// all GPUs that a process sees, and one where it computes on the processor, although XLA's plugin for it shows four.
func OwnDevices(b compute.Backend) int {
	if over, ok := b.(interface{ Unwrap() compute.Backend }); ok { // what measures what goes through it
		b = over.Unwrap()
	}
	if x, ok := b.(interface{ IsCPU() bool }); ok && x.IsCPU() {
		return 1
	}
	return b.NumDevices()
}
