// Package counterpart holds our files against the programs they are made for: diffusers, TensorBoard, torch-fidelity and prdc themselves, in a
// Python of their own, and against files that these wrote once, which are kept in testdata so that tests need no Python.
package counterpart
