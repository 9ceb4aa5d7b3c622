package backend

import "runtime"

// available is what [Cores] tells: by the time it is asked the process may have been pinned.
var available = min(schedulable(), runtime.GOMAXPROCS(0))

// Cores is how many of the processor's cores this process might use when it began: those it may run on, within a
// container's quota and GOMAXPROCS. XLA divides its work by the number it finds whenever it compiles, so the last digits
// of what it computes depend on it; [UseCores] decides that number.
func Cores() int { return available }
