package backend

import (
	"testing"

	"github.com/gomlx/compute"
)

// TestShared: one backend a process, until another is asked for; a failure is not remembered.
func TestShared(t *testing.T) {
	t.Cleanup(func() { shared.backend = nil })
	t.Setenv(compute.ConfigEnvVar, "go")
	first, choice, err := Shared()
	if err != nil || choice.Name != "user" {
		t.Fatalf("opened %+v, %v", choice, err)
	}
	again, same, err := Shared()
	if err != nil || again != first || same.Config != choice.Config {
		t.Errorf("the second call gives another backend, %+v (%v)", same, err)
	}
	t.Setenv(compute.ConfigEnvVar, "go:ops_sequential")
	other, choice, err := Shared()
	if err != nil || other == first || choice.Config != "go:ops_sequential" {
		t.Errorf("another GOMLX_BACKEND still gives %+v (%v)", choice, err)
	}
}
