package backend

import (
	"os"
	"sync"

	"github.com/gomlx/compute"
)

// shared is what [Shared] has opened.
var shared struct {
	sync.Mutex
	backend compute.Backend
	choice  Choice
	user    string // GOMLX_BACKEND at the time
}

// Shared returns the backend of the process, which it opens like [Open] on its first successful call and again where
// GOMLX_BACKEND names another one since. Nobody finalizes it. Several runs of one process must compute on one backend:
// each one opened starts threads of its own, and the C library keeps their memory, some 100 MiB a backend, when they end.
func Shared() (compute.Backend, Choice, error) {
	shared.Lock()
	defer shared.Unlock()
	user := os.Getenv(compute.ConfigEnvVar)
	if shared.backend != nil && shared.user == user {
		return shared.backend, shared.choice, nil
	}
	b, choice, err := Open()
	if err != nil {
		return nil, choice, err
	}
	shared.backend, shared.choice, shared.user = b, choice, user
	return b, choice, nil
}

// PureGo opens pure Go, for networks that are built to be looked at and not run. It leaves the process's environment alone, as [Open] does
// not. The caller finalizes it.
func PureGo() (compute.Backend, error) {
	defer quiet()()
	return compute.NewWithConfig(pureGo)
}
