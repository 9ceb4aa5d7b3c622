//go:build !unix

package atomicfile

// hold does nothing: what a process is at is not told from what a killed one left here, so all stays.
func hold(string) (release func(), err error) { return func() {}, nil }

// removeUnheld does nothing, see hold.
func removeUnheld(string) {}
