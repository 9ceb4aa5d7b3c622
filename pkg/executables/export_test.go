//go:build cgo && linux && amd64

package executables

import "testing"

// Keep has this process keep its executables in dir until the test ends, however little their compilation takes. A backend
// must be open.
func Keep(t testing.TB, dir string) {
	t.Helper()
	s, err := openStore(dir, Most)
	if err != nil {
		t.Fatal(err)
	}
	cache.Lock()
	defer cache.Unlock()
	if cache.base == nil {
		t.Skip("no executables are kept here")
	}
	before, least := cache.store, worth
	cache.store, worth = s, 0
	t.Cleanup(func() {
		cache.Lock()
		defer cache.Unlock()
		cache.store, worth = before, least
	})
}

// Loads returns how many executables this process has found in its folder.
func Loads() int64 { return loads.Load() }

// Children returns how many executables children have compiled for this process.
func Children() int64 { return children.Load() }

// ByChild has children compile programs from size bytes on, until the test ends.
func ByChild(t testing.TB, size int) {
	t.Helper()
	before := large
	large = size
	t.Cleanup(func() { large = before })
}

// ChildName is the name of a child.
const ChildName = childName
