package backend

// available is what [Cores] returns: by the time that is called the process may be kept to fewer.
var available = schedulable()

// Cores is how many of the processor's cores this process might run on when it began. XLA divides its work by the number
// it finds whenever it compiles, so the last digits of what it computes depend on it; [UseCores] decides that number. A
// container's quota of processor time is no part of it: it takes time away, not cores.
func Cores() int { return available }
