//go:build !linux

package atomicfile

import "github.com/pkg/errors"

// exchange returns an error: this system cannot exchange two folders in one step.
func exchange(string, string) error { return errors.New("this system cannot exchange folders") }
