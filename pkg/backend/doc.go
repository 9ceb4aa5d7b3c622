// Package backend opens the GoMLX backend every computation of this repository runs on,
// and says in one line which one it took, why, and what would be faster.
//
// # Order of choice
//
//  1. what GOMLX_BACKEND names, if it is set;
//  2. XLA on an NVIDIA GPU, if the CUDA plugin is installed and a device is there;
//  3. XLA on the processor, if its plugin is installed;
//  4. pure Go, which is always there.
//
// A step that fails leaves a message in [Choice.Failed] and gives way to the next, except for two, which are errors: what
// GOMLX_BACKEND names does not open, and a plugin is not the one pinned ([Plugin.Verify]).
//
// # Conventions
//
// A plugin is a shared library with the PJRT interface, [pjrt]. Plugins are installed by
// package kernelsetup into [CacheDir]; this package only looks for them and never
// downloads anything: the automatic download of go-xla is switched off on import.
// XLA needs cgo. A build without a C compiler still works and has pure Go alone, with the convolutions of package goconv.
// Packages fastconv and executables lie over the pinned plugin for the processor: kernels of our own, and compiled programs
// that are kept on disk.
// Where no plugin is pinned for the system, one that a user gave ([GivePlugin]) is taken.
//
// References:
//
//	[pjrt]  OpenXLA. PJRT: Uniform Device API. https://openxla.org/xla/pjrt
package backend
