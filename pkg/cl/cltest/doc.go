// Package cltest holds what every continual-learning strategy owes, as one suite of checks that the test of each
// strategy calls: [Conform]. Programs and notebooks run it by [Check] and [ShowCheck].
//
// The checks train a tiny network on a benchmark of images that differ pixel by pixel, so that each row of
// each step can be traced to the task it came from. All tests and checks of a process share one network and its compiled
// step, so they must not run in parallel.
package cltest
