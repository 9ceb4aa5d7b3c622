//go:build !linux

package experiment

import "os/exec"

// dieWithParent does nothing where the system has no such thing: a killed study leaves its runs to finish.
func dieWithParent(*exec.Cmd) {}

// startOnCores leaves the sharing of cores to the system.
func startOnCores(cmd *exec.Cmd, _, _ int) error { return cmd.Start() }
